//! Owns what the `openai` object says after reading and before writing: two domains, and a compatibility list of both.

use serde_json::Value;

use super::{Domain, aggregate::aggregate, auth_types, record};
use crate::json::{self, Object};

/// The normal form of an `openai` object; one without any account list is returned as it is.
///
/// Doing it twice changes nothing more.
pub fn normalise(openai: &Object) -> Object {
    if !is_pool(openai) {
        return openai.clone();
    }
    let domains: Vec<(Domain, Object)> = domains(openai);
    let rows = aggregate(&domains);
    let active = active_of(&domains, &rows);
    let mut normal = Object::new();
    put(&mut normal, "type", openai.get("type").cloned());
    put(&mut normal, "strategy", openai.get("strategy").cloned());
    put(&mut normal, "accounts", Some(list(rows)));
    put(&mut normal, "activeIdentityKey", active.map(Value::String));
    for (domain, content) in domains {
        put(&mut normal, domain.name(), Some(Value::Object(content)));
    }
    normal
}

/// Whether this is a pool of sign-ins: of type `oauth`, with an account list somewhere.
pub fn is_pool(openai: &Object) -> bool {
    let has_list = |object: &Object| object.get("accounts").is_some_and(Value::is_array);
    let domain = |domain: Domain| openai.get(domain.name()).and_then(Value::as_object);
    json::text(openai, "type") == Some("oauth")
        && (has_list(openai) || Domain::ALL.into_iter().filter_map(domain).any(has_list))
}

/// The accounts of a domain, or of the whole, to be changed.
pub fn records(content: &Object) -> Vec<Object> {
    each(content).cloned().collect()
}

/// The same, to be looked at.
pub(crate) fn each(content: &Object) -> impl Iterator<Item = &Object> {
    let list = content.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_object)
}

/// The domain of an `openai` object, when it stands there.
pub fn domain_of(openai: &Object, domain: Domain) -> Option<&Object> {
    openai.get(domain.name())?.as_object().filter(|content| content.get("accounts").is_some_and(Value::is_array))
}

/// The active key of a domain: the stored one while it names an enabled record, else the first that can be named.
pub fn reconcile_active(content: &mut Object) {
    let mut enabled = each(content).filter(|one| record::is_enabled(one)).filter_map(record::stored_key).peekable();
    let first = enabled.peek().copied().map(Value::from);
    let stored = json::text(content, "activeIdentityKey");
    if enabled.any(|key| Some(key) == stored) {
        return;
    }
    drop(enabled);
    json::set(content, "activeIdentityKey", first);
}

/// Puts changed records back, and lets the active key follow a record whose key changed.
pub(crate) fn put_records(content: &mut Object, after: Vec<Object>) {
    let before: Vec<&Object> = each(content).collect();
    if let Some(renamed) = renamed(json::text(content, "activeIdentityKey"), &before, &after).map(Value::from) {
        json::set(content, "activeIdentityKey", Some(renamed));
    }
    json::set(content, "accounts", Some(list(after)));
}

/// The new key of the record an active key named, when none bears the old one any more.
fn renamed<'r>(active: Option<&str>, before: &[&Object], after: &'r [Object]) -> Option<&'r str> {
    let active = active.filter(|_| before.len() == after.len())?;
    let place = before.iter().position(|one| record::stored_key(one) == Some(active))?;
    let is_borne = after.iter().any(|one| record::stored_key(one) == Some(active));
    record::stored_key(&after[place]).filter(|_| !is_borne)
}

pub(crate) fn list(records: Vec<Object>) -> Value {
    Value::Array(records.into_iter().map(Value::Object).collect())
}

/// Both domains in normal form; a flat list of an older version is dealt out by `authTypes`.
fn domains(openai: &Object) -> Vec<(Domain, Object)> {
    let normal = |domain: Domain, content: &Object| (domain, normal_domain(openai, domain, content));
    let stand = Domain::ALL.into_iter().filter_map(|domain| Some(normal(domain, domain_of(openai, domain)?)));
    let stand: Vec<(Domain, Object)> = stand.collect();
    if stand.is_empty() {
        return deal_out(openai).into_iter().map(|(domain, content)| normal(domain, &content)).collect();
    }
    stand
}

