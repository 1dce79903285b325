//! Owns the texts under which the predecessor's formats file things about an account: policies, trackers, schedules.
//!
//! They are names in its files, not our identity: positions and e-mail addresses change. Where two accounts could
//! share such a name, [`seat_key`] tells them apart; the predecessor's name is then only read.

use codex_auth_core::{Held, IdentityKey, RefreshToken};

use crate::hash::{sha256_hex, token_hash};

/// What the predecessor knows of an account when it makes a name. Blank texts count as absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// `recordId`.
    pub record: Option<&'a str>,
    /// `accountId`, the workspace.
    pub account: Option<&'a str>,
    /// E-mail address, as it was typed.
    pub email: Option<&'a str>,
    /// Refresh token; only its hash goes into a name.
    pub refresh: Option<&'a RefreshToken>,
    /// `addedAt` in milliseconds since the epoch.
    pub added_at: Option<i64>,
}

impl<'a> Facts<'a> {
    /// What is known of an account of the pool.
    pub fn of(held: &'a Held) -> Self {
        let owner = &held.account.owner;
        Self {
            record: Some(held.account.record.as_str()),
            account: owner.workspace.as_ref().map(codex_auth_core::WorkspaceId::as_str),
            email: owner.email.as_deref(),
            refresh: Some(&held.credential.refresh),
            added_at: Some(held.account.seen.added_at.as_millis()),
        }
    }

    fn account(&self) -> Option<&'a str> {
        set(self.account)
    }

    fn email(&self) -> Option<String> {
        set(self.email).map(str::to_lowercase)
    }

    fn refresh_hash(&self) -> Option<String> {
        self.refresh.filter(|token| !token.is_blank()).map(token_hash)
    }
}

/// `account:<id>::email:<e-mail>`, whichever of both is known, else the hash of the refresh token.
///
/// Trackers that live in memory leave the token out and use the position instead: see [`entitlement_key`].
pub fn identity_key(facts: &Facts<'_>) -> Option<String> {
    match (facts.account(), facts.email()) {
        (Some(account), Some(email)) => Some(format!("account:{account}::email:{email}")),
        (Some(account), None) => Some(format!("account:{account}")),
        (None, Some(email)) => Some(format!("email:{email}")),
        (None, None) => facts.refresh_hash().map(|hash| format!("refresh:{hash}")),
    }
}

/// The predecessor's name of an account in its policies: seats of one workspace share it.
pub fn policy_key(facts: &Facts<'_>) -> String {
    let email = facts.email();
    let named = facts.account().or(email.as_deref()).unwrap_or("unknown");
    format!("sha256:{}", sha256_hex(named))
}

/// Our name of an account in policies, in the same shape: no two seats share it, and it stays when an address or an
/// account id becomes known. What stands under [`policy_key`] is read as long as nothing stands here.
pub fn seat_key(identity: &IdentityKey) -> String {
    format!("sha256:{}", sha256_hex(format!("{}\0{}", identity.user, identity.workspace)))
}

/// The name of an account in entitlement notes; `index` is its position where nothing else tells it apart.
pub fn entitlement_key(facts: &Facts<'_>, index: Option<usize>) -> String {
    match (facts.account(), facts.email(), index) {
        (Some(account), Some(email), _) => format!("account:{account}::email:{email}"),
        (None, Some(email), _) => format!("email:{email}"),
        (Some(account), None, Some(index)) => format!("account:{account}::idx:{index}"),
        (Some(account), None, None) => format!("account:{account}"),
        (None, None, index) => format!("idx:{}", index.unwrap_or(0)),
    }
}

/// The name under which a deferral of a model, or of a family of models, is kept.
pub fn quota_schedule_key(facts: &Facts<'_>, model: &str) -> Option<String> {
    let added = facts.added_at.map(|at| format!(":added:{at}")).unwrap_or_default();
    let account = set(facts.record)
        .map(|record| format!("record:{record}"))
        .or_else(|| facts.email().map(|email| format!("email:{email}{added}")))
        .or_else(|| facts.account().map(|account| format!("id:{account}{added}")))
        .or_else(|| facts.refresh_hash().map(|hash| format!("refresh:{hash}{added}")))?;
    Some(format!("account:{account}:{model}"))
}

