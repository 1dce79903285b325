//! Owns the official client's `accounts.json`: a list of logins that older clients and other tools keep beside
//! `auth.json`. It is a replica like that one: read for newer pairs, kept in step, and never made by us.
//!
//! Entries are matched by person and workspace. One e-mail address may own several workspaces, so it never decides
//! alone.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    AccessToken, Credential, Held, IdToken, Login, Owner, RefreshToken, StoreError, Timestamp, WorkspaceId,
};
use serde_json::{Value, json};

use crate::{
    claims::claims_of,
    fs::{
        Fs, io_error,
        lock::{self, Signature},
        os, read_optional, replace_atomically,
    },
    hash::token_hash,
    json::{self, Object},
};

const ACCESS: [&str; 2] = ["accessToken", "access_token"];
const REFRESH: [&str; 2] = ["refreshToken", "refresh_token"];
const ID: [&str; 2] = ["idToken", "id_token"];
const WORKSPACE: [&str; 5] = ["accountId", "account_id", "workspace_id", "organization_id", "id"];
const EMAIL: [&str; 3] = ["email", "user_email", "username"];
const EXPIRES: [&str; 2] = ["expiresAt", "expires_at"];
const ACTIVE: [&str; 3] = ["active", "isActive", "is_active"];
const ACTIVE_ID: [&str; 2] = ["activeAccountId", "active_account_id"];
const ACTIVE_EMAIL: [&str; 2] = ["activeEmail", "active_email"];
/// When a program of this family last wrote the file.
const WRITTEN_AT: &str = "codexMultiAuthSyncVersion";

/// What became of the list when a login was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountsJson {
    /// There is none; none was made.
    Absent,
    /// It names the account as the active one, with its tokens.
    InStep,
    /// It does not know the account; it was left as it is.
    NoEntry {
        /// The file.
        path: String,
    },
    /// It was left as it is.
    Skipped {
        /// Why; names the file.
        why: String,
    },
}

/// The logins of the list. A file that is missing or broken has nothing to say.
pub(super) fn logins(fs: &dyn Fs, path: &Utf8Path) -> Vec<Login> {
    let bytes = read_optional(fs, path).ok().flatten();
    let document = bytes.and_then(|bytes| parsed(path, &bytes).ok());
    document.map(|document| logins_of(&document)).unwrap_or_default()
}

/// The logins of a document; entries without a refresh token are none.
pub(crate) fn logins_of(document: &Object) -> Vec<Login> {
    let entries = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| login_of(entry.as_object()?)).collect()
}

/// Whether a document without a version is such a list: it, or an entry, has a key that only this format has.
pub(crate) fn is_such(document: &Object) -> bool {
    let has = |object: &Object, keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
    let entries = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let own = ["access_token", "refresh_token", "account_id", "workspace_id", "auth", "isActive", "is_active"];
    has(document, &ACTIVE_ID)
        || has(document, &ACTIVE_EMAIL)
        || document.contains_key(WRITTEN_AT)
        || entries.iter().filter_map(Value::as_object).any(|entry| has(entry, &own))
}

/// Makes `held` the active login of the list, and reads that back.
pub(super) fn put(
    fs: &dyn Fs,
    path: &Utf8Path,
    held: &Held,
    now: Timestamp,
    wait: std::time::Duration,
) -> AccountsJson {
    changed(fs, path, now, wait, |document| activate(document, held)).unwrap_or_else(|error| skipped(&error))
}

/// Hands a fresh pair to the entry that still holds the token it was bought with.
pub(super) fn renew(
    fs: &dyn Fs,
    path: &Utf8Path,
    spent_hash: &str,
    fresh: &Credential,
    now: Timestamp,
    wait: std::time::Duration,
) -> AccountsJson {
    let hand_on = |document: &mut Object| {
        let mut entries = entries_of(document);
        let spent = entries.iter_mut().find(|entry| login_in(entry).is_some_and(|login| spends(&login, spent_hash)));
        let is_there = spent.map(|entry| set_pair(entry, fresh)).is_some();
        json::set(document, "accounts", Some(Value::Array(entries)));
        is_there
    };
    changed(fs, path, now, wait, hand_on).unwrap_or_else(|error| skipped(&error))
}

/// Whether a login holds the token of this hash.
pub(super) fn spends(login: &Login, spent_hash: &str) -> bool {
    token_hash(&login.credential.refresh) == spent_hash
}

fn skipped(error: &StoreError) -> AccountsJson {
    AccountsJson::Skipped { why: error.to_string() }
}

