//! One ordering per strategy, over accounts that may all serve.

use super::{
    Candidate, Field, Reason,
    price::{at_risk, minutes, worth},
    supply::{Supply, gain_of_starting},
    tiers::{tie, tier},
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
    may: impl Fn(&Candidate<'a>) -> bool,
    skip: usize,
) -> Option<Candidate<'a>> {
    let start = field.turn.map_or(0, |turn| turn + skip);
    let distance = |place: usize| (place + 2 * field.count - start) % field.count.max(1);
    let key = |candidate: &Candidate<'_>| (tier(candidate), distance(candidate.position));
    first(candidates, may, key, |next, (_, rank)| key(next) < *rank)
}

/// The selected account, else the first in the user's order.
pub(super) fn selected_or_first<'a>(
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
) -> Option<Candidate<'a>> {
    let key = |candidate: &Candidate<'_>| (tier(candidate), Some(candidate.position) != field.turn, candidate.position);
    first(candidates, may, key, |next, (_, rank)| key(next) < *rank)
}

/// What an ordering looks at after the user's own wishes; more is better. Asked only where all before it is equal.
struct Merits<W, U> {
    worth: W,
    urgency: U,
}

/// Where the prompt is worth most; among equals what expires first, then the least busy. When little is left of the
/// whole pool, every account will run dry, and all sessions that share one have to move then: they are spread.
pub(super) fn by_worth<'a>(
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
) -> Option<Candidate<'a>> {
    if field.supply == Supply::Scarce {
        let room = |candidate: &Candidate<'_>| steps(1.0 / (1.0 + f64::from(candidate.crowd) / 10.0), 2.0);
        return best(field.seed, candidates, may, &Merits { worth: |_: &Candidate<'_>| 0, urgency: room });
    }
    let worth = |candidate: &Candidate<'_>| {
        let here = worth(candidate.cached_tokens, at_risk(candidate, field.prompt, field.now));
        here.saturating_add(gain_of_starting(candidate, field.supply, field.now)).div_euclid(STEP)
    };
    let urgency = |candidate: &Candidate<'_>| steps(urgency(candidate, field.now), 2.0);
    best(field.seed, candidates, may, &Merits { worth, urgency })
}

/// What expires first, in proportion to the size of the plan.
pub(super) fn by_expiry<'a>(
    field: Field,
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
) -> Option<Candidate<'a>> {
    let urgency = |candidate: &Candidate<'_>| steps(urgency(candidate, field.now), 16.0);
    best(field.seed, candidates, may, &Merits { worth: |_: &Candidate<'_>| 0, urgency })
}

fn best<'a, W, U>(
    seed: u64,
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
    merits: &Merits<W, U>,
) -> Option<Candidate<'a>>
where
    W: Fn(&Candidate<'_>) -> i64,
    U: Fn(&Candidate<'_>) -> i64,
{
    let Merits { worth, urgency } = merits;
    let rank = |candidate: &Candidate<'a>| (worth(candidate), urgency(candidate));
    first(candidates, may, rank, |next, (best, (best_worth, best_urgency))| {
        tier(next)
            .cmp(&tier(best))
            .then_with(|| best.terms.preference.cmp(&next.terms.preference))
            .then_with(|| best_worth.cmp(&worth(next)))
            .then_with(|| best_urgency.cmp(&urgency(next)))
            .then_with(|| next.in_flight.cmp(&best.in_flight))
            .then_with(|| tie(seed, next).cmp(&tie(seed, best)))
            .is_lt()
    })
}

/// The first in an ordering of those that may serve, with its `rank`. Whether one may is asked only when it would come
/// before all others so far: of a large pool hardly anybody is.
fn first<'a, R>(
    candidates: impl Iterator<Item = Candidate<'a>>,
    may: impl Fn(&Candidate<'a>) -> bool,
    rank: impl Fn(&Candidate<'a>) -> R,
    comes_before: impl Fn(&Candidate<'a>, &(Candidate<'a>, R)) -> bool,
) -> Option<Candidate<'a>> {
    let mut best: Option<(Candidate<'a>, R)> = None;
    for next in candidates {
        if best.as_ref().is_none_or(|best| comes_before(&next, best)) && may(&next) {
            best = Some((next, rank(&next)));
        }
    }
    best.map(|(candidate, _)| candidate)
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
pub(super) fn reason_of_worth(candidate: &Candidate<'_>, field: Field) -> Reason {
    // That no window of its own is under way is said where its windows are known.
    let is_started = candidate.headroom.expiring.is_some() && gain_of_starting(candidate, field.supply, field.now) > 0;
    match candidate.cached_tokens {
        0 if is_started => Reason::StartsWindow,
        0 => Reason::MostHeadroom,
        _ => Reason::WarmCache,
    }
}
