//! Owns the name of a record that lacks a part of its identity: made of what is known, and counted among equals.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::json;

use crate::json::{self, Object};

/// How every such name begins.
pub(crate) const LEGACY: &str = "legacy|";

/// The fingerprint of a record that says nothing at all of its owner.
pub(crate) const NOTHING_KNOWN: &str = "legacy|_|_|_";

/// `legacy|<account id>|<e-mail>|<plan>`, each part percent-encoded, `_` where nothing is known.
pub fn legacy_fingerprint(record: &Object) -> String {
    let id = json::text(record, "accountId").map(str::to_owned);
    let lower = |key: &str| json::text(record, key).map(str::to_lowercase);
    let part = |text: Option<String>| text.map_or_else(|| "_".to_owned(), |text| percent_encoded(&text));
    format!("{LEGACY}{}|{}|{}", part(id), part(lower("email")), part(lower("plan")))
}

/// The key of a record without one, when `occurrence` others with its fingerprint stand before it.
pub fn fallback_key(record: &Object, occurrence: usize) -> String {
    let fingerprint = legacy_fingerprint(record);
    if occurrence == 0 { fingerprint } else { format!("{fingerprint}|dup:{}", occurrence + 1) }
}

/// Gives each record that lacks a key of its own a key that no other has.
pub(crate) fn name_the_nameless(records: &mut [Object]) {
    let mut met: HashMap<String, usize> = HashMap::new();
    for record in records {
        if own_key(record).is_none() {
            let occurrence = met.entry(legacy_fingerprint(record)).or_default();
            let key = fallback_key(record, *occurrence);
            *occurrence += 1;
            json::set(record, "identityKey", Some(json!(key)));
        }
    }
}

/// The stored key, unless it is only a fingerprint: two accounts may share that.
pub(crate) fn own_key(record: &Object) -> Option<&str> {
    json::text(record, "identityKey").filter(|key| !key.starts_with(LEGACY))
}

/// As JavaScript's `encodeURIComponent` does it.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[track_caller]
    fn check(record: &Value, occurrence: usize, expect: &str) {
        assert_eq!(fallback_key(record.as_object().expect("a record"), occurrence), expect);
    }

    #[test]
    fn says_what_is_known_and_which_of_equals() {
        check(&json!({}), 0, "legacy|_|_|_");
        check(&json!({ "email": "A B@X.test" }), 0, "legacy|_|a%20b%40x.test|_");
        check(&json!({ "email": "d@x.test" }), 1, "legacy|_|d%40x.test|_|dup:2");
        check(&json!({ "accountId": " Ü|1 ", "plan": "PRO" }), 0, "legacy|%C3%9C%7C1|_|pro");
    }
}
