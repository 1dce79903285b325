//! Owns the small changes of a running program: a cool-down, renewed tokens, and one grant that stands twice.

use codex_auth_core::RefreshToken;
use serde_json::{Number, Value, json};

use super::{Domain, normalise, record};
use crate::{
    hash::token_hash,
    json::{self, Object},
};

/// What a renewal brought.
#[derive(Clone, PartialEq, Eq)]
pub struct RenewedTokens {
    /// The access token.
    pub access: String,
    /// The refresh token; it can be spent once.
    pub refresh: String,
    /// When the access token ends, in milliseconds.
    pub expires: i64,
}

impl std::fmt::Debug for RenewedTokens {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RenewedTokens").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Keeps an account from being chosen before `until`, in milliseconds. A disabled one is left alone; tells whether
/// anything was set.
pub fn set_cooldown(openai: &mut Object, domain: Domain, identity_key: &str, until: &Number) -> bool {
    change(openai, domain, identity_key, |record| {
        json::set(record, "cooldownUntil", Some(Value::Number(until.clone())));
    })
}

/// Stores renewed tokens with an account. A disabled one is left alone; tells whether anything was set.
pub fn set_tokens(openai: &mut Object, domain: Domain, identity_key: &str, tokens: &RenewedTokens) -> bool {
    let mut spent = None;
    let is_set = change(openai, domain, identity_key, |record| {
        spent = json::text(record, "refresh").map(str::to_owned);
        write_tokens(record, tokens);
    });
    if let Some(spent) = spent {
        carry_grant(openai, domain.other(), &spent, tokens);
    }
    is_set
}

/// A sign-in copied into both domains holds one grant: once it is renewed, the other copy's token is spent.
pub(crate) fn carry_grant(openai: &mut Object, into: Domain, spent: &str, tokens: &RenewedTokens) {
    carry(openai, into, &|refresh| refresh == spent, tokens);
}

/// The same for whoever knows no more than the hash of what was spent, in both domains.
pub(crate) fn carry_spent(openai: &mut Object, spent_hash: &str, tokens: &RenewedTokens) {
    for domain in Domain::ALL {
        carry(openai, domain, &|refresh| token_hash(&RefreshToken::new(refresh)) == spent_hash, tokens);
    }
}

fn carry(openai: &mut Object, into: Domain, is_spent: &dyn Fn(&str) -> bool, tokens: &RenewedTokens) {
    let Some(content) = openai.get_mut(into.name()).and_then(Value::as_object_mut) else { return };
    let mut records = normalise::records(content);
    for record in records.iter_mut().filter(|record| json::text(record, "refresh").is_some_and(is_spent)) {
        write_tokens(record, tokens);
    }
    normalise::put_records(content, records);
}

fn write_tokens(record: &mut Object, tokens: &RenewedTokens) {
    json::set(record, "refresh", Some(json!(tokens.refresh)));
    json::set(record, "access", Some(json!(tokens.access)));
    json::set(record, "expires", Some(json!(tokens.expires)));
}

/// Changes the first enabled record of this key, then brings the compatibility list up to it.
fn change(openai: &mut Object, domain: Domain, identity_key: &str, apply: impl FnOnce(&mut Object)) -> bool {
    let mut normal = normalise::normalise(openai);
    let Some(content) = normal.get_mut(domain.name()).and_then(Value::as_object_mut) else { return false };
    let mut records = normalise::records(content);
    let is_meant = |one: &&mut Object| record::stored_key(one) == Some(identity_key) && record::is_enabled(one);
    let Some(found) = records.iter_mut().find(is_meant) else { return false };
    apply(found);
    normalise::put_records(content, records);
    *openai = normalise::normalise(&normal);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(enabled: bool) -> Object {
        let account = json!({ "accountId": "a", "email": "e", "plan": "p", "refresh": "r", "enabled": enabled });
        let openai = json!({ "type": "oauth", "accounts": [], "native": { "accounts": [account] },
            "codex": { "accounts": [account, { "refresh": "other" }] } });
        normalise::normalise(openai.as_object().expect("an object"))
    }

    fn tokens() -> RenewedTokens {
        RenewedTokens { access: "SECRET-A".into(), refresh: "SECRET-R".into(), expires: 7 }
    }

    #[test]
    fn a_renewed_grant_is_renewed_wherever_it_stands() {
        let mut openai = openai(true);
        assert!(set_tokens(&mut openai, Domain::Native, "a|e|p", &tokens()));
        let refresh = |domain: &str| openai[domain]["accounts"][0]["refresh"].clone();
        assert_eq!((refresh("native"), refresh("codex")), (json!("SECRET-R"), json!("SECRET-R")));
        assert_eq!(openai["codex"]["accounts"][1]["refresh"], "other");
    }

    #[test]
    fn a_disabled_account_is_left_alone() {
        let mut openai = openai(false);
        let before = openai.clone();
        assert!(!set_tokens(&mut openai, Domain::Native, "a|e|p", &tokens()));
        assert!(!set_cooldown(&mut openai, Domain::Codex, "a|e|p", &Number::from(5)));
        assert_eq!(openai, before);
    }

    #[test]
    fn tokens_are_not_shown() {
        assert_eq!(format!("{:?}", tokens()), "RenewedTokens { expires: 7, .. }");
    }
}
