//! What speaks against each account, as a number a person can compare, and which account to take.
//!
//! Who may serve, who should, and when a blocked account is free are the evaluator's answers; the numbers explain them.

use std::time::Duration;

use crate::{Account, Blocker, Decision, Reason, RecordId, RestReason, Standing, Timestamp};

/// An account nobody used for so long may have been signed out meanwhile.
const LONG_UNUSED: Duration = Duration::from_hours(7 * 24);

/// Whether an account can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Availability {
    /// Now.
    Ready,
    /// By mere waiting.
    Delayed,
    /// Not before somebody does something.
    Unavailable,
}

/// How much speaks against an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RiskLevel {
    /// Below 40.
    Low,
    /// From 40.
    Medium,
    /// From 75.
    High,
}

/// One thing that speaks against an account.
#[derive(Debug, Clone, PartialEq)]
pub enum Concern {
    /// The evaluator's.
    Blocked(Blocker),
    /// Asking about it failed, and only a new sign-in helps.
    Dead {
        /// What was found.
        why: String,
    },
    /// Asking about it failed.
    NotTold {
        /// What was found.
        why: String,
    },
    /// A window is nearly used up.
    Used {
        /// Its length, where known.
        length: Option<Duration>,
        /// How much of it, in percent.
        percent: f64,
    },
    /// It was last used in the future: a clock was wrong.
    UsedInFuture,
    /// Nobody used it for a week.
    LongUnused,
}

/// What is known of one account at the moment of asking.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// The account.
    pub record: RecordId,
    /// Whether it can serve.
    pub availability: Availability,
    /// How much speaks against it, from 0 to 100.
    pub risk: u8,
    /// When it can serve by mere waiting, as the evaluator says.
    pub ready_at: Option<Timestamp>,
    /// Whether a window of it is spent by measurement.
    pub is_exhausted: bool,
    /// What speaks against it, the evaluator's first.
    pub concerns: Vec<Concern>,
}

/// What was found when an account was asked about just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Only a new sign-in helps.
    Dead(String),
    /// Nothing was told.
    Failed(String),
}

/// Which account to take.
#[derive(Debug, Clone, PartialEq)]
pub enum Recommendation {
    /// The evaluator's choice.
    Take {
        /// The account.
        record: RecordId,
        /// Why the evaluator chose it.
        reason: Reason,
        /// Whether no other ready account has less against it.
        is_lowest_risk: bool,
    },
    /// Nobody serves now; this account does first, by mere waiting.
    WaitFor {
        /// The account.
        record: RecordId,
        /// When.
        until: Timestamp,
    },
    /// The strategy is manual, and the selected account cannot serve; others could.
    SelectedCannot,
    /// Everybody is blocked or has nothing left.
    AllBlocked,
    /// Nobody is healthy.
    NobodyHealthy,
}

impl Prospect {
    /// Looks at one account: its standing, how much of its windows is used, and what was found out just now.
    pub fn of(
        account: &Account,
        standing: &Standing,
        used: &[(Option<Duration>, f64)],
        asked: Option<&Trouble>,
        (is_current, now): (bool, Timestamp),
    ) -> Self {
        let mut concerns: Vec<_> = standing.blockers.iter().cloned().map(Concern::Blocked).collect();
        let is_dead = asked.is_some_and(|asked| matches!(asked, Trouble::Dead(_)));
        concerns.extend(asked.map(|asked| match asked {
            Trouble::Dead(why) => Concern::Dead { why: why.clone() },
            Trouble::Failed(why) => Concern::NotTold { why: why.clone() },
        }));
        concerns.extend(
            used.iter()
                .filter(|(_, percent)| *percent >= 70.0)
                .map(|(length, percent)| Concern::Used { length: *length, percent: *percent }),
        );
        let last_used = account.seen.last_used_at;
        if last_used > now {
            concerns.push(Concern::UsedInFuture);
        } else if last_used > Timestamp::default() && now.since(last_used) > LONG_UNUSED {
            concerns.push(Concern::LongUnused);
        }
        let availability = match (standing.is_ready() && !is_dead, standing.ready_at()) {
            (true, _) => Availability::Ready,
            (false, Some(_)) if !is_dead => Availability::Delayed,
            (false, _) => Availability::Unavailable,
        };
        let tightest = used.iter().map(|(_, percent)| *percent).fold(0.0, f64::max);
        let sum: i32 = concerns.iter().map(Concern::risk).sum::<i32>() + of_use(tightest) - 5 * i32::from(is_current);
        Self {
            record: account.record.clone(),
            availability,
            risk: u8::try_from(sum.clamp(0, 100)).unwrap_or(100),
            ready_at: standing.ready_at().filter(|_| availability == Availability::Delayed),
            is_exhausted: standing.blockers.iter().any(|blocker| matches!(blocker, Blocker::QuotaSpent { .. })),
            concerns,
        }
    }

    /// How much speaks against it, in a word.
    pub fn level(&self) -> RiskLevel {
        match self.risk {
            0..40 => RiskLevel::Low,
            40..75 => RiskLevel::Medium,
            75.. => RiskLevel::High,
        }
    }
}

