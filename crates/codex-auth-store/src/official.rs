//! Owns what an `auth.json` says, read as the official client reads it.
//!
//! A file the client would load but not sign requests with is unusable here too: such a turn goes out without
//! authorization, and nobody would notice until it fails.

use std::sync::{Arc, PoisonError, RwLock};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    AccessToken, Credential, IdToken, Login, LoginState, OfficialLogins, Owner, RefreshToken, StoreError, Timestamp,
    WorkspaceId,
};

use crate::{
    claims::{claims_of, is_loadable},
    fs::{Fs, os::OsFs, read_optional},
    json::{self, Object},
    layout::{ClientFiles, Layout},
};

pub(crate) mod accounts_json;
pub(crate) mod config;
pub(crate) mod config_edit;
pub(crate) mod replica;
pub(crate) mod running;
pub(crate) mod session_logs;
pub(crate) mod switch;
pub(crate) mod write;

/// Reads the logins of any number of homes; nothing is kept between two questions.
#[derive(Debug, Clone)]
pub struct OfficialHomes {
    fs: Arc<dyn Fs>,
    layout: Option<Layout>,
}

impl OfficialHomes {
    /// Reads from the real disk.
    pub fn new() -> Self {
        Self { fs: Arc::new(OsFs), layout: None }
    }

    /// The same, where the files of the default client may lie elsewhere.
    pub fn of(layout: &Layout) -> Self {
        Self::over(Arc::new(OsFs), layout)
    }

    pub(crate) fn over(fs: Arc<dyn Fs>, layout: &Layout) -> Self {
        Self { fs, layout: Some(layout.clone()) }
    }

    fn files(&self, codex_home: &Utf8Path) -> ClientFiles {
        self.layout.as_ref().map_or_else(|| ClientFiles::of(codex_home), |layout| layout.client_files(codex_home))
    }
}

impl Default for OfficialHomes {
    fn default() -> Self {
        Self::new()
    }
}

impl OfficialLogins for OfficialHomes {
    fn login(&self, codex_home: &str) -> Result<LoginState, StoreError> {
        let path = self.files(Utf8Path::new(codex_home)).auth;
        Ok(match read_optional(self.fs.as_ref(), &path)? {
            Some(bytes) => login_of(&path, &bytes),
            None => LoginState::Absent,
        })
    }
}

/// What the bytes of an `auth.json` at `path` say.
pub fn login_of(path: &Utf8Path, bytes: &[u8]) -> LoginState {
    let found = json::parse_object(path, bytes, "sign in again with `login`").map_err(|error| error.to_string());
    let read = found.and_then(|object| usable(&object).map_err(|why| format!("{path} cannot be used: {why}")));
    match read {
        Ok(login) => LoginState::Usable(Box::new(login)),
        Err(why) => LoginState::Unusable { why },
    }
}

fn usable(object: &Object) -> Result<Login, String> {
    is_chatgpt(object)?;
    let tokens = object.get("tokens").and_then(serde_json::Value::as_object).ok_or("it has no tokens")?;
    let token = |key: &str| json::text(tokens, key).ok_or_else(|| format!("it lacks tokens.{key}"));
    let id = IdToken::new(token("id_token")?);
    if !is_loadable(&id) {
        return Err("its id_token is no JWT of three parts".into());
    }
    let access = AccessToken::new(token("access_token")?);
    // An empty refresh token is loaded by the client; it only cannot be renewed.
    let refresh =
        tokens.get("refresh_token").and_then(serde_json::Value::as_str).ok_or("it lacks tokens.refresh_token")?;
    let last_refresh = json::text(object, "last_refresh").ok_or("it lacks last_refresh")?;
    let obtained_at = instant(last_refresh).ok_or("its last_refresh is no RFC 3339 instant")?;
    let workspace = WorkspaceId::parse(token("account_id")?).ok_or("it lacks tokens.account_id")?;
    let claims = claims_of(Some(&access), Some(&id));
    let provenance = tokens.get("oauth_provenance").and_then(serde_json::Value::as_object);
    Ok(Login {
        owner: Owner { user: claims.user, workspace: Some(workspace), email: claims.email, plan: claims.plan },
        credential: Credential {
            access: Some(access),
            refresh: RefreshToken::new(refresh),
            id: Some(id),
            expires_at: claims.expires_at,
            obtained_at: Some(obtained_at),
            generation: 0,
        },
        issuer: provenance.and_then(|from| json::text(from, "issuer")).map(str::to_owned),
    })
}

