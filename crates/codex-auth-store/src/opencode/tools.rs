//! Owns what the host's account tools see and do. Positions count from one over the compatibility list.

use serde_json::Value;

use super::{
    Domain, auth_types,
    fingerprint::name_the_nameless,
    matching::{self, Found},
    normalise::{self, domain_of, records},
    record::{is_enabled, stored_key},
};
use crate::json::{self, Object};

/// Why a tool did nothing. The texts are the ones the host's users know, where there was one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each says what it means")]
pub enum ToolError {
    #[error("Invalid account index")]
    InvalidIndex,
    #[error("Target account is disabled")]
    Disabled,
    #[error("Target account missing identityKey")]
    MissingIdentityKey,
    #[error("OpenAI OAuth not configured")]
    NotConfigured,
    #[error("Invalid OpenAI OAuth config")]
    InvalidConfig,
    #[error(
        "Account #{index} is ambiguous: more than one {domain} sign-in answers to it, so nothing was changed. \
         Remove the copy in the account manager (`opencode auth login`)"
    )]
    Ambiguous { index: usize, domain: &'static str },
    #[error("Account #{0} could not be changed: no sign-in answers to it. List the accounts and try again")]
    NotKept(usize),
}

/// One row as the tools show it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the file")]
pub struct Listed {
    pub display_index: usize,
    pub identity_key: String,
    pub account_id: Option<String>,
    pub email: Option<String>,
    pub plan: Option<String>,
    pub enabled: bool,
    pub is_active: bool,
}

/// The rows of an `openai` object as it stands; rows without a key are given one.
pub fn list(openai: &Object) -> Vec<Listed> {
    let mut rows = records(openai);
    name_the_nameless(&mut rows);
    let stored = json::text(openai, "activeIdentityKey");
    let is = |row: &Object, key: Option<&str>| key.is_some() && stored_key(row) == key && is_enabled(row);
    let active = rows.iter().position(|row| is(row, stored)).or_else(|| rows.iter().position(is_enabled));
    let text = |row: &Object, key: &str| json::text(row, key).map(str::to_owned);
    let listed = |(index, row): (usize, &Object)| Listed {
        display_index: index + 1,
        identity_key: text(row, "identityKey").unwrap_or_default(),
        account_id: text(row, "accountId"),
        email: text(row, "email"),
        plan: text(row, "plan"),
        enabled: is_enabled(row),
        is_active: active == Some(index),
    };
    rows.iter().enumerate().map(listed).collect()
}

/// The pool in a file, which the tools work on.
pub fn pool_of(document: &Object) -> Result<&Object, ToolError> {
    let openai = document.get("openai").ok_or(ToolError::NotConfigured)?;
    openai.as_object().filter(|openai| normalise::is_pool(openai)).ok_or(ToolError::InvalidConfig)
}

/// The position a caller gave, as a place in the list.
pub fn place(openai: &Object, index: &Value) -> Result<usize, ToolError> {
    let count = records(openai).len();
    let whole =
        index.as_u64().and_then(|index| usize::try_from(index).ok()).filter(|index| (1..=count).contains(index));
    whole.map(|index| index - 1).ok_or(ToolError::InvalidIndex)
}

/// What the tools call an account.
pub fn label(row: &Object) -> String {
    let name = json::text(row, "email").unwrap_or("account");
    json::text(row, "plan").map_or_else(|| name.to_owned(), |plan| format!("{name} ({plan})"))
}

/// Makes the account at `place` the active one, in each domain that has it enabled.
pub fn switch(openai: &Object, place: usize) -> Result<Object, ToolError> {
    let mut normal = normalise::normalise(openai);
    let row = row_at(&normal, place)?;
    if !is_enabled(&row) {
        return Err(ToolError::Disabled);
    }
    let key = stored_key(&row).ok_or(ToolError::MissingIdentityKey)?;
    let mut is_kept = false;
    for domain in Domain::ALL {
        let Some(content) = content_of(&mut normal, domain) else { continue };
        if records(content).iter().any(|one| stored_key(one) == Some(key) && is_enabled(one)) {
            json::set(content, "activeIdentityKey", Some(Value::from(key)));
            is_kept = true;
        }
    }
    if !is_kept {
        // Only the list knows this key, and the list is made anew at the write.
        return Err(ToolError::MissingIdentityKey);
    }
    json::set(&mut normal, "activeIdentityKey", Some(Value::from(key)));
    Ok(normal)
}

/// Turns the account at `place` on or off, in every domain to the same.
pub fn toggle(openai: &Object, place: usize) -> Result<Object, ToolError> {
    let normal = normalise::normalise(openai);
    let row = row_at(&normal, place)?;
    let target = !is_enabled(&row);
    let changed = apply(normal, &row, place, |records, at| {
        json::set(&mut records[at], "enabled", Some(Value::Bool(target)));
    })?;
    if is_enabled(&row_at(&changed, place)?) == target { Ok(changed) } else { Err(ToolError::NotKept(place + 1)) }
}

/// Removes the account at `place`; when it was the active one, the next enabled one is, else the one before.
pub fn remove(openai: &Object, place: usize) -> Result<Object, ToolError> {
    let normal = normalise::normalise(openai);
    let row = row_at(&normal, place)?;
    let count = records(&normal).len();
    let changed = apply(normal, &row, place, |records, at| drop(records.remove(at)))?;
    if records(&changed).len() + 1 == count { Ok(changed) } else { Err(ToolError::NotKept(place + 1)) }
}

