//! Owns where a sign-in goes: into the record of its account, or into a new one.

use serde_json::{Value, json};

use super::{
    Domain, auth_types_value,
    identity_key::key_of,
    matching, normalise,
    record::{expires, normalise_record, spell_identity, stored_key},
};
use crate::json::{self, Object};

/// Where a sign-in was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The place of its record in the domain.
    pub index: usize,
    /// Whether the record is new.
    pub added: bool,
    /// The key the record had before, when it has another one now: sessions and snapshots may still know that one.
    pub former_key: Option<String>,
}

/// Stores a fresh sign-in in a domain and makes it the active one.
///
/// One person in one workspace is one account: a changed plan changes the record.
pub fn login(content: &mut Object, domain: Domain, incoming: &Object) -> Stored {
    let mut incoming = incoming.clone();
    spell_identity(&mut incoming);
    let mut records = normalise::records(content);
    let known = matching::same_account(&records, &incoming).or_else(|| matching::same_grant(&records, &incoming));
    let (index, added) = place(&mut records, known);
    let record = &mut records[index];
    let former = stored_key(record).map(str::to_owned);
    for key in ["accountId", "email", "plan"] {
        if let Some(text) = json::text(&incoming, key) {
            json::set(record, key, Some(json!(text)));
        }
    }
    json::set(record, "enabled", Some(Value::Bool(true)));
    for key in ["refresh", "access", "expires", "lastUsed"] {
        if let Some(value) = incoming.get(key).filter(|value| !value.is_null()) {
            json::set(record, key, Some(value.clone()));
        }
    }
    json::set(record, "authTypes", Some(auth_types_value(&[domain])));
    for key in ["refreshLeaseUntil", "cooldownUntil", super::transfer::SHARED] {
        json::set(record, key, None);
    }
    spell_identity(record);
    let key = stored_key(record).map(str::to_owned);
    let former_key = former.filter(|former| Some(former) != key.as_ref());
    json::set(content, "accounts", Some(normalise::list(records)));
    if let Some(key) = key {
        json::set(content, "activeIdentityKey", Some(json!(key)));
    }
    Stored { index, added, former_key }
}

/// Folds a sign-in from elsewhere into a domain. What the tokens that end later (or at the same time) say counts; what
/// only the others say is kept.
pub fn import(content: &mut Object, domain: Domain, incoming: &Object) -> Stored {
    let mut incoming = incoming.clone();
    normalise_record(&mut incoming, domain);
    let mut records = normalise::records(content);
    for record in &mut records {
        normalise_record(record, domain);
    }
    normalise::put_records(content, records.clone());
    let key = stored_key(&incoming);
    let by_key = key.and_then(|key| records.iter().position(|record| stored_key(record) == Some(key)));
    let may_share = |place: &usize| key_of(&records[*place]).is_none() || key_of(&incoming).is_none();
    let known = by_key
        .or_else(|| matching::same_account(&records, &incoming))
        .or_else(|| matching::same_grant(&records, &incoming).filter(may_share));
    let (index, added) = place(&mut records, known);
    let record = &mut records[index];
    let former = stored_key(record).map(str::to_owned);
    let incoming_counts = added || expires(&incoming) >= expires(record);
    for (key, value) in &incoming {
        if incoming_counts || !record.contains_key(key) {
            record.insert(key.clone(), value.clone());
        }
    }
    normalise_record(record, domain);
    let former_key = former.filter(|former| stored_key(record) != Some(former));
    if added {
        json::set(content, "accounts", Some(normalise::list(records)));
    } else {
        normalise::put_records(content, records);
    }
    Stored { index, added, former_key }
}

fn place(records: &mut Vec<Object>, known: Option<usize>) -> (usize, bool) {
    if let Some(index) = known {
        return (index, false);
    }
    records.push(Object::new());
    (records.len() - 1, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(accounts: &Value) -> Object {
        Object::from_iter([("accounts".to_owned(), accounts.clone())])
    }

    fn object(value: &Value) -> Object {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_plan_change_keeps_the_record_and_tells_the_former_key_defect_5() {
        let mut content = domain(&json!([
            { "accountId": "a", "email": "e@x", "plan": "plus", "refresh": "old", "identityKey": "a|e@x|plus",
              "cooldownUntil": 9, "refreshLeaseUntil": 9, "ours": 1 },
        ]));
        let incoming = json!({ "accountId": "a", "email": "e@x", "plan": "pro", "refresh": "new", "access": "x" });
        let stored = login(&mut content, Domain::Native, &object(&incoming));
        assert_eq!(stored, Stored { index: 0, added: false, former_key: Some("a|e@x|plus".into()) });
        let expect = json!({
            "accounts": [{ "accountId": "a", "email": "e@x", "plan": "pro", "refresh": "new",
                "identityKey": "a|e@x|pro", "ours": 1, "enabled": true, "access": "x", "authTypes": ["native"] }],
            "activeIdentityKey": "a|e@x|pro",
        });
        assert_eq!(Value::Object(content), expect);
    }

    #[test]
    fn a_shared_refresh_token_of_another_workspace_is_another_account() {
        let mut content = domain(&json!([{ "accountId": "a", "email": "e@x", "plan": "plus", "refresh": "r" }]));
        let incoming = json!({ "accountId": "b", "email": "e@x", "plan": "plus", "refresh": "r" });
        assert!(login(&mut content, Domain::Native, &object(&incoming)).added);
        assert!(import(&mut content, Domain::Native, &object(&json!({ "refresh": "r" }))).added, "two hold it");
    }

    #[test]
    fn importing_twice_adds_once_and_the_active_key_follows() {
        let mut content = domain(&json!([{ "accountId": "a", "email": "e@x", "plan": "plus", "expires": 1 }]));
        content.insert("activeIdentityKey".into(), json!("a|e@x|plus"));
        let incoming =
            object(&json!({ "accountId": "a", "email": "e@x", "plan": "pro", "refresh": "r", "expires": 1 }));
        assert_eq!(import(&mut content, Domain::Native, &incoming).former_key.as_deref(), Some("a|e@x|plus"));
        let once = content.clone();
        assert!(!import(&mut content, Domain::Native, &incoming).added);
        assert_eq!(content, once);
        assert_eq!(content["activeIdentityKey"], "a|e@x|pro");
    }
}