/// The tightest window counts once, however many windows are told.
fn of_use(percent: f64) -> i32 {
    match percent {
        98.0.. => 55,
        90.0.. => 35,
        80.0.. => 20,
        70.0.. => 10,
        _ => 0,
    }
}

impl Concern {
    fn risk(&self) -> i32 {
        match self {
            Self::Blocked(blocker) => of_blocker(blocker),
            Self::Dead { .. } => 90,
            Self::NotTold { .. } => 25,
            Self::Used { .. } => 0,
            Self::UsedInFuture => 5,
            Self::LongUnused => 10,
        }
    }
}

fn of_blocker(blocker: &Blocker) -> i32 {
    match blocker {
        Blocker::Disabled | Blocker::NeedsLogin { .. } | Blocker::Held { .. } | Blocker::Denied(_) => 95,
        Blocker::Resting { reason: RestReason::UsageLimit, .. } => 35,
        Blocker::Resting { reason: RestReason::Auth | RestReason::Network | RestReason::Server, .. } => 45,
        Blocker::QuotaSpent { .. } => 60,
        Blocker::NotPinned { .. } | Blocker::LacksModel { .. } | Blocker::Burst { .. } | Blocker::NoWorkspace => 50,
        Blocker::AlreadyTried => 0,
    }
}

impl Recommendation {
    /// The evaluator's choice, or what is left when it has none: the account that is free first without a spent window.
    pub fn of(decision: &Decision, prospects: &[Prospect]) -> Self {
        let risk_of = |record: &RecordId| {
            prospects.iter().find(|prospect| prospect.record == *record).map(|prospect| (prospect.risk, prospect))
        };
        let is_alive = |record: &RecordId| {
            risk_of(record).is_none_or(|(_, prospect)| prospect.availability == Availability::Ready)
        };
        if let Some((record, reason)) = decision.choice.as_ref().filter(|(record, _)| is_alive(record)) {
            let least =
                prospects.iter().filter(|p| p.availability == Availability::Ready).map(|prospect| prospect.risk).min();
            let is_lowest_risk = risk_of(record).map(|(risk, _)| risk) == least;
            return Self::Take { record: record.clone(), reason: *reason, is_lowest_risk };
        }
        if decision.choice.is_none() && prospects.iter().any(|it| it.availability == Availability::Ready) {
            return Self::SelectedCannot;
        }
        let waits = prospects
            .iter()
            .filter(|prospect| !prospect.is_exhausted)
            .filter_map(|prospect| Some((prospect.ready_at?, &prospect.record)));
        // Of two that are free at once the user's order decides, so that every screen names the same.
        if let Some((until, record)) = waits.min_by_key(|(until, _)| *until) {
            return Self::WaitFor { record: record.clone(), until };
        }
        let may_come_back = |prospect: &Prospect| {
            prospect.concerns.iter().any(|concern| match concern {
                Concern::Blocked(blocker) => !matches!(blocker, Blocker::Disabled | Blocker::NeedsLogin { .. }),
                Concern::Dead { .. }
                | Concern::NotTold { .. }
                | Concern::Used { .. }
                | Concern::UsedInFuture
                | Concern::LongUnused => false,
            })
        };
        if prospects.iter().any(may_come_back) { Self::AllBlocked } else { Self::NobodyHealthy }
    }