fn set(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{UserId, WorkspaceId};

    use super::*;

    fn facts(account: &'static str, email: &'static str) -> Facts<'static> {
        Facts { account: Some(account), email: Some(email), ..Facts::default() }
    }

    #[track_caller]
    fn identity(account: &'static str, email: &'static str, token: &str, expect: Option<&str>) {
        let token = RefreshToken::new(token);
        let facts = Facts { refresh: Some(&token), ..facts(account, email) };
        assert_eq!(identity_key(&facts).as_deref(), expect);
    }

    #[test]
    fn identity_keys() {
        identity("A", " X@a.co", "tok", Some("account:A::email:x@a.co"));
        identity(" A ", " ", "tok", Some("account:A"));
        identity("", "x@a.co", "tok", Some("email:x@a.co"));
        let hashed = "refresh:1a7674eb4ee78df7e1ac439a93c3fa8e3c945784d4dec9fd8e3011738b2f1d62";
        identity("", "", "tok", Some(hashed));
        identity("", "", " ", None);
    }

    #[track_caller]
    fn policy(account: &'static str, email: &'static str, expect: &str) {
        assert_eq!(policy_key(&facts(account, email)), format!("sha256:{expect}"));
    }

    #[test]
    fn policy_keys() {
        policy("acc-123", "x@a.co", "1ce67b02fd7c533958bf175317ed8a68773889b8d4a455d1f3ba6152d75ba6e4");
        policy("", " X@a.co", "0cf5e82754a4d70f3acd5efee8f2b70a610dd57589dfb0e90e8d1fd0b2b32b55");
        policy("", "", "b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc");
    }

    #[test]
    fn two_seats_of_one_workspace_have_two_seat_keys() {
        let seat = |user: &str, workspace: &str| {
            let (user, workspace) = (UserId::parse(user), WorkspaceId::parse(workspace));
            seat_key(&IdentityKey { user: user.expect("not blank"), workspace: workspace.expect("not blank") })
        };
        assert_eq!(policy_key(&facts("w", "a@x")), policy_key(&facts("w", "b@x")), "the predecessor's collide");
        assert_ne!(seat("u1", "w"), seat("u2", "w"));
        assert_ne!(seat("u1", "w1"), seat("u1", "w2"));
        assert_eq!(seat("u1", "w").len(), policy_key(&facts("w", "")).len());
    }

    #[track_caller]
    fn entitlement(account: &'static str, email: &'static str, index: Option<usize>, expect: &str) {
        assert_eq!(entitlement_key(&facts(account, email), index), expect);
    }

    #[test]
    fn entitlement_keys() {
        entitlement("A", "X", Some(2), "account:A::email:x");
        entitlement("", "x", Some(2), "email:x");
        entitlement("A", "", Some(2), "account:A::idx:2");
        entitlement("A", "", None, "account:A");
        entitlement("", "", Some(3), "idx:3");
        entitlement("", "", None, "idx:0");
    }

    #[track_caller]
    fn schedule(facts: &Facts<'_>, expect: Option<&str>) {
        assert_eq!(quota_schedule_key(facts, "gpt-5.2").as_deref(), expect);
    }

    #[test]
    fn quota_schedule_keys() {
        let token = RefreshToken::new("tok");
        let hash = "1a7674eb4ee78df7e1ac439a93c3fa8e3c945784d4dec9fd8e3011738b2f1d62";
        let whole =
            Facts { record: Some("record:1"), refresh: Some(&token), added_at: Some(7), ..facts("A", "X@a.co") };
        schedule(&whole, Some("account:record:record:1:gpt-5.2"));
        schedule(&Facts { record: None, ..whole }, Some("account:email:x@a.co:added:7:gpt-5.2"));
        schedule(&Facts { record: None, added_at: None, ..whole }, Some("account:email:x@a.co:gpt-5.2"));
        schedule(&Facts { record: None, email: None, ..whole }, Some("account:id:A:added:7:gpt-5.2"));
        let nameless = Facts { refresh: Some(&token), ..Facts::default() };
        schedule(&nameless, Some(&format!("account:refresh:{hash}:gpt-5.2")));
        schedule(&Facts::default(), None);
    }
}
