//! Owns turning what a person brings (a sign-in, an official login, a predecessor's file) into accounts, as values.

use camino::Utf8Path;
use codex_auth_core::{Account, Credential, Held, Login, Owner, SavedPool, Seen, StoreError, Timestamp};
use serde_json::json;

use crate::{
    document::{Codec as _, record::record_of, v3::V3},
    json, merge,
};

/// The account of a fresh sign-in: enabled, added at `now`, its record derived as the predecessor would.
pub fn from_sign_in(owner: Owner, credential: Credential, issuer: Option<String>, now: Timestamp) -> Held {
    let row = json!({
        "addedAt": now.as_millis(),
        "accountId": owner.workspace.as_ref().map(codex_auth_core::WorkspaceId::as_str),
        "email": owner.email,
        "refreshToken": credential.refresh.expose(),
    });
    let account = Account {
        record: record_of(row.as_object().expect("made as an object above")),
        owner,
        label: None,
        alias: None,
        enabled: true,
        needs_login: None,
        rests: Vec::new(),
        seen: Seen { added_at: now, last_used_at: now },
        issuer,
    };
    Held { account, credential }
}

/// The account of an official login.
pub fn from_login(login: Login, now: Timestamp) -> Held {
    let Login { owner, credential, issuer } = login;
    from_sign_in(owner, credential, issuer, now)
}

/// The accounts of a V3 or V1 document; `path` is for messages.
pub fn from_document(path: &Utf8Path, bytes: &[u8], now: Timestamp) -> Result<SavedPool, StoreError> {
    let document = json::parse_object(path, bytes, "nothing was imported")?;
    let mut pool = V3.decode(&V3.upgrade(path, document, now)?, now);
    merge::fold(&mut pool, now);
    Ok(pool)
}
