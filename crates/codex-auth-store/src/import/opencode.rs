//! Owns reading the sign-ins of an OpenCode store: both domains, the flat list of older ones, and the host's own login.

use codex_auth_core::{AccessToken, Held, RefreshToken, Rest, RestReason, RestScope, Timestamp, WorkspaceId};
use serde_json::Value;

use super::from_sign_in;
use crate::{
    claims::claims_of,
    json::{self, Object},
};

/// The sign-ins of a document. One account stands in several places there; folding them is the pool's business.
pub(super) fn accounts_of(document: &Object, now: Timestamp) -> Result<Vec<Held>, &'static str> {
    let Some(openai) = document.get("openai").and_then(Value::as_object) else {
        return Ok(rows_of(document, now));
    };
    if json::text(openai, "type").is_some_and(|kind| kind != "oauth") {
        return Err("its login for openai is no ChatGPT login");
    }
    let domains: Vec<&Object> =
        ["native", "codex"].iter().filter_map(|domain| openai.get(*domain)?.as_object()).collect();
    if domains.iter().any(|domain| domain.contains_key("accounts")) {
        return Ok(domains.into_iter().flat_map(|domain| rows_of(domain, now)).collect());
    }
    if openai.contains_key("accounts") {
        return Ok(rows_of(openai, now));
    }
    Ok(account_of(openai, now).into_iter().collect())
}

fn rows_of(domain: &Object, now: Timestamp) -> Vec<Held> {
    let rows = domain.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| account_of(row.as_object()?, now)).collect()
}

/// One record; rows without a refresh token are none. The older spelling of each key is accepted.
fn account_of(row: &Object, now: Timestamp) -> Option<Held> {
    let text = |keys: [&str; 2]| keys.iter().find_map(|key| json::text(row, key));
    let millis = |keys: [&str; 2]| keys.iter().find_map(|key| json::millis(row, key));
    let refresh = RefreshToken::new(text(["refresh", "refreshToken"])?);
    let access = text(["access", "accessToken"]).map(AccessToken::new);
    let claims = claims_of(access.as_ref(), None);
    let lower = |key: &str| json::text(row, key).map(str::to_lowercase);
    let named = json::text(row, "accountId").and_then(WorkspaceId::parse).filter(|id| !id.is_platform_organisation());
    let owner = codex_auth_core::Owner {
        user: claims.user,
        workspace: named.or(claims.workspace),
        email: lower("email").or(claims.email),
        // The pool has no place for what the row says of the plan; its token says it as well.
        plan: claims.plan,
    };
    let told = millis(["expires", "expiresAt"]).filter(|end| *end > Timestamp::default());
    let credential = codex_auth_core::Credential {
        access,
        refresh,
        id: None,
        expires_at: told.or(claims.expires_at),
        obtained_at: None,
        generation: 0,
    };
    let mut held = from_sign_in(owner, credential, None, now);
    held.account.enabled = row.get("enabled").and_then(Value::as_bool).unwrap_or(true);
    held.account.seen.last_used_at = json::millis(row, "lastUsed").unwrap_or_default();
    if let Some(until) = millis(["cooldownUntil", "coolingDownUntil"]).filter(|until| now < *until) {
        held.account.rest(Rest { until, reason: RestReason::UsageLimit, scope: RestScope::Account });
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    #[track_caller]
    fn check(document: &Value, expect: &str) {
        let said = accounts_of(document.as_object().expect("an object"), NOW).map(|accounts| {
            let told = accounts.iter().map(|held| {
                let workspace = held.account.owner.workspace.as_ref().map_or("-", WorkspaceId::as_str);
                let end = held.credential.expires_at.map_or(0, Timestamp::as_millis);
                let off = if held.account.enabled { "" } else { " off" };
                let rests = if held.account.rests.is_empty() { "" } else { " rests" };
                format!("{} {workspace} {end}{off}{rests}", held.credential.refresh.expose())
            });
            told.collect::<Vec<_>>().join(", ")
        });
        assert_eq!(said.unwrap_or_else(str::to_owned), expect);
    }

    fn row(refresh: &str) -> Value {
        json!({ "refresh": refresh, "access": "A", "expires": 5, "accountId": "w", "email": "A@b", "plan": "Plus" })
    }

    #[test]
    fn both_domains_are_read_and_the_aggregate_is_not() {
        let mut off = row("C");
        off["enabled"] = json!(false);
        off["cooldownUntil"] = json!(NOW.as_millis() + 1);
        check(
            &json!({ "openai": { "type": "oauth", "accounts": [row("X")],
                "native": { "accounts": [row("N"), { "access": "A" }] }, "codex": { "accounts": [off] } } }),
            "N w 5, C w 5 off rests",
        );
    }

    #[test]
    fn older_shapes_are_read() {
        check(&json!({ "openai": { "type": "oauth", "accounts": [row("F")] } }), "F w 5");
        check(&json!({ "openai": { "type": "oauth", "refresh": "H", "access": "A", "expires": 0 } }), "H - 0");
        check(
            &json!({ "accounts": [{ "refreshToken": "P", "accessToken": "A", "expiresAt": 7, "accountId": "org-1" }] }),
            "P - 7",
        );
    }

    #[test]
    fn an_api_key_is_no_sign_in() {
        check(&json!({ "openai": { "type": "api", "key": "sk" } }), "its login for openai is no ChatGPT login");
    }
}
