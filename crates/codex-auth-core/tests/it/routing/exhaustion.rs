//! Owns what happens at the end of a pool: whether the product's runs dry earlier than one of pure stickiness.
//!
//! A pool runs dry at the first request that nobody can serve. Up to then everything was served, so a pool that runs
//! dry no earlier has served no less by then. The backend counts an answer when it is over, so an answer that is under
//! way when the last account is spent decides about the last seconds: as much as the longest answer takes is no
//! difference.

use super::{
    run::Found,
    table::{HYBRID, NAMES, Row, STICKY},
    traffic::Request,
};

/// The end of one pool under every policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) seed: u64,
    /// The first request nobody could serve.
    pub(super) dry_at: [Option<i64>; NAMES.len()],
    /// Requests that were not served, to the end of the run.
    refused: [usize; NAMES.len()],
    /// How long the longest answer takes.
    longest: i64,
    /// When the run is over.
    over_at: i64,
}

/// How the ends of many pools compare.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Pools that ran dry under `hybrid` or under stickiness.
    pub(super) pools: usize,
    /// By how much those that ran dry later did so, in minutes.
    pub(super) later: Vec<i64>,
    /// The same for those that ran dry earlier.
    pub(super) earlier: Vec<i64>,
    /// Requests refused in all of them, by stickiness and by `hybrid`.
    pub(super) refused: [usize; 2],
}

impl End {
    pub(super) fn new(seed: u64, requests: &[Request], found: &[Found; NAMES.len()]) -> Self {
        Self {
            seed,
            dry_at: found.each_ref().map(|found| found.dry_at),
            refused: found.each_ref().map(|found| found.uncached.iter().filter(|cost| cost.is_none()).count()),
            longest: requests.iter().map(|request| request.lasts).max().unwrap_or(0),
            over_at: requests.last().map_or(0, |request| request.at),
        }
    }

    /// By how much `hybrid` runs dry later than stickiness, below nought when earlier; a pool that never does lasts to
    /// the end of the run. Nothing where neither does.
    pub(super) fn gains(&self) -> Option<i64> {
        let [ours, theirs] = [HYBRID, STICKY].map(|policy| self.dry_at[policy]);
        ours.or(theirs)?;
        let gains = ours.unwrap_or(self.over_at) - theirs.unwrap_or(self.over_at);
        Some(if gains.abs() <= self.longest { 0 } else { gains })
    }
}

/// Compares all ends.
pub(super) fn compare(rows: &[Row]) -> Ends {
    let mut ends = Ends::default();
    for (end, gains) in rows.iter().flat_map(|row| &row.ends).filter_map(|end| Some((end, end.gains()?))) {
        ends.pools += 1;
        ends.later.extend((gains > 0).then_some(gains / 60_000));
        ends.earlier.extend((gains < 0).then_some(-gains / 60_000));
        ends.refused[0] += end.refused[STICKY];
        ends.refused[1] += end.refused[HYBRID];
    }
    ends
}

#[test]
fn an_answers_length_is_no_difference() {
    let end = |ours, theirs| {
        let dry_at = [None, theirs, None, ours];
        End { seed: 1, dry_at, refused: [0; 4], longest: 60, over_at: 5000 }.gains()
    };
    let check = |ours, theirs, gains| assert_eq!(end(ours, theirs), gains, "{ours:?} and {theirs:?}");
    check(None, None, None);
    check(Some(1000), Some(1060), Some(0));
    check(Some(1000), Some(1061), Some(-61));
    check(Some(1100), Some(1000), Some(100));
    check(None, Some(1000), Some(4000));
    check(Some(1000), None, Some(-4000));
}
