//! When can I work again, and on which account? The evaluator's answer, and how far it is a guess.
//!
//! A reset that the server named, and the end of a budget, are known: the answer is that instant. Where nobody named an
//! end, the wait is our own guess; an account that is refused once more waits as long again, so the answer reaches as far.

use crate::{
    Availability, BURST_LASTS, Blocker, Concern, Decision, Denial, LACKS_MODEL_FOR, Prospect, RecordId, RestPolicy,
    RestReason, Timestamp,
};

/// When somebody serves again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The account that is free first.
    pub record: RecordId,
    /// When.
    pub at: Timestamp,
    /// At the latest; `at` itself where the end was told.
    pub latest: Timestamp,
}

impl Again {
    /// Now on the account the evaluator chose; else on the one that is free first by mere waiting; `None` where waiting
    /// does not help.
    pub fn of(decision: &Decision, prospects: &[Prospect], now: Timestamp) -> Option<Self> {
        let chosen = decision.choice.as_ref().map(|(record, _)| record);
        let is_ready = |record: &RecordId| {
            prospects.iter().any(|it| it.record == *record && it.availability == Availability::Ready)
        };
        if let Some(record) = chosen.filter(|record| is_ready(record)) {
            return Some(Self { record: record.clone(), at: now, latest: now });
        }
        let waits = prospects.iter().filter_map(|prospect| Some((prospect.ready_at?, prospect)));
        let (at, first) = waits.clone().min_by_key(|(at, _)| *at)?;
        let latest = waits.map(|(at, prospect)| prospect.latest(at, now)).min().unwrap_or(at);
        Some(Self { record: first.record.clone(), at, latest: latest.max(at) })
    }

    /// Whether the instant is known.
    pub fn is_known(&self) -> bool {
        self.at == self.latest
    }
}

impl Prospect {
    fn latest(&self, ready_at: Timestamp, now: Timestamp) -> Timestamp {
        let latest = self.concerns.iter().filter_map(|concern| match concern {
            Concern::Blocked(blocker) => latest(blocker, now),
            Concern::Dead { .. }
            | Concern::NotTold { .. }
            | Concern::Used { .. }
            | Concern::UsedInFuture
            | Concern::LongUnused => None,
        });
        latest.max().map_or(ready_at, |latest| latest.max(ready_at))
    }
}

/// When a blocker is gone at the latest.
fn latest(blocker: &Blocker, now: Timestamp) -> Option<Timestamp> {
    let policy = RestPolicy::default();
    match blocker {
        Blocker::QuotaSpent { until } | Blocker::Denied(Denial { until: Some(until), .. }) => Some(*until),
        // No guess of ours reaches so far: somebody told that end.
        Blocker::Resting { until, reason: RestReason::UsageLimit, .. } if until.since(now) > policy.usage => {
            Some(*until)
        }
        Blocker::Resting { until, reason, .. } => Some(until.after(policy.of(*reason))),
        Blocker::LacksModel { until } => Some(until.after(LACKS_MODEL_FOR)),
        Blocker::Burst { until } => Some(until.after(BURST_LASTS)),
        Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::NotPinned { .. }
        | Blocker::Held { .. }
        | Blocker::Denied(Denial { until: None, .. })
        | Blocker::AlreadyTried
        | Blocker::NoWorkspace => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Account, Ask, Headroom, Rest, Seat, Standards, evaluate, testing::account};

    const NOW: Timestamp = Timestamp::from_secs(10_000_000);

    fn secs(secs: u64) -> Timestamp {
        NOW.after(Duration::from_secs(secs))
    }

    /// Accounts by what keeps them, each for so many seconds; expects the account's number, and both ends in seconds.
    #[track_caller]
    fn check(kept: &[Option<(RestReason, u64)>], spent: &[Option<u64>], expect: Option<(usize, u64, u64)>) {
        let held = |(place, kept): (usize, &Option<(RestReason, u64)>)| {
            let rests = kept.map(|(reason, wait)| Rest::of_account(reason, secs(wait), NOW));
            Account { rests: rests.into_iter().collect(), ..account(place + 1) }
        };
        let accounts: Vec<_> = kept.iter().enumerate().map(held).collect();
        let seats = accounts.iter().zip(spent).map(|(account, spent)| Seat {
            headroom: Headroom { spent_until: spent.map(secs), ..Headroom::UNKNOWN },
            ..Seat::of(account)
        });
        let seats: Vec<_> = seats.collect();
        let decision = evaluate(&seats, Standards::default(), Ask::default(), NOW);
        let look = |(account, standing)| Prospect::of(account, standing, &[], None, (false, NOW));
        let prospects: Vec<_> = accounts.iter().zip(&decision.standings).map(look).collect();
        let again = Again::of(&decision, &prospects, NOW);
        let told = again.map(|it| (it.record, it.at.since(NOW).as_secs(), it.latest.since(NOW).as_secs()));
        assert_eq!(told, expect.map(|(number, at, latest)| (account(number).record, at, latest)));
    }

    #[test]
    fn what_was_told_is_a_point_and_a_guess_is_not() {
        use RestReason::{Auth, Server, UsageLimit};
        check(&[None, None], &[None, None], Some((1, 0, 0)));
        check(&[None, None], &[Some(7200), Some(3600)], Some((2, 3600, 3600)));
        check(&[Some((UsageLimit, 600))], &[None], Some((1, 600, 600)));
        check(&[Some((UsageLimit, 40))], &[None], Some((1, 40, 100)));
        check(&[Some((Server, 4))], &[None], Some((1, 4, 8)));
        // What is known of the second bounds the guess about the first.
        check(&[Some((Auth, 20)), None], &[None, Some(30)], Some((1, 20, 30)));
        // Two things keep one account: the later end counts.
        check(&[Some((Server, 4))], &[Some(5)], Some((1, 5, 8)));
        check(&[], &[], None);
    }
}
