//! Where a sign-in of the plugin is kept: as an account of its domain in OpenCode's store (plugin 3.8).

use std::time::Duration;

use codex_auth_core::{AccessToken, Granted, IdToken, RefreshToken, StoreError, Timestamp};
use codex_auth_store::opencode::{
    Domain, OpenCodeFile,
    token_claims::{TokenClaims, claims_of_answer},
    upsert,
};
use serde_json::{Map, Value, json};

/// How long an access token counts when nobody says.
const USUAL_LIFE: Duration = Duration::from_hours(1);

/// What a grant says for this format.
pub(crate) struct Said {
    pub(crate) claims: TokenClaims,
    pub(crate) expires: Timestamp,
}

/// Reads a grant that came at `now`.
pub(crate) fn said_by(granted: &Granted, now: Timestamp) -> Said {
    let id = granted.id.as_ref().map(IdToken::expose);
    let claims = claims_of_answer(id, granted.access.as_ref().map(AccessToken::expose));
    Said { claims, expires: granted.expires_at.unwrap_or_else(|| now.after(USUAL_LIFE)) }
}

/// Keeps a grant that came at `now` as an account of `domain`, and makes that one the active one.
pub(crate) fn keep(file: &OpenCodeFile, domain: Domain, granted: &Granted, now: Timestamp) -> Result<(), StoreError> {
    let incoming = record_of(granted, now);
    let saved = file.save(|document| {
        let openai = document.entry("openai").or_insert_with(|| json!({ "type": "oauth", "accounts": [] }));
        let Value::Object(openai) = openai else { return None };
        openai.insert("type".to_owned(), json!("oauth"));
        let content = openai.entry(domain.name()).or_insert_with(|| json!({ "accounts": [] }));
        let Value::Object(content) = content else { return None };
        upsert::login(content, domain, &incoming);
        Some(())
    })?;
    saved.value.ok_or_else(|| StoreError::Unreadable {
        path: file.path().to_string(),
        why: "`openai` is not an object; mend it or move the file away".to_owned(),
    })
}

fn record_of(granted: &Granted, now: Timestamp) -> Map<String, Value> {
    let Said { claims, expires } = said_by(granted, now);
    let members = [
        ("accountId", claims.account_id.map(Value::from)),
        ("email", claims.email.map(Value::from)),
        ("plan", claims.plan.map(Value::from)),
        ("refresh", granted.refresh.as_ref().map(RefreshToken::expose).map(Value::from)),
        ("access", granted.access.as_ref().map(AccessToken::expose).map(Value::from)),
        ("expires", Some(json!(expires.as_millis()))),
        ("lastUsed", Some(json!(now.as_millis()))),
    ];
    members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}
