//! The sentences of a forecast: what speaks against an account, and why one is named.

use codex_auth_core::{
    Availability, Blocker, Concern, Prospect, Reason, Recommendation, RestReason, RiskLevel, Timestamp,
};

use super::window::name_of;
use crate::{wait::left, words::plain};

/// One concern, or several sentences of one.
pub(super) fn words(concern: &Concern, now: Timestamp) -> Vec<String> {
    match concern {
        Concern::Blocked(blocker) => of_blocker(blocker, now),
        Concern::Dead { why } => vec![format!("hard auth failure: {}", plain(why))],
        Concern::NotTold { why } => vec![format!("refresh warning: {}", plain(why))],
        // Rounded down: 99.6 % used is not all of it.
        Concern::Used { length, percent } => {
            vec![format!("{} quota {:.0}% used", name_of(*length), percent.floor())]
        }
        Concern::UsedInFuture => vec!["last used in the future; the clock was wrong".to_owned()],
        Concern::LongUnused => vec!["not used for more than 7 days".to_owned()],
    }
}

fn of_blocker(blocker: &Blocker, now: Timestamp) -> Vec<String> {
    match blocker {
        Blocker::Disabled => vec!["account is disabled".to_owned()],
        Blocker::NeedsLogin { .. } => vec!["token-invalid — re-login needed".to_owned()],
        Blocker::Resting { reason: RestReason::UsageLimit, until, .. } => {
            vec![format!("rate limit resets in {}", left(*until, now))]
        }
        Blocker::Resting { reason: RestReason::Auth | RestReason::Network | RestReason::Server, until, .. } => {
            vec![format!("cooldown remaining {}", left(*until, now))]
        }
        Blocker::QuotaSpent { until } => {
            vec!["quota cache exhausted".to_owned(), format!("quota resets in {}", left(*until, now))]
        }
        Blocker::Held { .. } | Blocker::Denied(_) => vec!["runtime policy blocked account".to_owned()],
        Blocker::NotPinned { .. }
        | Blocker::LacksModel { .. }
        | Blocker::Burst { .. }
        | Blocker::AlreadyTried
        | Blocker::NoWorkspace => vec![format!("runtime skip: {}", blocker.code())],
    }
}

/// Why this account, or why none: the same sentence in `forecast` and `best`.
pub fn recommendation_text(recommendation: &Recommendation, prospects: &[Prospect], now: Timestamp) -> String {
    match recommendation {
        Recommendation::Take { record, reason, is_lowest_risk } => {
            let of = prospects.iter().find(|prospect| prospect.record == *record);
            let (level, score) = of.map_or(("low", 0), |prospect| (level(prospect.level()), prospect.risk));
            let chosen = match reason {
                Reason::Pinned => "Pinned account",
                Reason::SameSession | Reason::Selected => "Selected account",
                Reason::FirstInOrder
                | Reason::MostHeadroom
                | Reason::WarmCache
                | Reason::WorthMoving
                | Reason::NextInTurn
                | Reason::ExpiresFirst
                | Reason::StartsWindow => {
                    if *is_lowest_risk {
                        "Lowest risk ready account"
                    } else {
                        "Ready account the strategy chose"
                    }
                }
            };
            format!("{chosen} ({level}, score {score}).")
        }
        Recommendation::WaitFor { until, .. } => {
            format!("No account is immediately ready; pick shortest wait ({}).", left(*until, now))
        }
        Recommendation::SelectedCannot => {
            "The strategy is manual and the selected account cannot serve; `codex-multi-auth switch <n>` takes another."
                .to_owned()
        }
        Recommendation::AllBlocked => {
            "All accounts are blocked or exhausted. Wait for a reset, clear the block, or run \
                                       `codex-multi-auth login` to add a fresh account."
                .to_owned()
        }
        Recommendation::NobodyHealthy => {
            "No healthy accounts are available. Run `codex-multi-auth login` to add a fresh account.".to_owned()
        }
    }
}

pub(super) fn level(level: RiskLevel) -> &'static str {
    match level {
        RiskLevel::Low => "low",
        RiskLevel::Medium => "medium",
        RiskLevel::High => "high",
    }
}

pub(super) fn availability(availability: Availability) -> &'static str {
    match availability {
        Availability::Ready => "ready",
        Availability::Delayed => "delayed",
        Availability::Unavailable => "unavailable",
    }
}

/// A label whose e-mail address is cut to its first two letters: `al***@***.test`.
pub fn masked(label: &str) -> String {
    let mask = |word: &str| match word.split_once('@') {
        Some((local, domain)) => {
            let head: String = local.trim_start_matches('(').chars().take(2).collect();
            let lead: String = local.chars().take_while(|letter| *letter == '(').collect();
            let end = domain.rsplit('.').next().unwrap_or(domain);
            format!("{lead}{head}***@***.{end}")
        }
        None => word.to_owned(),
    };
    label.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_nothing_else() {
        assert_eq!(masked("Account 1 (alice@corp.test, id:000001)"), "Account 1 (al***@***.test, id:000001)");
        assert_eq!(masked("Account 2 (Work)"), "Account 2 (Work)");
        assert_eq!(masked("Account 3 (a@b.co)"), "Account 3 (a***@***.co)");
    }

    #[test]
    fn nearly_all_is_not_all() {
        let nearly = Concern::Used { length: None, percent: 99.6 };
        assert_eq!(words(&nearly, Timestamp::default()), ["quota quota 99% used"]);
    }
}