fn deal_out(openai: &Object) -> Vec<(Domain, Object)> {
    let content = |domain: Domain| {
        let own = each(openai).filter(|record| auth_types(record.get("authTypes")).contains(&domain)).cloned();
        let mut content = Object::new();
        put(&mut content, "accounts", Some(list(own.collect())));
        put(&mut content, "activeIdentityKey", openai.get("activeIdentityKey").cloned());
        (domain, content)
    };
    let is_kept = |(domain, content): &(Domain, Object)| *domain == Domain::Native || each(content).next().is_some();
    Domain::ALL.into_iter().map(content).filter(is_kept).collect()
}

fn normal_domain(openai: &Object, domain: Domain, content: &Object) -> Object {
    let mut spelt = records(content);
    for one in &mut spelt {
        record::normalise_record(one, domain);
    }
    let before: Vec<&Object> = each(content).collect();
    let active = json::text(content, "activeIdentityKey");
    let active = renamed(active, &before, &spelt).or(active).map(Value::from);
    let mut normal = Object::new();
    let strategy = content.get("strategy").filter(|strategy| !strategy.is_null());
    put(&mut normal, "strategy", strategy.or_else(|| openai.get("strategy")).cloned());
    put(&mut normal, "accounts", Some(list(spelt)));
    put(&mut normal, "activeIdentityKey", active);
    reconcile_active(&mut normal);
    normal
}

/// The active key of the whole: native's, else codex's, else the first enabled row's.
fn active_of(domains: &[(Domain, Object)], rows: &[Object]) -> Option<String> {
    let enabled = || rows.iter().filter(|row| record::is_enabled(row)).filter_map(record::stored_key);
    let mut chosen = domains.iter().filter_map(|(_, content)| json::text(content, "activeIdentityKey"));
    let kept = chosen.find(|active| enabled().any(|key| key == *active));
    kept.or_else(|| enabled().next()).map(str::to_owned)
}

fn put(object: &mut Object, key: &str, value: Option<Value>) {
    if let Some(value) = value.filter(|value| !value.is_null()) {
        object.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Object {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn the_active_key_follows_a_plan_change() {
        let account = |id: &str, plan: &str, key: &str| json!({ "accountId": id, "email": "e@x", "plan": plan, "refresh": id, "identityKey": key });
        let openai = json!({ "type": "oauth", "accounts": [], "native": {
            "accounts": [account("a", "plus", "a|e@x|plus"), account("b", "pro", "b|e@x|plus")],
            "activeIdentityKey": "b|e@x|plus",
        }});
        assert_eq!(normalise(&object(&openai))["activeIdentityKey"], "b|e@x|pro");
    }

    #[test]
    fn an_api_key_and_an_object_without_accounts_are_left_alone() {
        for value in [json!({ "type": "api", "key": "k", "x": 1 }), json!({ "type": "oauth", "x": 1 })] {
            assert_eq!(Value::Object(normalise(&object(&value))), value);
        }
    }

    fn record() -> impl Strategy<Value = Value> {
        let part = || prop::option::of(prop::sample::select(vec!["a", " B ", ""]));
        (part(), part(), part(), prop::option::of(any::<bool>()), 0..3_i64, "[rs]").prop_map(
            |(account, email, plan, enabled, expires, refresh)| {
                json!({ "accountId": account, "email": email, "plan": plan, "enabled": enabled, "expires": expires,
                    "refresh": refresh, "authTypes": ["codex", "native"], "ours": { "n": 1 } })
            },
        )
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(native in prop::collection::vec(record(), 0..4),
            codex in prop::option::of(prop::collection::vec(record(), 0..4)), flat in any::<bool>()) {
            let openai = if flat {
                json!({ "type": "oauth", "strategy": "hybrid", "accounts": native })
            } else {
                let codex = codex.map(|accounts| json!({ "accounts": accounts }));
                json!({ "type": "oauth", "accounts": [], "native": { "accounts": native }, "codex": codex })
            };
            let once = normalise(&object(&openai));
            prop_assert_eq!(normalise(&once), once.clone());
            // No sign-in of a domain is lost, and each has a row.
            let tokens = |records: &[Object]| records.iter().filter_map(|one| one.get("refresh").cloned()).collect::<Vec<_>>();
            let rows = records(&once);
            for domain in Domain::ALL {
                let Some(content) = domain_of(&once, domain) else { continue };
                let held = openai.get(domain.name()).and_then(Value::as_object).map(records);
                if let Some(held) = held { prop_assert_eq!(tokens(&held), tokens(&records(content))); }
            }
            let keys: std::collections::HashSet<_> = rows.iter().map(|row| row.get("identityKey").cloned()).collect();
            prop_assert_eq!(keys.len(), rows.len());
        }
    }
}
