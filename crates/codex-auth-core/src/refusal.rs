//! Why nobody can serve, in the words a person needs: one cause, when it ends, and what to do.

use crate::{
    Blocker, Decision, Denial, RecordId, RestReason, Standards, Standing, Strategy, Timestamp, policy::wants_model,
};

/// Why a request has no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The cause that decides the answer.
    pub cause: Cause,
    /// Every account's standing, in pool order.
    pub standings: Vec<Standing>,
    /// Whether it is the model alone: all who may serve lack it.
    pub wants_model: bool,
}

/// The cause of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There are no accounts.
    NoAccounts,
    /// Every account needs the user: a sign-in, or to be enabled.
    NeedsUser,
    /// Quotas are spent; the first reset is known.
    UsageLimited {
        /// Earliest instant at which an account may serve.
        until: Timestamp,
    },
    /// The backend or the way to it failed for every account.
    Unreachable {
        /// Earliest instant at which an account may serve, where one rests.
        until: Option<Timestamp>,
    },
    /// The pinned account cannot serve, and a pin never spills.
    Pinned {
        /// The pinned account.
        record: RecordId,
        /// When it may serve, if that comes by itself.
        until: Option<Timestamp>,
    },
    /// The strategy never moves by itself, and the selected account cannot serve.
    NothingSelected,
    /// A rule of the user refuses the request.
    Denied(Denial),
    /// No account that may serve has access to the model.
    NoModel {
        /// When the first one is asked anew.
        until: Timestamp,
    },
}

/// Names the cause behind a decision without a choice.
pub fn refusal_of(decision: &Decision, standards: Standards<'_>) -> Refusal {
    let Standards { strategy, pin, active, .. } = standards;
    let standings = decision.standings.clone();
    // The strategy that never moves by itself knows one account, too.
    let only = pin.or(active.filter(|_| strategy == Strategy::Manual));
    let wants_model = wants_model(&standings, only);
    let cause = match (denial_of(&standings), pin) {
        _ if standings.is_empty() => Cause::NoAccounts,
        (Some(denial), _) => Cause::Denied(denial),
        (None, Some(pin)) => pinned(&standings, pin),
        (None, None) if strategy == Strategy::Manual && standings.iter().any(Standing::is_ready) => {
            Cause::NothingSelected
        }
        (None, None) => of_pool(&standings),
    };
    Refusal { cause, standings, wants_model }
}

fn pinned(standings: &[Standing], pin: &RecordId) -> Cause {
    let standing = standings.iter().find(|standing| standing.record == *pin);
    // A fault of the backend is no limit of the account: the client is to come back, not to give up.
    let faults_only = |blocker: &Blocker| match blocker {
        Blocker::AlreadyTried | Blocker::Burst { .. } => true,
        Blocker::Resting { reason, .. } => *reason != RestReason::UsageLimit,
        Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::NotPinned { .. }
        | Blocker::NoWorkspace
        | Blocker::Held { .. }
        | Blocker::QuotaSpent { .. }
        | Blocker::LacksModel { .. }
        | Blocker::Denied(_) => false,
    };
    match standing {
        Some(standing)
            if let Some(until) = standing.ready_at().filter(|_| wants_model(std::slice::from_ref(standing), None)) =>
        {
            Cause::NoModel { until }
        }
        Some(standing) if standing.blockers.iter().all(faults_only) => {
            Cause::Unreachable { until: standing.ready_at() }
        }
        Some(standing) => Cause::Pinned { record: pin.clone(), until: standing.ready_at() },
        None => Cause::Pinned { record: pin.clone(), until: None },
    }
}

fn of_pool(standings: &[Standing]) -> Cause {
    let usage_limited = |standing: &&Standing| {
        let is_usage = |blocker: &Blocker| {
            matches!(blocker, Blocker::Resting { reason: RestReason::UsageLimit, .. } | Blocker::QuotaSpent { .. })
        };
        standing.blockers.iter().any(is_usage)
    };
    if let Some(until) = standings.iter().filter(usage_limited).filter_map(Standing::ready_at).min() {
        return Cause::UsageLimited { until };
    }
    let may_come_back = |standing: &Standing| {
        let passes = |blocker: &Blocker| {
            matches!(blocker, Blocker::Resting { .. } | Blocker::AlreadyTried | Blocker::Burst { .. })
        };
        standing.blockers.iter().all(passes)
    };
    if standings.iter().any(may_come_back) {
        return Cause::Unreachable { until: standings.iter().filter_map(Standing::ready_at).min() };
    }
    let lacks_model =
        |standing: &&Standing| standing.blockers.iter().any(|blocker| matches!(blocker, Blocker::LacksModel { .. }));
    if let Some(until) = standings.iter().filter(lacks_model).filter_map(Standing::ready_at).min() {
        return Cause::NoModel { until };
    }
    Cause::NeedsUser
}

fn denial_of(standings: &[Standing]) -> Option<Denial> {
    standings.iter().flat_map(|standing| &standing.blockers).find_map(|blocker| match blocker {
        Blocker::Denied(denial) => Some(denial.clone()),
        Blocker::Disabled
        | Blocker::NeedsLogin { .. }
        | Blocker::Resting { .. }
        | Blocker::NotPinned { .. }
        | Blocker::AlreadyTried
        | Blocker::NoWorkspace
        | Blocker::Held { .. }
        | Blocker::QuotaSpent { .. }
        | Blocker::LacksModel { .. }
        | Blocker::Burst { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RestScope, testing::account};

    const SOON: Timestamp = Timestamp::from_millis(9000);

    fn resting(reason: RestReason) -> Blocker {
        Blocker::Resting { until: SOON, reason, scope: RestScope::Account }
    }

    #[track_caller]
    fn check(blockers: &[Blocker], expect: &Cause) {
        let standings = blockers
            .iter()
            .enumerate()
            .map(|(index, blocker)| Standing { record: account(index).record, blockers: vec![blocker.clone()] })
            .collect();
        let decision = Decision { choice: None, price: None, standings };
        assert_eq!(&refusal_of(&decision, Standards::default()).cause, expect);
    }

    #[test]
    fn a_spent_quota_is_the_cause_when_one_is_known() {
        check(&[Blocker::Disabled, resting(RestReason::UsageLimit)], &Cause::UsageLimited { until: SOON });
        check(&[resting(RestReason::Server), resting(RestReason::UsageLimit)], &Cause::UsageLimited { until: SOON });
    }

    #[test]
    fn faults_everywhere_are_unreachable() {
        check(&[resting(RestReason::Server)], &Cause::Unreachable { until: Some(SOON) });
        check(&[Blocker::AlreadyTried, Blocker::Disabled], &Cause::Unreachable { until: None });
    }

    #[test]
    fn the_user_is_asked_when_only_the_user_helps() {
        check(&[Blocker::Disabled, Blocker::NeedsLogin { code: "x".into() }], &Cause::NeedsUser);
        check(&[], &Cause::NoAccounts);
    }
}
