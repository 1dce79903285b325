//! Leases: the right to work on something for a while, with a number that tells a later holder from an earlier one.

use std::{
    fmt::{self, Debug},
    time::Duration,
};

use async_trait::async_trait;

use crate::Timestamp;

use super::CapabilityError;

/// Who may work on what.
///
/// | Rule | Why |
/// |---|---|
/// | one holder per key at a time | two would spend one token |
/// | each lease of a key has a greater fence than all before it, also after a crash | whoever is late is told apart |
/// | time is the engine's and never runs back: what has expired stays expired | hosts set their clocks |
/// | an expired lease cannot be renewed | somebody else may have worked meanwhile |
/// | releasing a lease that was lost changes nothing | its key belongs to somebody else |
#[async_trait]
pub trait Leases: Debug + Send + Sync {
    /// Takes the lease of `key`, or says who is before us; does not wait.
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<FencedLease, CapabilityError>;

    /// The same lease, from now on for `ttl`.
    async fn renew(&self, lease: &FencedLease, ttl: Duration) -> Result<FencedLease, CapabilityError>;

    /// Gives it back.
    async fn release(&self, lease: FencedLease) -> Result<(), CapabilityError>;
}

/// Grows with every lease of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

impl fmt::Display for Fence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// A lease. It is a claim about the past: whether it still runs, only the engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a lease is released, or it keeps others waiting until it expires"]
pub struct FencedLease {
    /// What it is about.
    pub key: String,
    /// Its number.
    pub fence: Fence,
    /// For how long it was granted.
    pub ttl: Duration,
    /// Its end by the engine's clock; never to be compared with the host's.
    pub until: Timestamp,
}

impl FencedLease {
    /// Whether a token may still be presented under it, `held_for` after it was asked for by a clock that only runs
    /// forward. The issuer knows no fence, so the last third is a margin.
    pub fn may_present(&self, held_for: Duration) -> bool {
        held_for < self.ttl / 3 * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(held_for: u64, expect: bool) {
        let ttl = Duration::from_secs(30);
        let lease = FencedLease { key: "k".into(), fence: Fence(1), ttl, until: Timestamp::from_secs(30) };
        assert_eq!(lease.may_present(Duration::from_secs(held_for)), expect);
    }

    #[test]
    fn nothing_is_presented_in_the_last_third() {
        check(0, true);
        check(19, true);
        check(20, false);
        check(40, false);
    }
}
