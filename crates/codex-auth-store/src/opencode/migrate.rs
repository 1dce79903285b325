//! Owns how older shapes of the file become today's, in memory, and what of a file is kept at a write.

use serde_json::{Value, json};

use super::{Domain, OPENCODE_ACCOUNTS, auth_types, auth_types_value, normalise, record};
use crate::json::{self, Object};

/// Members of the older plugin's rows that are read here, under these names or others.
const LEGACY_ROW: [&str; 13] = [
    "refreshToken",
    "accessToken",
    "access",
    "expiresAt",
    "expires",
    "accountId",
    "email",
    "plan",
    "lastUsed",
    "cooldownUntil",
    "coolingDownUntil",
    "authTypes",
    "enabled",
];

/// A file of any known shape in today's, normalised; what it does not know is returned as it is.
pub fn migrate(document: &Object) -> Object {
    match document.get("openai") {
        Some(Value::Object(openai)) => {
            let login = host_login(openai);
            let normal = Value::Object(normalise::normalise(login.as_ref().unwrap_or(openai)));
            // In its place, and without a copy of what is replaced.
            let mut normal = Some(normal);
            let kept = |(key, value): (&String, &Value)| {
                let openai = normal.take_if(|_| key == "openai");
                (key.clone(), openai.unwrap_or_else(|| value.clone()))
            };
            document.iter().map(kept).collect()
        }
        Some(_) | None => legacy_accounts(document).unwrap_or_else(|| document.clone()),
    }
}

/// The file of the older plugin (a list of accounts at the root) in today's shape; `None` when nothing in it is usable.
pub fn legacy_accounts(document: &Object) -> Option<Object> {
    if document.contains_key("openai") {
        return None;
    }
    let rows = document.get("accounts")?.as_array()?;
    let migrated: Vec<Option<Object>> = rows.iter().map(|row| legacy_record(row.as_object()?)).collect();
    let chosen = document.get("activeIndex").and_then(json::integer).and_then(|index| usize::try_from(index).ok());
    let chosen = migrated.get(chosen.unwrap_or(0)).or_else(|| migrated.first()).cloned().flatten();
    let accounts: Vec<Object> = migrated.into_iter().flatten().collect();
    let active = chosen.as_ref().or_else(|| accounts.first()).and_then(record::stored_key).map(|key| json!(key));
    if accounts.is_empty() {
        return None;
    }
    Some(file_of(accounts, active))
}

/// Whether a file holds a ChatGPT sign-in that can still be used: a refresh token that is not blank.
pub fn has_usable_oauth(document: &Object) -> bool {
    let document = migrate(document);
    let Some(openai) = document.get("openai").and_then(Value::as_object) else { return false };
    let lists = Domain::ALL.into_iter().filter_map(|domain| normalise::domain_of(openai, domain)).chain([openai]);
    let mut records = lists.flat_map(normalise::each);
    normalise::is_pool(openai) && records.any(|record| json::text(record, "refresh").is_some())
}

