//! Performs the groups of file 06: where sign-ins go, the rows of the menu, and the way back.

use codex_auth_core::Timestamp;
use codex_auth_store::opencode::{
    Domain,
    normalise::reconcile_active,
    rows::{Row, RowStatus, find_row, menu_rows},
    upsert,
};
use serde_json::{Map, Value, json};

use super::case::{Case, Found, Outcome, field, object, objects, text};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    let input = &case.input;
    let found = match group {
        "upsert_login" => upserted(input, upsert::login, "storedIndex", |stored| json!(stored.index)),
        "upsert_import" => upserted(input, upsert::import, "added", |stored| json!(stored.added)),
        "menu_rows" => rows(input),
        "find_row" => found_row(input),
        "reconcile_active" => object(input, "domain").map(|domain| {
            let mut domain = domain.clone();
            reconcile_active(&mut domain);
            domain.get("activeIdentityKey").cloned().unwrap_or(Value::Null)
        }),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// The domain of a member that names a mode.
pub(crate) fn mode(value: &Value, key: &str) -> Result<Domain, String> {
    let name = text(value, key)?;
    Domain::parse(name).ok_or_else(|| format!("`{name}` is no mode"))
}

type Rule = fn(&mut Map<String, Value>, Domain, &Map<String, Value>) -> upsert::Stored;

fn upserted(input: &Value, rule: Rule, told: &str, tell: impl Fn(&upsert::Stored) -> Value) -> Result<Value, String> {
    let mut domain = Map::new();
    domain.insert("accounts".to_owned(), json!(objects(input, "existing")?));
    let stored = rule(&mut domain, Domain::Native, object(input, "incoming")?);
    Ok(json!({ told: tell(&stored), "accounts": domain.get("accounts") }))
}

fn rows(input: &Value) -> Result<Value, String> {
    let now = field(input, "now")?.as_i64().map(Timestamp::from_millis).ok_or("`now` is no time")?;
    let domain = |name: &str| input.get(name).and_then(Value::as_object);
    let rows = menu_rows(domain("native"), domain("codex"), mode(input, "activeMode")?, now);
    Ok(rows.iter().enumerate().map(|(index, row)| shown(index, row)).collect())
}

fn shown(index: usize, row: &Row) -> Value {
    let sources: Map<String, Value> =
        row.source_indices.iter().map(|(domain, index)| (domain.name().to_owned(), json!(index))).collect();
    json!({
        "index": index,
        "identityKey": row.identity_key,
        "accountId": row.account_id,
        "email": row.email,
        "plan": row.plan,
        "sourceIndices": sources,
        "authTypes": row.auth_types().into_iter().map(Domain::name).collect::<Vec<_>>(),
        "lastUsed": row.last_used,
        "enabled": row.enabled,
        "status": row.status.as_str(),
        "isCurrentAccount": row.is_current_account,
    })
}

fn found_row(input: &Value) -> Result<Value, String> {
    let row = field(input, "row")?;
    let member = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut sources = Vec::new();
    for (name, index) in object(row, "sourceIndices")? {
        let index = index.as_u64().and_then(|index| usize::try_from(index).ok()).ok_or("no index")?;
        sources.push((Domain::parse(name).ok_or("no domain")?, index));
    }
    let row = Row {
        identity_key: member("identityKey"),
        record_id: member("recordId"),
        account_id: member("accountId"),
        email: member("email"),
        plan: member("plan"),
        source_indices: sources,
        last_used: None,
        enabled: None,
        status: RowStatus::Unknown,
        is_current_account: false,
    };
    Ok(json!(find_row(object(input, "domain")?, mode(input, "mode")?, &row)))
}
