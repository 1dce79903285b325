//! How long the whole pool lasts: what is left of all that can serve, and what a window that has not begun is worth.

use super::{
    Candidate,
    price::{minutes, room},
};
use crate::Timestamp;

/// What is left of all accounts that can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Supply {
    /// Every account will run dry.
    Scarce,
    /// The pool may run dry before a window starts anew.
    Low,
    /// Nobody has to think of it.
    #[default]
    Ample,
}

/// Less than this is left, in percent of the smallest paid plan's five-hour window.
const SCARCE: f64 = 60.0;
/// The same for a pool that may run dry.
const LOW: f64 = 200.0;
/// A window that begins now, instead of later, starts anew so much the sooner. So many tokens read anew are well spent
/// on that: two beginnings of a prompt.
const START: i64 = 32_000;
/// The shortest window; who has none that ends so soon has none under way.
const SHORTEST_MINUTES: f64 = 300.0;

/// Looks at accounts until enough is found.
pub(crate) fn supply<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Supply {
    let mut left = 0.0;
    for candidate in candidates {
        left += room(candidate.headroom, candidate.terms);
        if left >= LOW {
            return Supply::Ample;
        }
    }
    if left < SCARCE { Supply::Scarce } else { Supply::Low }
}

/// What a request is worth beyond itself because it starts an account's window, in tokens.
pub(super) fn gain_of_starting(candidate: &Candidate<'_>, supply: Supply, now: Timestamp) -> i64 {
    let is_under_way = || {
        let expiring = candidate.headroom.expiring;
        expiring.is_some_and(|window| window.left_percent < 100.0 && minutes(window.at, now) <= SHORTEST_MINUTES)
    };
    if supply == Supply::Low && !is_under_way() { START } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expiring, Headroom, Terms, testing::account};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn check_supply(left: &[f64], expected: Supply) {
        let records: Vec<_> = (1..=left.len()).map(|number| account(number).record).collect();
        let candidates = records.iter().zip(left).map(|(record, left)| candidate(record, *left, None));
        assert_eq!(supply(candidates), expected, "{left:?}");
    }

    fn candidate(record: &crate::RecordId, left_percent: f64, expiring: Option<Expiring>) -> Candidate<'_> {
        let headroom = Headroom { left_percent, expiring, ..Headroom::UNKNOWN };
        let terms = Terms::default();
        Candidate { record, position: 0, in_flight: 0, headroom, terms, cached_tokens: 0, crowd: 0 }
    }

    #[test]
    fn what_is_left_of_all_accounts_counts() {
        check_supply(&[], Supply::Scarce);
        check_supply(&[59.0], Supply::Scarce);
        check_supply(&[30.0, 30.0], Supply::Low);
        check_supply(&[100.0, 99.0], Supply::Low);
        check_supply(&[100.0, 99.0, 1.0], Supply::Ample);
    }

    #[test]
    fn a_window_that_has_not_begun_is_worth_starting_where_the_pool_is_low() {
        let record = account(1).record;
        let check = |window: Option<(f64, u64)>, supply, gain| {
            let expiring = window.map(|(left_percent, minutes)| Expiring {
                left_percent,
                at: NOW.after(std::time::Duration::from_mins(minutes)),
            });
            let account = candidate(&record, 80.0, expiring);
            assert_eq!(gain_of_starting(&account, supply, NOW), gain, "{window:?}");
        };
        // Nothing runs; only a week does; the vendor tells an end for one that nobody has used.
        check(None, Supply::Low, START);
        check(Some((80.0, 3000)), Supply::Low, START);
        check(Some((100.0, 300)), Supply::Low, START);
        check(Some((99.0, 300)), Supply::Low, 0);
        check(Some((80.0, 20)), Supply::Low, 0);
        check(None, Supply::Ample, 0);
        check(None, Supply::Scarce, 0);
    }
}
