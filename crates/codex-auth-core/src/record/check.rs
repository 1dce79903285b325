//! Owns the sums of the record: small, stable on every machine, and no secret's keeper.

use std::fmt;

use crate::{Decision, SessionKey, Timestamp};

/// FNV-1a over 64 bits: the same bytes give the same sum in every version of every compiler.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The sum with more bytes.
    #[must_use]
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)))
    }

    fn with_instant(self, at: Option<Timestamp>) -> Self {
        match at {
            Some(at) => self.with(&[1]).with(&at.as_millis().to_le_bytes()),
            None => self.with(&[0]),
        }
    }

    /// Its two halves as one.
    pub(super) fn folded(self) -> [u8; 4] {
        let [low, high] = [self.0 & 0xffff_ffff, self.0 >> 32];
        u32::try_from(low ^ high).unwrap_or_default().to_le_bytes()
    }
}

/// A session as the record knows it: enough to tell two apart, too little to name one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionHash(pub(super) [u8; 4]);

impl SessionHash {
    /// The hash of a session's key.
    pub fn of(session: &SessionKey) -> Self {
        Self(Sum::new().with(session.as_str().as_bytes()).folded())
    }
}

impl fmt::Display for SessionHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// The sum of a whole decision: who was chosen and why, and every account's blockers with their ends.
pub(super) fn of_decision(decision: &Decision) -> [u8; 4] {
    let Decision { choice, price: _, standings } = decision;
    let chosen = match choice {
        Some((record, reason)) => Sum::new().with(record.as_str().as_bytes()).with(reason.as_str().as_bytes()),
        None => Sum::new(),
    };
    let of_standing = |sum: Sum, standing: &crate::Standing| {
        let begun = sum.with(standing.record.as_str().as_bytes()).with(&[0]);
        let blockers = standing.blockers.iter();
        blockers.fold(begun, |sum, blocker| sum.with(blocker.code().as_bytes()).with_instant(blocker.until()))
    };
    standings.iter().fold(chosen, of_standing).folded()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_the_same_everywhere() {
        assert_eq!(Sum::new().with(b"foobar").0, 0x8594_4171_f739_67e8, "the published value of FNV-1a");
    }

    #[test]
    fn a_session_is_eight_digits() {
        let session = SessionKey::parse("019aa5b0-8f00-7d21-9d5c-1b2f5b1f0a11").expect("not blank");
        assert_eq!(SessionHash::of(&session).to_string().len(), 8);
    }
}
