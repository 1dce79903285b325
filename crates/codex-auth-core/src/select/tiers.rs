//! Which accounts come before which, whatever the strategy. A tier is never a blocker: the last account that can serve
//! serves, however low it stands.

use super::Candidate;

/// From the first to be asked to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    /// Nothing speaks against it.
    Open,
    /// What is left of it is the user's reserve.
    Reserved,
    /// Its weight is 0: only when nobody else can.
    Last,
}

pub(crate) fn tier(candidate: &Candidate<'_>) -> Tier {
    let terms = candidate.terms;
    if terms.weight <= 0.0 {
        Tier::Last
    } else if terms.reserve_percent > 0.0 && candidate.headroom.left_percent <= terms.reserve_percent {
        Tier::Reserved
    } else {
        Tier::Open
    }
}

/// Breaks ties: by the user's order, or by the seed of one of several processes that share a pool; within a process
/// always for the same account, in another one perhaps for another.
pub(crate) fn tie(seed: u64, candidate: &Candidate<'_>) -> u64 {
    if seed == 0 {
        return u64::try_from(candidate.position).unwrap_or(u64::MAX);
    }
    // FNV-1a: equal on every machine, so that a recorded decision replays.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = candidate.record.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, step);
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