/// Changes the file under its own lock; `change` says whether the document has a place for it.
fn changed(
    fs: &dyn Fs,
    path: &Utf8Path,
    now: Timestamp,
    wait: std::time::Duration,
    change: impl Fn(&mut Object) -> bool,
) -> Result<AccountsJson, StoreError> {
    let target = os::follow(path).map_err(|error| io_error("follow", path, &error))?;
    if read_optional(fs, &target)?.is_none() {
        return Ok(AccountsJson::Absent);
    }
    if os::link_count(&target).is_some_and(|names| names > 1) {
        return Err(StoreError::Unreadable { path: target.to_string(), why: "it is a hard link".to_owned() });
    }
    let _file = lock::lock(&Utf8PathBuf::from(format!("{target}.lock")), Signature::Blank, wait)?;
    let Some(bytes) = read_optional(fs, &target)? else { return Ok(AccountsJson::Absent) };
    let before = parsed(&target, &bytes)?;
    let mut document = before.clone();
    if !change(&mut document) {
        return Ok(AccountsJson::NoEntry { path: target.to_string() });
    }
    if document == before {
        return Ok(AccountsJson::InStep);
    }
    json::set(&mut document, WRITTEN_AT, Some(json!(now.as_millis())));
    replace_atomically(fs, &target, &json::pretty(&document))?;
    let again = read_optional(fs, &target)?.map(|bytes| parsed(&target, &bytes)).transpose()?;
    if again.as_ref() == Some(&document) {
        return Ok(AccountsJson::InStep);
    }
    let why = "another program wrote it at the same time; run the command again".to_owned();
    Err(StoreError::Unreadable { path: target.to_string(), why })
}

fn parsed(path: &Utf8Path, bytes: &[u8]) -> Result<Object, StoreError> {
    let document = json::parse_object(path, bytes, "it was left as it is")?;
    if document.get("accounts").is_some_and(Value::is_array) {
        return Ok(document);
    }
    let why = "`accounts` is not a list; it was left as it is".to_owned();
    Err(StoreError::Unreadable { path: path.to_string(), why })
}

fn entries_of(document: &Object) -> Vec<Value> {
    document.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Makes the entry of `held` the active one; `false` when there is none.
fn activate(document: &mut Object, held: &Held) -> bool {
    let mut entries = entries_of(document);
    let owner = &held.account.owner;
    let Some(chosen) = place_of(&entries, owner) else { return false };
    for (place, entry) in entries.iter_mut().enumerate() {
        if let Some(entry) = entry.as_object_mut() {
            for key in ACTIVE {
                json::set(entry, key, Some(json!(place == chosen)));
            }
        }
    }
    set_pair(&mut entries[chosen], &held.credential);
    if let Some(entry) = entries[chosen].as_object_mut() {
        set_owner(entry, owner);
        if let Some(tokens) = tokens_mut(entry) {
            set_owner(tokens, owner);
        }
    }
    json::set(document, "accounts", Some(Value::Array(entries)));
    let workspace = owner.workspace.as_ref().map(|id| json!(id.as_str()));
    for key in ACTIVE_ID {
        json::set(document, key, workspace.clone());
    }
    let email = owner.email.as_ref().map(|email| json!(email));
    for key in ACTIVE_EMAIL {
        json::set(document, key, email.clone());
    }
    true
}

/// The entry of an owner: of the same identity, else the only one nothing speaks against.
fn place_of(entries: &[Value], owner: &Owner) -> Option<usize> {
    let only = |test: &dyn Fn(&Owner) -> bool| {
        let known = entries.iter().enumerate().filter_map(|(place, entry)| Some((place, owner_of(entry.as_object()?))));
        let mut found = known.filter(|(_, other)| test(other)).map(|(place, _)| place);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            (Some(_) | None, _) => None,
        }
    };
    let identity = owner.identity();
    only(&|other| identity.is_some() && other.identity() == identity)
        .or_else(|| only(&|other| owner.agrees_with(other)))
}

fn set_owner(object: &mut Object, owner: &Owner) {
    for key in ["accountId", "account_id"] {
        json::set(object, key, owner.workspace.as_ref().map(|id| json!(id.as_str())));
    }
    if let Some(email) = &owner.email {
        json::set(object, "email", Some(json!(email)));
    }
}

/// Sets both spellings of the pair in the entry and in `auth.tokens`; an end that is told there follows.
fn set_pair(entry: &mut Value, pair: &Credential) {
    let set = |object: &mut Object| {
        let access = pair.access.as_ref().map(AccessToken::expose);
        let id = pair.id.as_ref().map(IdToken::expose);
        for (keys, token) in [(ACCESS, access), (REFRESH, Some(pair.refresh.expose())), (ID, id)] {
            for key in keys.into_iter().filter(|_| token.is_some()) {
                json::set(object, key, token.map(|token| json!(token)));
            }
        }
        for key in EXPIRES.into_iter().filter(|key| object.contains_key(*key)).collect::<Vec<_>>() {
            json::set(object, key, pair.expires_at.map(|end| json!(end.as_millis())));
        }
    };
    if let Some(entry) = entry.as_object_mut() {
        set(entry);
        if let Some(tokens) = tokens_mut(entry) {
            set(tokens);
        }
    }
}

fn tokens_mut(entry: &mut Object) -> Option<&mut Object> {
    entry.get_mut("auth")?.get_mut("tokens")?.as_object_mut()
}

fn login_in(entry: &Value) -> Option<Login> {
    login_of(entry.as_object()?)
}