/// The client's order of modes: a named one, else the first secret that is there, else ChatGPT.
fn is_chatgpt(object: &Object) -> Result<(), String> {
    const OTHERS: [&str; 4] = ["personal_access_token", "bedrock_api_key", "bedrock_access_keys", "OPENAI_API_KEY"];
    if let Some(mode) = object.get("auth_mode").filter(|mode| !mode.is_null()) {
        return match mode.as_str() {
            Some("chatgpt") => Ok(()),
            Some("apikey") => Err("it is an API-key login".into()),
            Some(_) | None => Err("its auth_mode is not chatgpt".into()),
        };
    }
    let other = OTHERS.iter().find(|key| object.get(**key).is_some_and(|value| !value.is_null()));
    other.map_or(Ok(()), |key| Err(format!("it is a login by {key}, not by ChatGPT")))
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}

/// The homes whose logins are replicas of accounts of the pool: the default one, and those of running clients.
#[derive(Debug, Clone, Default)]
pub struct Homes(Arc<RwLock<Vec<Utf8PathBuf>>>);

impl Homes {
    /// Knows one home.
    pub fn of(home: impl Into<Utf8PathBuf>) -> Self {
        let homes = Self::default();
        homes.add(home);
        homes
    }

    /// Adds a home; one that is known already stays once.
    pub fn add(&self, home: impl Into<Utf8PathBuf>) {
        let home = home.into();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&home) {
            known.push(home);
        }
    }

    /// Forgets a home.
    pub fn forget(&self, home: &Utf8Path) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|known| known != home);
    }

    /// All homes, in the order they came.
    pub fn all(&self) -> Vec<Utf8PathBuf> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{auth_json, jwt};

    #[track_caller]
    fn check(bytes: &[u8], expect: &str) {
        let said = match login_of(Utf8Path::new("auth.json"), bytes) {
            LoginState::Usable(login) => format!("{:?}", login.owner.workspace.map(|id| id.to_string())),
            LoginState::Absent => "absent".into(),
            LoginState::Unusable { why } => why.strip_prefix("auth.json cannot be used: ").unwrap_or(&why).to_owned(),
        };
        assert_eq!(said, expect);
    }

    fn without(path: &[&str]) -> Vec<u8> {
        let mut whole = auth_json("u", "w", "R", 1_790_000_000);
        let (last, rooms) = path.split_last().expect("a key");
        let room = rooms.iter().fold(&mut whole, |value, key| &mut value[*key]);
        room.as_object_mut().expect("an object").shift_remove(*last);
        whole.to_string().into_bytes()
    }

    fn with(key: &str, value: Value) -> Vec<u8> {
        let mut whole = auth_json("u", "w", "R", 1_790_000_000);
        whole[key] = value;
        whole.to_string().into_bytes()
    }

    #[test]
    fn a_whole_login_is_usable() {
        check(&with("more", json!(1)), "Some(\"w\")");
        check(&without(&["auth_mode"]), "Some(\"w\")");
    }

    #[test]
    fn what_the_client_would_not_sign_with_is_unusable() {
        check(b"", "it is empty; sign in again with `login`");
        check(b"{", "it ends in the middle (line 1, column 1); sign in again with `login`");
        check(&without(&["tokens"]), "it has no tokens");
        check(&without(&["tokens", "id_token"]), "it lacks tokens.id_token");
        check(&without(&["tokens", "access_token"]), "it lacks tokens.access_token");
        check(&without(&["tokens", "refresh_token"]), "it lacks tokens.refresh_token");
        check(&without(&["tokens", "account_id"]), "it lacks tokens.account_id");
        check(&without(&["last_refresh"]), "it lacks last_refresh");
        check(&with("last_refresh", json!("soon")), "its last_refresh is no RFC 3339 instant");
        check(&with("tokens", json!({ "id_token": "opaque" })), "its id_token is no JWT of three parts");
    }

    #[test]
    fn other_modes_are_not_chatgpt() {
        check(&with("auth_mode", json!("apikey")), "it is an API-key login");
        check(&with("auth_mode", json!("ChatGPT")), "its auth_mode is not chatgpt");
        let mut key_first = auth_json("u", "w", "R", 1_790_000_000);
        key_first["OPENAI_API_KEY"] = json!("sk-x");
        key_first.as_object_mut().expect("an object").shift_remove("auth_mode");
        check(key_first.to_string().as_bytes(), "it is a login by OPENAI_API_KEY, not by ChatGPT");
    }

    #[test]
    fn an_access_token_may_be_opaque() {
        let mut whole = auth_json("u", "w", "R", 1_790_000_000);
        whole["tokens"]["access_token"] = json!("opaque");
        whole["tokens"]["id_token"] = json!(jwt(&json!({ "email": "a@b" })));
        check(whole.to_string().as_bytes(), "Some(\"w\")");
    }
}