    /// The account it names.
    pub fn record(&self) -> Option<&RecordId> {
        match self {
            Self::Take { record, .. } | Self::WaitFor { record, .. } => Some(record),
            Self::SelectedCannot | Self::AllBlocked | Self::NobodyHealthy => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ask, Headroom, NeedsLogin, Rest, RestScope, Seat, Standards, Strategy, evaluate, testing::account};

    const NOW: Timestamp = Timestamp::from_secs(10_000_000);

    fn standing(account: &Account, spent_until: Option<Timestamp>, key: Option<&str>) -> Standing {
        let seat = Seat { headroom: Headroom { spent_until, ..Headroom::UNKNOWN }, ..Seat::of(account) };
        let ask = Ask { quota_key: key, ..Ask::default() };
        evaluate(&[seat], Standards::default(), ask, NOW).standings.remove(0)
    }

    #[track_caller]
    fn check(prospect: &Prospect, risk: u8, availability: Availability, wait: Option<u64>) {
        let waits = prospect.ready_at.map(|at| at.since(NOW).as_secs());
        assert_eq!((prospect.risk, prospect.availability, waits), (risk, availability, wait), "{prospect:?}");
    }

    fn of(account: &Account, used: &[f64]) -> Prospect {
        let used: Vec<_> = used.iter().map(|percent| (None, *percent)).collect();
        Prospect::of(account, &standing(account, None, Some("codex")), &used, None, (false, NOW))
    }

    fn rested(rests: &[(RestReason, &str, u64)]) -> Account {
        let mut account = account(1);
        for (reason, key, secs) in rests {
            let rest = Rest::of_account(*reason, NOW.after(Duration::from_secs(*secs)), NOW);
            let scope = if key.is_empty() { RestScope::Account } else { RestScope::QuotaKey((*key).to_owned()) };
            account.rests.push(Rest { scope, ..rest });
        }
        account
    }

    #[test]
    fn the_numbers_are_the_predecessors() {
        let mut healthy = account(1);
        healthy.seen.last_used_at = Timestamp::default();
        check(&of(&healthy, &[]), 0, Availability::Ready, None);
        check(&of(&healthy, &[85.0, 20.0]), 20, Availability::Ready, None);
        check(&of(&healthy, &[92.0, 20.0]), 35, Availability::Ready, None);
        check(&of(&healthy, &[99.6]), 55, Availability::Ready, None);
        let current = Prospect::of(&healthy, &standing(&healthy, None, None), &[], None, (true, NOW));
        check(&current, 0, Availability::Ready, None);
        let disabled = Account { enabled: false, ..account(1) };
        check(&of(&disabled, &[]), 95, Availability::Unavailable, None);
        let needs_login = Some(NeedsLogin { code: "x".into(), at: NOW });
        check(&of(&Account { needs_login, ..account(1) }, &[]), 95, Availability::Unavailable, None);
        check(&of(&rested(&[(RestReason::Server, "", 90)]), &[]), 45, Availability::Delayed, Some(90));
        let mut old = account(1);
        old.seen.last_used_at = NOW.before(Duration::from_hours(8 * 24));
        check(&of(&old, &[]), 10, Availability::Ready, None);
        old.seen.last_used_at = NOW.after(Duration::from_secs(5));
        check(&of(&old, &[]), 5, Availability::Ready, None);
        for (asked, risk, availability) in [
            (Trouble::Dead("revoked".into()), 90, Availability::Unavailable),
            (Trouble::Failed("503".into()), 25, Availability::Ready),
        ] {
            let asked = Prospect::of(&healthy, &standing(&healthy, None, None), &[], Some(&asked), (false, NOW));
            check(&asked, risk, availability, None);
        }
    }

    #[test]
    fn a_wait_ends_with_the_last_of_its_limits() {
        let limits = rested(&[(RestReason::UsageLimit, "codex", 600), (RestReason::UsageLimit, "codex", 60)]);
        assert_eq!(of(&limits, &[]).ready_at, Some(NOW.after(Duration::from_mins(10))));
        let elsewhere = rested(&[(RestReason::UsageLimit, "gpt-5.2", 600)]);
        check(&of(&elsewhere, &[]), 0, Availability::Ready, None);
        // The short window is spent, the weekly one is not: its end, five days away, is nobody's wait.
        let one = account(1);
        let until = NOW.after(Duration::from_mins(1));
        let spent = Prospect::of(&one, &standing(&one, Some(until), None), &[(None, 100.0)], None, (false, NOW));
        check(&spent, 100, Availability::Delayed, Some(60));
        assert!(spent.is_exhausted);
    }

    /// Two accounts, the first of them with this window spent.
    fn two(spent: Option<u64>, second_enabled: bool) -> Recommendation {
        let accounts = [account(1), Account { enabled: second_enabled, ..account(2) }];
        let spent_until = spent.map(|secs| NOW.after(Duration::from_secs(secs)));
        let first = Headroom { spent_until, ..Headroom::UNKNOWN };
        let seats = [Seat { headroom: first, ..Seat::of(&accounts[0]) }, Seat::of(&accounts[1])];
        let standards = Standards { strategy: Strategy::Sequential, ..Standards::default() };
        let decision = evaluate(&seats, standards, Ask::default(), NOW);
        let look = |(account, standing)| Prospect::of(account, standing, &[], None, (false, NOW));
        let prospects: Vec<_> = accounts.iter().zip(&decision.standings).map(look).collect();
        Recommendation::of(&decision, &prospects)
    }

    #[test]
    fn what_is_exhausted_is_never_recommended() {
        assert_eq!(two(None, true).record(), Some(&account(1).record));
        assert_eq!(two(Some(60), true).record(), Some(&account(2).record));
        assert_eq!(two(Some(60), false), Recommendation::AllBlocked);
    }

    #[test]
    fn the_shortest_wait_is_named_where_nobody_is_ready() {
        let accounts = [rested(&[(RestReason::Server, "", 90)]), {
            let mut second = rested(&[(RestReason::Server, "", 30)]);
            second.record = account(2).record;
            second
        }];
        let seats = accounts.each_ref().map(Seat::of);
        let decision = evaluate(&seats, Standards::default(), Ask::default(), NOW);
        let look = |(account, standing)| Prospect::of(account, standing, &[], None, (false, NOW));
        let prospects: Vec<_> = accounts.iter().zip(&decision.standings).map(look).collect();
        let until = NOW.after(Duration::from_secs(30));
        let expect = Recommendation::WaitFor { record: account(2).record, until };
        assert_eq!(Recommendation::of(&decision, &prospects), expect);
        assert_eq!(decision.ready_at(), Some(until));
    }
}
