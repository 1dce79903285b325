//! Owns how a test sees that a message repeats nothing it should not.

use std::fmt::{Debug, Display};

/// Stands in corpora and words wherever a secret would; no message may repeat it.
pub const CANARY: &str = "CANARY";

/// No error is longer: one that is repeats what it was given.
const LONGEST: usize = 500;

/// The same bytes with a canary before, after and in the middle.
pub fn planted(bytes: &[u8]) -> [Vec<u8>; 3] {
    let (front, back) = bytes.split_at(bytes.len() / 2);
    let canary = CANARY.as_bytes();
    [[canary, bytes].concat(), [bytes, canary].concat(), [front, canary, back].concat()]
}

/// No message and no error repeats what it was about, nor is it as long as that may be.
///
/// # Panics
/// When it does, or is.
#[track_caller]
pub fn check_silent(error: &(impl Display + Debug)) {
    for said in [error.to_string(), format!("{error:?}")] {
        assert!(!said.to_uppercase().contains(CANARY), "a refusal quotes its input: {said}");
        assert!(said.len() < LONGEST, "a refusal of {} bytes: {said:.200}", said.len());
    }
}
