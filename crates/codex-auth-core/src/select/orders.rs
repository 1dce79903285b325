//! One ordering per strategy, over accounts that may all serve.

use std::cmp::{Ordering, Reverse};

use super::{
    Candidate, Field, Reason,
    price::{at_risk, minutes, room, worth},
    tiers::{Tier, tie, tier},
};
use crate::Timestamp;

/// Differences below this many tokens are noise.
const STEP: i64 = 1024;
/// Where a window's end is not known.
const USUAL_HOURS: f64 = 5.0;

/// The account in use, else the next after it in the user's order.
pub(super) fn from_turn<'a>(
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
    skip: usize,
) -> Option<Candidate<'a>> {
    let start = field.turn.map_or(0, |turn| turn + skip);
    let distance = |place: usize| (place + 2 * field.count - start) % field.count.max(1);
    candidates.min_by_key(|candidate| (tier(candidate), distance(candidate.position)))
}

/// The selected account, else the first in the user's order.
pub(super) fn selected_or_first<'a>(
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
) -> Option<Candidate<'a>> {
    candidates.min_by_key(|candidate| (tier(candidate), Some(candidate.position) != field.turn, candidate.position))
}

/// An account at its place in an ordering; of equal ones the process's seed decides.
#[derive(Debug)]
struct Ranked<'a> {
    candidate: Candidate<'a>,
    rank: Rank,
    tie: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    tier: Tier,
    disliked: Reverse<i32>,
    worth: Reverse<i64>,
    urgency: Reverse<i64>,
    in_flight: u32,
}

/// Where the prompt is worth most; among equals what expires first, then the least busy. When little is left of the
/// whole pool, every account will run dry, and all sessions that share one have to move then: they are spread.
pub(super) fn by_worth<'a>(field: Field, candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    if field.is_scarce {
        return best(field.seed, candidates, |candidate| Rank {
            tier: tier(candidate),
            disliked: Reverse(candidate.terms.preference),
            worth: Reverse(0),
            urgency: Reverse(steps(1.0 / (1.0 + f64::from(candidate.crowd) / 10.0), 2.0)),
            in_flight: candidate.in_flight,
        });
    }
    best(field.seed, candidates, |candidate| {
        let at_risk = at_risk(candidate.headroom, candidate.terms, field.prompt, field.now);
        Rank {
            tier: tier(candidate),
            disliked: Reverse(candidate.terms.preference),
            worth: Reverse(worth(candidate.cached_tokens, at_risk).div_euclid(STEP)),
            urgency: Reverse(steps(urgency(candidate, field.now), 2.0)),
            in_flight: candidate.in_flight,
        }
    })
}

/// Less than this is left, in percent of the smallest paid plan.
const SCARCE: f64 = 60.0;

/// Whether so little is left of all that can serve that every account will run dry.
pub(crate) fn is_scarce<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> bool {
    let mut left = 0.0;
    for candidate in candidates {
        left += room(candidate.headroom, candidate.terms);
        if left >= SCARCE {
            return false;
        }
    }
    true
}

/// What expires first, in proportion to the size of the plan.
pub(super) fn by_expiry<'a>(field: Field, candidates: impl Iterator<Item = Candidate<'a>>) -> Option<Candidate<'a>> {
    best(field.seed, candidates, |candidate| Rank {
        tier: tier(candidate),
        disliked: Reverse(candidate.terms.preference),
        worth: Reverse(0),
        urgency: Reverse(steps(urgency(candidate, field.now), 16.0)),
        in_flight: candidate.in_flight,
    })
}

fn best<'a>(
    seed: u64,
    candidates: impl Iterator<Item = Candidate<'a>>,
    rank: impl Fn(&Candidate<'a>) -> Rank,
) -> Option<Candidate<'a>> {
    let mut best: Option<Ranked<'a>> = None;
    for candidate in candidates {
        let mut next = Ranked { rank: rank(&candidate), candidate, tie: None };
        let is_better = best.as_mut().is_none_or(|best| match next.rank.cmp(&best.rank) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => {
                let mine = *next.tie.insert(tie(seed, &next.candidate));
                mine < *best.tie.get_or_insert_with(|| tie(seed, &best.candidate))
            }
        });
        if is_better {
            best = Some(next);
        }
    }
    best.map(|ranked| ranked.candidate)
}

/// Quota that is lost per hour unless it is used.
fn urgency(candidate: &Candidate<'_>, now: Timestamp) -> f64 {
    let headroom = candidate.headroom;
    let (left, hours) = match headroom.expiring {
        Some(window) => (window.left_percent, minutes(window.at, now) / 60.0),
        None => (headroom.left_percent, USUAL_HOURS),
    };
    left.min(headroom.left_percent) * headroom.plan_size * candidate.terms.weight.max(0.1) / (hours + 0.25)
}

/// Steps of a doubling, so many of them to each; what is nought stands below all.
#[allow(clippy::cast_possible_truncation, reason = "a logarithm is small")]
fn steps(amount: f64, each: f64) -> i64 {
    if amount > 0.0 { (amount.log2() * each).floor() as i64 } else { i64::MIN }
}

/// Why a candidate was the best one by its worth.
pub(super) fn reason_of_worth(candidate: &Candidate<'_>) -> Reason {
    if candidate.cached_tokens > 0 { Reason::WarmCache } else { Reason::MostHeadroom }
}
