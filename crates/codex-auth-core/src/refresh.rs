//! When to refresh: one plan for routing, `check` and `switch`.

use std::time::Duration;

use crate::{Held, Timestamp};

/// The official client refreshes from five minutes before the end on; so do we, ahead of time.
pub const REFRESH_AHEAD: Duration = Duration::from_mins(5);

/// A token that ends within this span is not sent any more.
pub const USABLE_FOR: Duration = Duration::from_secs(30);

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
    if credential.is_live(now, REFRESH_AHEAD) {
        return RefreshPlan::Use;
    }
    if credential.is_live(now, USABLE_FOR) { RefreshPlan::RefreshBehind } else { RefreshPlan::RefreshFirst }
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
    fn a_dead_account_asks_for_login() {
        let mut one = held(1);
        one.account.needs_login = Some(crate::NeedsLogin { code: "x".into(), at: Timestamp::default() });
        assert_eq!(plan(&one, Timestamp::default()), RefreshPlan::AskForLogin);
    }
}
