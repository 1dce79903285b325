//! Owns one row of a V3 document: into an account with its tokens, and back by changing only what differs.

use codex_auth_core::{
    AccessToken, Account, Credential, Held, NeedsLogin, Owner, RefreshToken, Seen, Timestamp, WorkspaceId,
};
use serde_json::json;

use crate::{
    claims::claims_of,
    document::{record::record_of, rests},
    json::{self, Object},
};

/// The code of a marker that names none; the predecessor's default.
const INVALIDATED: &str = "token_invalidated";

/// The account of a row, without what only its tokens say; `None` for a row nobody can use, which stays in the file as
/// it is.
pub(crate) fn decode(row: &Object, now: Timestamp) -> Option<Held> {
    let refresh = RefreshToken::new(json::text(row, "refreshToken")?);
    let access = json::text(row, "accessToken").map(AccessToken::new);
    let owner = Owner { user: None, workspace: workspace_of(row), email: email_of(row), plan: None };
    let credential = Credential {
        access,
        refresh,
        id: None,
        expires_at: json::millis(row, "expiresAt"),
        obtained_at: None,
        generation: 0,
    };
    let instant = |key: &str| json::millis(row, key).unwrap_or_default();
    let account = Account {
        record: record_of(row),
        owner,
        label: json::text(row, "accountLabel").map(str::to_owned),
        alias: None,
        enabled: row.get("enabled").and_then(serde_json::Value::as_bool).unwrap_or(true),
        needs_login: marker_of(row),
        incident: None,
        rests: rests::decode(row, now),
        seen: Seen { added_at: instant("addedAt"), last_used_at: instant("lastUsed") },
        issuer: None,
        provenance: None,
    };
    Some(Held { account, credential })
}

/// Makes `row` say `held`, leaving what already says so and every unknown key.
pub(crate) fn encode(row: &mut Object, held: &Held, now: Timestamp) {
    let Held { account, credential } = held;
    let before = decode(row, now);
    json::set(row, "recordId", Some(json!(account.record.as_str())));
    if workspace_of(row) != account.owner.workspace
        && let Some(workspace) = &account.owner.workspace
    {
        json::set(row, "accountId", Some(json!(workspace.as_str())));
        json::set(row, "accountIdSource", Some(json!("token")));
    }
    if let Some(email) = account.owner.email.as_deref().filter(|email| email_of(row).as_deref() != Some(*email)) {
        json::set(row, "email", Some(json!(email)));
    }
    set_text(row, "accountLabel", account.label.as_deref());
    encode_tokens(row, credential);
    if before.as_ref().map(|held| held.account.enabled) != Some(account.enabled) {
        json::set(row, "enabled", Some(json!(account.enabled)));
    }
    json::set(row, "addedAt", Some(json!(account.seen.added_at.as_millis())));
    json::set(row, "lastUsed", Some(json!(account.seen.last_used_at.as_millis())));
    if before.as_ref().map(|held| &held.account.rests) != Some(&account.rests) {
        rests::encode(row, &account.rests, now);
    }
    if marker_of(row) != account.needs_login {
        let marker = account.needs_login.as_ref();
        json::set(row, "authInvalidatedAt", marker.map(|needs| json!(needs.at.as_millis())));
        json::set(row, "authInvalidationErrorCode", marker.map(|needs| json!(needs.code)));
    }
}

/// Of two rows of one account the newer one is meant; what it lacks is taken from the older one.
pub(crate) fn fill_from(newer: &mut Object, older: &Object) {
    for (key, value) in older {
        if !newer.contains_key(key) {
            newer.insert(key.clone(), value.clone());
        }
    }
}

fn encode_tokens(row: &mut Object, credential: &Credential) {
    if json::text(row, "refreshToken") != Some(credential.refresh.expose()) {
        json::set(row, "refreshToken", Some(json!(credential.refresh.expose())));
    }
    set_text(row, "accessToken", credential.access.as_ref().map(AccessToken::expose));
    let told = json::millis(row, "expiresAt");
    let known = told.or_else(|| claims_of(credential.access.as_ref(), None).expires_at);
    if known != credential.expires_at || told.is_none() {
        json::set(row, "expiresAt", credential.expires_at.map(|end| json!(end.as_millis())));
    }
}

fn set_text(row: &mut Object, key: &str, text: Option<&str>) {
    if json::text(row, key) != text {
        json::set(row, key, text.map(|text| json!(text)));
    }
}

fn lower(row: &Object, key: &str) -> Option<String> {
    json::text(row, key).map(str::to_lowercase)
}

fn email_of(row: &Object) -> Option<String> {
    lower(row, "email")
}

fn workspace_of(row: &Object) -> Option<WorkspaceId> {
    json::text(row, "accountId").and_then(WorkspaceId::parse).filter(|id| !id.is_platform_organisation())
}

fn marker_of(row: &Object) -> Option<NeedsLogin> {
    let at = json::millis(row, "authInvalidatedAt").filter(|at| *at > Timestamp::default())?;
    let code = json::text(row, "authInvalidationErrorCode").unwrap_or(INVALIDATED).to_owned();
    Some(NeedsLogin { code, at })
}
