//! What the benchmarks measure with, shared by its programs.
//!
//! | Room | Question it answers |
//! |---|---|
//! | [`shape`] | which answers does the backend give, byte for byte? |
//! | [`exchange`] | how is one request made and its answer read, cheaply and without trusting it? |
//! | [`tally`] | what did a load come to: successes, failures, percentiles? |
//!
//! Everything is loopback only, and std only where the measured programs are not: blocking threads, so that the
//! measuring side is no variant of what is measured.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "measuring tools: the clock is what they are for, standard output is their answer"
)]

pub mod exchange;
pub mod shape;
pub mod tally;

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970, comparable between the processes of one machine.
#[must_use]
pub fn clock_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
