//! When to refresh: one plan for routing, `check` and `switch`.

use std::time::Duration;

use crate::{Credential, Held, RefreshReason, Timestamp};

/// The official client refreshes from five minutes before the end on; so do we, ahead of time.
pub const REFRESH_AHEAD: Duration = Duration::from_mins(5);

/// A token that ends within this span is not sent any more.
pub const USABLE_FOR: Duration = Duration::from_secs(30);

/// A token that names no end is renewed when it is this old, as the official client does.
pub const RENEW_AT_AGE: Duration = Duration::from_hours(8 * 24);

/// What to do about a credential before a request uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshPlan {
    /// Good as it is.
    Use,
    /// Good for this request; renew it meanwhile.
    RefreshBehind,
    /// Renew it first.
    RefreshFirst,
    /// Only a new sign-in helps.
    AskForLogin,
}

/// Plans.
pub fn plan(held: &Held, now: Timestamp) -> RefreshPlan {
    let credential = &held.credential;
    if held.account.needs_login.is_some() || (credential.refresh.is_blank() && !credential.is_live(now, USABLE_FOR)) {
        return RefreshPlan::AskForLogin;
    }
    let is_old = is_endless(credential) && credential.obtained_at.is_some_and(|at| now.since(at) >= RENEW_AT_AGE);
    if credential.is_live(now, REFRESH_AHEAD) && (!is_old || credential.refresh.is_blank()) {
        return RefreshPlan::Use;
    }
    if credential.is_live(now, USABLE_FOR) { RefreshPlan::RefreshBehind } else { RefreshPlan::RefreshFirst }
}

/// Why a credential is renewed that nobody refused.
pub fn reason_ahead(credential: &Credential) -> RefreshReason {
    if is_endless(credential) { RefreshReason::Scheduled } else { RefreshReason::ProactiveExpiry }
}

fn is_endless(credential: &Credential) -> bool {
    credential.access.is_some() && credential.expires_at.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::held;

    #[track_caller]
    fn check(expires_in_secs: i64, expect: RefreshPlan) {
        let mut one = held(1);
        one.credential.expires_at = Some(Timestamp::from_secs(1000 + expires_in_secs));
        assert_eq!(plan(&one, Timestamp::from_secs(1000)), expect);
    }

    #[test]
    fn follows_the_time_left() {
        check(301, RefreshPlan::Use);
        check(300, RefreshPlan::RefreshBehind);
        check(31, RefreshPlan::RefreshBehind);
        check(30, RefreshPlan::RefreshFirst);
        check(-1, RefreshPlan::RefreshFirst);
    }

    #[test]
    fn a_token_without_an_end_is_renewed_by_its_age() {
        let mut one = held(1);
        let now = Timestamp::default().after(RENEW_AT_AGE);
        assert_eq!(plan(&one, now), RefreshPlan::Use, "nobody knows how old it is");
        one.credential.obtained_at = Some(Timestamp::default());
        assert_eq!(plan(&one, now), RefreshPlan::RefreshBehind);
        assert_eq!(plan(&one, Timestamp::from_millis(now.as_millis() - 1)), RefreshPlan::Use);
        assert_eq!(reason_ahead(&one.credential), RefreshReason::Scheduled);
        one.credential.expires_at = Some(now.after(Duration::from_hours(1)));
        assert_eq!(plan(&one, now), RefreshPlan::Use, "its end counts, not its age");
        assert_eq!(reason_ahead(&one.credential), RefreshReason::ProactiveExpiry);
    }

    #[test]
    fn a_dead_account_asks_for_login() {
        let mut one = held(1);
        one.account.needs_login = Some(crate::NeedsLogin { code: "x".into(), at: Timestamp::default() });
        assert_eq!(plan(&one, Timestamp::default()), RefreshPlan::AskForLogin);
    }
}