fn login_of(entry: &Object) -> Option<Login> {
    let (access, id) = tokens_of(entry);
    let refresh = RefreshToken::new(first(entry, &REFRESH)?);
    let told = [Some(entry), tokens_in(entry)].into_iter().flatten();
    let told = told.flat_map(|object| EXPIRES.map(|key| json::millis(object, key))).flatten().next();
    let expires_at = told.or_else(|| claims_of(access.as_ref(), id.as_ref()).expires_at);
    let credential = Credential { access, refresh, id, expires_at, obtained_at: None, generation: 0 };
    Some(Login { owner: owner_of(entry), credential, issuer: None })
}

/// Whose an entry is; what the file says about the workspace comes before what its tokens say.
fn owner_of(entry: &Object) -> Owner {
    let (access, id) = tokens_of(entry);
    let claims = claims_of(access.as_ref(), id.as_ref());
    let named = first(entry, &WORKSPACE).and_then(WorkspaceId::parse).filter(|id| !id.is_platform_organisation());
    let email = first(entry, &EMAIL).map(str::to_lowercase);
    Owner { user: claims.user, workspace: named.or(claims.workspace), email: email.or(claims.email), plan: claims.plan }
}

fn tokens_of(entry: &Object) -> (Option<AccessToken>, Option<IdToken>) {
    (first(entry, &ACCESS).map(AccessToken::new), first(entry, &ID).map(IdToken::new))
}

fn tokens_in(entry: &Object) -> Option<&Object> {
    entry.get("auth")?.get("tokens")?.as_object()
}

/// The first text under these keys, in the entry or in its `auth.tokens`.
fn first<'e>(entry: &'e Object, keys: &[&str]) -> Option<&'e str> {
    let all = [Some(entry), tokens_in(entry)].into_iter().flatten();
    all.flat_map(|object| keys.iter().filter_map(move |key| json::text(object, key))).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claims, jwt};

    fn token(user: &str, workspace: &str) -> String {
        jwt(&claims(user, workspace, 1_790_000_000))
    }

    fn object(value: &Value) -> Object {
        value.as_object().expect("an object").clone()
    }

    /// Person, workspace, e-mail, refresh token and end in seconds, as an entry is read.
    #[track_caller]
    fn check(entry: &Value, expect: &str) {
        let login = login_of(&object(entry)).map_or_else(
            || "none".to_owned(),
            |login| {
                let Owner { user, workspace, email, .. } = login.owner;
                let text = |text: Option<String>| text.unwrap_or_else(|| "-".into());
                let end = login.credential.expires_at.map(|end| (end.as_millis() / 1000).to_string());
                let workspace = text(workspace.map(|id| id.to_string()));
                let (user, refresh) =
                    (text(user.map(|id| id.to_string())), login.credential.refresh.expose().to_owned());
                format!("{user} {workspace} {} {refresh} {}", text(email), text(end))
            },
        );
        assert_eq!(login, expect);
    }

    #[test]
    fn every_spelling_is_read() {
        let token = token("u", "w");
        check(
            &json!({ "accessToken": token, "refreshToken": "R", "accountId": "x", "email": "A@b" }),
            "u x a@b R 1790000000",
        );
        check(
            &json!({ "access_token": token, "refresh_token": "R", "workspace_id": "x", "user_email": "A@b" }),
            "u x a@b R 1790000000",
        );
        check(
            &json!({ "id": "x", "username": "A@b", "auth": { "tokens": {
                "access_token": token, "refresh_token": "R", "expires_at": 5000 } } }),
            "u x a@b R 5",
        );
        check(&json!({ "refreshToken": "R", "organization_id": "org-1" }), "- - - R -");
        check(&json!({ "accessToken": token }), "none");
    }

    #[track_caller]
    fn check_place(entries: &Value, user: &str, workspace: &str, expect: Option<usize>) {
        let owner = Owner {
            user: codex_auth_core::UserId::parse(user),
            workspace: WorkspaceId::parse(workspace),
            email: Some("a@b".into()),
            plan: None,
        };
        assert_eq!(place_of(entries.as_array().expect("a list"), &owner), expect);
    }

    #[test]
    fn f23_equal_mail_is_no_match() {
        let entry = |user: &str, workspace: &str| json!({ "accessToken": token(user, workspace), "email": "a@b" });
        let two = json!([entry("u1", "w1"), entry("u1", "w2"), entry("u2", "w1"), { "email": "a@b" }]);
        check_place(&two, "u1", "w2", Some(1));
        check_place(&two, "u2", "w1", Some(2));
        check_place(&two, "u1", "w3", None);
        check_place(&json!([{ "email": "a@b" }]), "u1", "w1", None);
        check_place(&json!([{ "email": "a@b", "accountId": "w1" }]), "u1", "w1", Some(0));
        check_place(&json!([{ "email": "z@b", "accountId": "w1" }]), "u1", "w1", None);
    }

    #[test]
    fn the_format_is_told_by_its_own_keys() {
        let is = |value: &Value| is_such(&object(value));
        assert!(is(&json!({ "accounts": [], "activeAccountId": "w" })));
        assert!(is(&json!({ "accounts": [{ "refresh_token": "R" }] })));
        assert!(!is(&json!({ "accounts": [{ "refreshToken": "R", "expires": 1 }] })));
    }
}
