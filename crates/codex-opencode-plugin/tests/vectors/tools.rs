//! Performs the groups of file 08: what the host's account tools list and change.

use codex_auth_store::opencode::{
    Domain,
    normalise::{domain_of, normalise, records},
    record::is_enabled,
    tools::{self, ToolError},
};
use serde_json::{Map, Value, json};

use super::case::{Case, Found, Outcome, field, object};

type State = Map<String, Value>;

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    let input = &case.input;
    let found = match group {
        "list" => object(input, "openai").map(|openai| {
            let is_told = input.get("normaliseFirst") == Some(&Value::Bool(true));
            let openai = if is_told { normalise(openai) } else { openai.clone() };
            Outcome::Output(tools::list(&openai).iter().map(listed).collect())
        }),
        "switch" | "toggle" | "remove" => action(group, input),
        _ => return None,
    };
    Some(found)
}

/// Performs the tool of this name on the account at a position counted from one.
pub(crate) fn act(name: &str, openai: &State, index: &Value) -> Result<State, ToolError> {
    let openai = normalise(openai);
    let place = tools::place(&openai, index)?;
    match name {
        "switch" => tools::switch(&openai, place),
        "remove" => tools::remove(&openai, place),
        _ => tools::toggle(&openai, place),
    }
}

/// Rows in brief: `[key, enabled]`.
pub(crate) fn brief(content: &State) -> Value {
    records(content).iter().map(|record| json!([record.get("identityKey"), is_enabled(record)])).collect()
}

fn action(name: &str, input: &Value) -> Found {
    match act(name, object(input, "openai")?, field(input, "index")?) {
        Ok(openai) => Ok(Outcome::Output(state(&openai))),
        Err(error) => Ok(Outcome::Throws(error.to_string())),
    }
}

fn state(openai: &State) -> Value {
    let active = |content: &State| content.get("activeIdentityKey").cloned();
    let domain = |domain: Domain| {
        domain_of(openai, domain).map(|content| json!({ "active": active(content), "ids": brief(content) }))
    };
    json!({
        "active": active(openai),
        "rows": brief(openai),
        "native": domain(Domain::Native),
        "codex": domain(Domain::Codex),
    })
}

fn listed(row: &tools::Listed) -> Value {
    json!({
        "displayIndex": row.display_index,
        "identityKey": row.identity_key,
        "accountId": row.account_id,
        "email": row.email,
        "plan": row.plan,
        "enabled": row.enabled,
        "isActive": row.is_active,
    })
}