/// Changes the record of `row` in each of its domains; all of them, or none when one cannot be told.
fn apply(
    mut normal: Object,
    row: &Object,
    place: usize,
    change: impl Fn(&mut Vec<Object>, usize),
) -> Result<Object, ToolError> {
    let mut is_found = false;
    for domain in auth_types(row.get("authTypes")) {
        let Some(content) = content_of(&mut normal, domain) else { continue };
        let mut own = records(content);
        let at = match matching::find(&own, row) {
            Found::Nowhere => continue,
            Found::Ambiguous => return Err(ToolError::Ambiguous { index: place + 1, domain: domain.name() }),
            Found::At(at) => at,
        };
        let active = json::text(content, "activeIdentityKey").map(str::to_owned);
        let is_active = |one: &Object| stored_key(one) == active.as_deref() && is_enabled(one);
        change(&mut own, at);
        if active.is_some() && !own.iter().any(is_active) {
            json::set(content, "activeIdentityKey", next_enabled(&own, at).map(Value::from));
        }
        json::set(content, "accounts", Some(normalise::list(own)));
        is_found = true;
    }
    if is_found { Ok(normalise::normalise(&normal)) } else { Err(ToolError::NotKept(place + 1)) }
}

/// The key of the next enabled record from a place on, else of the nearest one before it.
fn next_enabled(records: &[Object], from: usize) -> Option<String> {
    let (before, after) = records.split_at(from.min(records.len()));
    let key = |one: &&Object| is_enabled(one) && stored_key(one).is_some();
    let next = after.iter().find(key).or_else(|| before.iter().rev().find(key));
    next.and_then(stored_key).map(str::to_owned)
}

fn row_at(normal: &Object, place: usize) -> Result<Object, ToolError> {
    records(normal).get(place).cloned().ok_or(ToolError::InvalidIndex)
}

fn content_of(normal: &mut Object, domain: Domain) -> Option<&mut Object> {
    domain_of(normal, domain)?;
    normal.get_mut(domain.name())?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn openai(native: &[(&str, bool)], active: &str, codex: &[(&str, bool)]) -> Object {
        let accounts = |pairs: &[(&str, bool)]| -> Vec<Value> {
            let one = |(id, enabled): &(&str, bool)| json!({ "accountId": id, "email": "e", "plan": "p", "refresh": format!("r-{id}"), "enabled": enabled });
            pairs.iter().map(one).collect()
        };
        let key = format!("{active}|e|p");
        let openai = json!({ "type": "oauth", "accounts": [], "native": { "accounts": accounts(native),
            "activeIdentityKey": key }, "codex": { "accounts": accounts(codex) } });
        normalise::normalise(openai.as_object().expect("an object"))
    }

    #[track_caller]
    fn check(changed: Result<Object, ToolError>, expect: Result<(&str, usize), ToolError>) {
        let active = |openai: &Object| json::text(openai, "activeIdentityKey").unwrap_or("none").to_owned();
        let found = changed.map(|openai| (active(&openai), records(&openai).len()));
        assert_eq!(found, expect.map(|(active, count)| (active.to_owned(), count)));
    }

    const ABC: &[(&str, bool)] = &[("a", true), ("b", true), ("c", true)];

    #[test]
    fn removing_the_active_one_goes_forward_then_back() {
        check(remove(&openai(ABC, "b", &[]), 1), Ok(("c|e|p", 2)));
        check(remove(&openai(ABC, "c", &[]), 2), Ok(("b|e|p", 2)));
        check(remove(&openai(&[("a", false)], "a", &[]), 0), Ok(("none", 0)));
    }

    #[test]
    fn turning_the_active_one_off_chooses_another() {
        check(toggle(&openai(ABC, "b", &[]), 1), Ok(("c|e|p", 3)));
    }

    #[test]
    fn both_domains_get_the_same_answer_defect_22() {
        let changed = toggle(&openai(&[("a", true)], "a", &[("a", false)]), 0).expect("told apart");
        assert_eq!(changed["native"]["accounts"][0]["enabled"], false);
        assert_eq!(changed["codex"]["accounts"][0]["enabled"], false);
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_changed_defect_23() {
        let copies = json!({ "type": "oauth", "accounts": [], "native": { "accounts": [
            { "identityKey": "x", "refresh": "r1" }, { "identityKey": "x", "refresh": "r2" }] } });
        let copies = copies.as_object().expect("an object");
        check(toggle(copies, 0), Err(ToolError::Ambiguous { index: 1, domain: "native" }));
        check(remove(copies, 0), Err(ToolError::Ambiguous { index: 1, domain: "native" }));
    }

    #[test]
    fn a_row_nobody_can_name_is_not_said_to_be_active() {
        let nameless = json!({ "type": "oauth", "accounts": [], "native": { "accounts": [{ "refresh": "r" }] } });
        check(switch(nameless.as_object().expect("an object"), 0), Err(ToolError::MissingIdentityKey));
    }

    #[test]
    fn twins_without_a_key_are_changed_one_by_one_defect_24() {
        let twins = json!({ "type": "oauth", "accounts": [], "native": { "accounts": [
            { "email": "t", "refresh": "r1" }, { "email": "t", "refresh": "r2" }] } });
        let changed = toggle(twins.as_object().expect("an object"), 1).expect("told apart");
        let enabled: Vec<_> =
            records(&changed["native"].as_object().expect("there").clone()).iter().map(is_enabled).collect();
        assert_eq!(enabled, [true, false]);
    }
}