/// What is written to a file of this name: the account store holds `openai` alone.
pub fn sanitise(base_name: &str, document: &Object) -> Object {
    let is_kept = |key: &str| base_name != OPENCODE_ACCOUNTS || key == "openai";
    document.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The host's own single sign-in as a pool of one.
fn host_login(openai: &Object) -> Option<Object> {
    if json::text(openai, "type") != Some("oauth") || normalise::is_pool(openai) {
        return None;
    }
    let refresh = openai.get("refresh").filter(|refresh| refresh.is_string())?;
    let mut account = without(openai, &["type", "strategy", "accounts", "activeIdentityKey", "native", "codex"]);
    account.retain(|_, value| !value.is_null());
    account.insert("refresh".to_owned(), refresh.clone());
    Some(pool_of(vec![as_record(account, &[Domain::Native], true)], None))
}

fn legacy_record(row: &Object) -> Option<Object> {
    let mut account = without(row, &LEGACY_ROW);
    let number = |keys: &[&str]| keys.iter().find_map(|key| row.get(*key).filter(|value| value.is_number())).cloned();
    json::set(&mut account, "refresh", Some(json!(json::text(row, "refreshToken")?)));
    let access = json::text(row, "accessToken").or_else(|| json::text(row, "access"));
    json::set(&mut account, "access", access.map(|access| json!(access)));
    json::set(&mut account, "expires", Some(number(&["expiresAt", "expires"]).unwrap_or_else(|| json!(0))));
    for key in ["accountId", "email", "plan"] {
        json::set(&mut account, key, json::text(row, key).map(|text| json!(text)));
    }
    json::set(&mut account, "lastUsed", number(&["lastUsed"]));
    json::set(&mut account, "cooldownUntil", number(&["cooldownUntil", "coolingDownUntil"]));
    Some(as_record(account, &auth_types(row.get("authTypes")), record::is_enabled(row)))
}

/// What a record keeps of an older shape: everything that has not got another name today.
fn without(object: &Object, keys: &[&str]) -> Object {
    let kept = object.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn as_record(mut account: Object, domains: &[Domain], enabled: bool) -> Object {
    json::set(&mut account, "authTypes", Some(auth_types_value(domains)));
    json::set(&mut account, "enabled", Some(json!(enabled)));
    record::spell_identity(&mut account);
    account
}

fn file_of(accounts: Vec<Object>, active: Option<Value>) -> Object {
    Object::from_iter([("openai".to_owned(), Value::Object(normalise::normalise(&pool_of(accounts, active))))])
}

fn pool_of(accounts: Vec<Object>, active: Option<Value>) -> Object {
    let mut pool = Object::from_iter([("type".to_owned(), json!("oauth"))]);
    json::set(&mut pool, "accounts", Some(normalise::list(accounts)));
    json::set(&mut pool, "activeIdentityKey", active);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &Value, refresh: &[&str], active: Option<&str>) {
        let migrated = migrate(document.as_object().expect("an object"));
        let openai = migrated["openai"].as_object().expect("an object");
        let found: Vec<Value> =
            normalise::records(openai).iter().filter_map(|record| record.get("refresh").cloned()).collect();
        assert_eq!(Value::Array(found), json!(refresh));
        assert_eq!(json::text(openai, "activeIdentityKey"), active);
    }

    #[test]
    fn the_active_position_counts_rows_nobody_can_use() {
        let row = |id: &str| json!({ "refreshToken": id, "accountId": id, "email": "e", "plan": "p" });
        let file = |index: f64| json!({ "activeIndex": index, "accounts": [null, row("a"), row("b")] });
        check(&file(2.0), &["a", "b"], Some("b|e|p"));
        check(&file(1.9), &["a", "b"], Some("a|e|p"));
        check(&file(7.0), &["a", "b"], Some("a|e|p"));
    }

    #[test]
    fn what_an_older_shape_says_besides_stays_on_the_record() {
        let row = json!({ "refreshToken": "r", "accountLabel": "work", "rateLimitResetTimes": { "x": 1.50 } });
        let migrated = migrate(json!({ "accounts": [row] }).as_object().expect("an object"));
        let record = &migrated["openai"]["native"]["accounts"][0];
        assert_eq!(
            (&record["accountLabel"], &record["rateLimitResetTimes"]),
            (&row["accountLabel"], &row["rateLimitResetTimes"])
        );
        assert_eq!(record.get("refreshToken"), None);
    }

    #[test]
    fn the_hosts_own_login_becomes_a_pool_of_one() {
        let login = json!({ "type": "oauth", "refresh": "r", "access": "x", "expires": 5, "accountId": "w", "email": "E",
            "plan": "Pro" });
        check(&json!({ "openai": login }), &["r"], Some("w|e|pro"));
    }
}
