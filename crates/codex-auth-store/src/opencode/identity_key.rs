//! Owns `identityKey`, a field of the format and not our identity: it holds the plan, so it changes with an upgrade.
//!
//! Internally accounts are told apart by [`IdentityKey`](codex_auth_core::IdentityKey) alone; this text is made anew at
//! each write, for old readers.

use serde_json::json;

use super::fingerprint::LEGACY;
use crate::json::{self, Object};

/// `<account id>|<e-mail>|<plan>`, the latter two in lower case; `None` unless all three are known.
pub fn canonical_key(account: Option<&str>, email: Option<&str>, plan: Option<&str>) -> Option<String> {
    let known = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let (account, email, plan) = (known(account)?, known(email)?, known(plan)?);
    Some(format!("{account}|{}|{}", email.to_lowercase(), plan.to_lowercase()))
}

/// The canonical key of a record's own fields.
pub fn key_of(record: &Object) -> Option<String> {
    let text = |key: &str| json::text(record, key);
    canonical_key(text("accountId"), text("email"), text("plan"))
}

/// Brings the stored key up to the record's fields; a key that somebody else made up is left alone.
pub fn synchronise(record: &mut Object) {
    let Some(canonical) = key_of(record) else { return };
    if json::text(record, "identityKey").is_none_or(is_made_of_fields) {
        json::set(record, "identityKey", Some(json!(canonical)));
    }
}

/// Whether a key was made of a record's fields, now or earlier.
fn is_made_of_fields(key: &str) -> bool {
    let parts: Vec<&str> = key.split('|').collect();
    key.starts_with(LEGACY) || (parts.len() == 3 && parts.iter().all(|part| !part.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(record: &Value, expect: Option<&str>) {
        let mut record = record.as_object().expect("a record").clone();
        synchronise(&mut record);
        assert_eq!(json::text(&record, "identityKey"), expect);
    }

    #[test]
    fn the_key_follows_the_fields() {
        let fields = |key: &str| json!({ "identityKey": key, "accountId": "W", "email": " E@x.test ", "plan": "Plus" });
        check(&fields(""), Some("W|e@x.test|plus"));
        check(&fields("W|e@x.test|free"), Some("W|e@x.test|plus"));
        check(&fields("legacy|_|_|_"), Some("W|e@x.test|plus"));
    }

    #[test]
    fn a_key_of_somebody_else_and_a_record_with_gaps_stay() {
        check(&json!({ "identityKey": "mine", "accountId": "w", "email": "e", "plan": "p" }), Some("mine"));
        check(&json!({ "accountId": "w" }), None);
        check(&json!({ "identityKey": "legacy|w|_|_", "accountId": "w" }), Some("legacy|w|_|_"));
    }
}
