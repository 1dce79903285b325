//! Owns writing and removing an `auth.json` by the official client's own lock protocol, for well under a second.
//!
//! Protocol of 0.169.0: `auth.lock` in the home, links followed to the target, `<target>.lock` beside it, re-read,
//! temp file, rename. Lock files stay behind empty. Nothing of ours is ever written into the file.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Credential, Held, Kind, Login, LoginState, RecordId, SavedPool, StoreError, Timestamp};
use serde_json::{Value, json};

use super::{
    accounts_json::{self, AccountsJson},
    config, login_of, replica,
};
use crate::{
    claims::{is_loadable, issued_at},
    engine::{Engine, root_lock::RootLock},
    file_store::FileStore,
    fs::{
        Fs, io_error,
        lock::{self, Signature},
        os, read_optional, remove_durably, replace_atomically,
    },
    hash::token_hash,
    json::{self, Object},
    layout::ClientFiles,
    merge,
};

/// Why a login was not written or removed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The client keeps its login elsewhere.
    #[error("{path} sets cli_auth_credentials_store to {store}, so the official client does not read auth.json")]
    KeptElsewhere {
        /// The configuration file.
        path: String,
        /// `keyring` or `ephemeral`.
        store: String,
    },
    /// The account cannot stand in an `auth.json`: the client would not sign requests with it.
    #[error("account {record} has no {what}, which the official client needs")]
    Incomplete {
        /// The account.
        record: RecordId,
        /// What is missing.
        what: &'static str,
    },
    /// The login that stands there is in no pool and would be lost.
    #[error("{path} holds a login of {who}, which is not in the pool")]
    NotInPool {
        /// The file.
        path: String,
        /// Its e-mail address, or how it is called otherwise.
        who: String,
    },
    /// The file has a second name; the official client refuses such a file, too.
    #[error("{path} is a hard link")]
    HardLinked {
        /// The file.
        path: String,
    },
    /// After writing, another login stood there.
    #[error("{path} was written by another program at the same time")]
    NotVerified {
        /// The file.
        path: String,
    },
    /// The disk did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::KeptElsewhere { .. } | Self::NotInPool { .. } => Kind::Usage,
            Self::Incomplete { .. } => Kind::NeedsLogin,
            Self::HardLinked { .. } => Kind::Storage,
            Self::NotVerified { .. } => Kind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

impl FileStore {
    /// Makes `record` the login of a home, after saving what stands there into the pool. A list of logins that lies
    /// beside it is kept in step; both are read back.
    pub fn write_login(&self, codex_home: &Utf8Path, record: &RecordId) -> Result<AccountsJson, LoginError> {
        let (engine, files) = (&self.engine, self.layout().client_files(codex_home));
        let fs = engine.fs.as_ref();
        config::refuse_other_stores(fs, &files.config)?;
        self.replacing_login(&files, |target, there| {
            let held = engine.find(record)?;
            let stands = |login: &Login| {
                login.credential.same_grant(&held.credential) && login.credential.access == held.credential.access
            };
            if !there.as_ref().is_some_and(stands) {
                put(fs, target, &held, engine.now())?;
            }
            Ok(accounts_json::put(fs, &files.accounts, &held, engine.now(), engine.waits.official / 2))
        })
    }

    /// Removes the login of a home, after saving it into the pool. Nothing is revoked. Returns whether there was one.
    pub fn remove_login(&self, codex_home: &Utf8Path) -> Result<bool, LoginError> {
        let files = self.layout().client_files(codex_home);
        self.replacing_login(&files, |target, _| remove(self.engine.fs.as_ref(), target))
    }

    /// Saves the login that stands in a home into the pool: what is replaced next is not lost.
    pub(super) fn save_what_stands(
        &self,
        root: &RootLock,
        files: &ClientFiles,
        target: &Utf8Path,
    ) -> Result<Option<Login>, LoginError> {
        let engine = &self.engine;
        self.adopt_listed(root, files)?;
        let there = match read_optional(engine.fs.as_ref(), target)?.map(|bytes| login_of(target, &bytes)) {
            Some(LoginState::Usable(login)) => Some(*login),
            Some(LoginState::Absent | LoginState::Unusable { .. }) | None => None,
        };
        if let Some(login) = &there {
            let now = engine.now();
            let mut is_known = false;
            let adopt = |pool: &mut SavedPool| {
                if let Some(index) = merge::known(pool, &login.owner, &login.credential) {
                    is_known = true;
                    replica::adopt(&mut pool.accounts[index], login, now);
                }
            };
            engine.edit_locked(root, adopt, &|_, _, _| Ok(Vec::new()))?;
            if !is_known {
                let who = login.owner.email.clone().unwrap_or_else(|| "an unnamed account".into());
                return Err(LoginError::NotInPool { path: target.to_string(), who });
            }
        }
        Ok(there)
    }

    /// Saves the login of a home into the pool, then lets `work` replace it, all under the locks of both.
    fn replacing_login<T>(
        &self,
        files: &ClientFiles,
        work: impl FnOnce(&Utf8Path, Option<Login>) -> Result<T, LoginError>,
    ) -> Result<T, LoginError> {
        let engine = &self.engine;
        let root = engine.lock_root()?;
        engine.finish()?;
        under_locks(engine, files, |Under { target, .. }| {
            let there = self.save_what_stands(&root, files, target)?;
            work(target, there)
        })
    }

    /// Saves newer pairs of the home's list of logins into the accounts they belong to.
    fn adopt_listed(&self, root: &RootLock, files: &ClientFiles) -> Result<(), StoreError> {
        let (engine, now) = (&self.engine, self.engine.now());
        let listed = accounts_json::logins(engine.fs.as_ref(), &files.accounts);
        if listed.is_empty() {
            return Ok(());
        }
        let adopt = |pool: &mut SavedPool| {
            for login in &listed {
                if let Some(index) = merge::known(pool, &login.owner, &login.credential) {
                    replica::adopt(&mut pool.accounts[index], login, now);
                }
            }
        };
        engine.edit_locked(root, adopt, &|_, _, _| Ok(Vec::new())).map(drop)
    }
}

/// Writes `held` as the login of a home on the real disk, and reads it back.
///
/// What stood there is lost unless it is in a pool; [`FileStore::write_login`] sees to that.
pub fn write_login(files: &ClientFiles, held: &Held, now: Timestamp) -> Result<(), LoginError> {
    config::refuse_other_stores(&os::OsFs, &files.config)?;
    under_real_locks(files, |Under { target, .. }| put(&os::OsFs, target, held, now))
}

/// Removes the login of a home on the real disk; revokes nothing. Returns whether there was one.
pub fn remove_login(files: &ClientFiles) -> Result<bool, LoginError> {
    under_real_locks(files, |Under { target, .. }| remove(&os::OsFs, target))
}

/// Replaces the pair in a home's file if it still holds the token that was spent.
pub(super) fn renew(
    engine: &Engine,
    files: &ClientFiles,
    spent_hash: &str,
    fresh: &Credential,
) -> Result<(), LoginError> {
    under_locks(engine, files, |Under { target, .. }| {
        let (fs, now) = (engine.fs.as_ref(), engine.now());
        accounts_json::renew(fs, &files.accounts, spent_hash, fresh, now, engine.waits.official / 2);
        let Some(bytes) = read_optional(fs, target)? else { return Ok(()) };
        let LoginState::Usable(login) = login_of(target, &bytes) else { return Ok(()) };
        if token_hash(&login.credential.refresh) != spent_hash {
            return Ok(());
        }
        let mut document = json::parse_object(target, &bytes, "sign in again")?;
        set_pair(&mut document, fresh, now);
        Ok(replace_atomically(fs, target, &json::pretty(&document))?)
    })
}

/// A login file, and the locks that are held.
pub(super) struct Under<'a> {
    /// The file a home's login leads to.
    pub(super) target: &'a Utf8Path,
    /// Where the locks of the client's protocol lie, in their order.
    pub(super) locks: Vec<Utf8PathBuf>,
}

/// Runs `work` on the file a home's login leads to, under both locks of the client's protocol.
pub(super) fn under_locks<T>(
    engine: &Engine,
    files: &ClientFiles,
    work: impl FnOnce(Under<'_>) -> Result<T, LoginError>,
) -> Result<T, LoginError> {
    locked(files, engine.waits.official, work)
}

fn under_real_locks<T>(
    files: &ClientFiles,
    work: impl FnOnce(Under<'_>) -> Result<T, LoginError>,
) -> Result<T, LoginError> {
    locked(files, crate::Waits::default().official, work)
}

fn locked<T>(
    files: &ClientFiles,
    wait: std::time::Duration,
    work: impl FnOnce(Under<'_>) -> Result<T, LoginError>,
) -> Result<T, LoginError> {
    let home = files.home.join("auth.lock");
    let _home = lock::lock(&home, Signature::Blank, wait / 2)?;
    let path = &files.auth;
    let target = os::follow(path).map_err(|error| io_error("follow", path, &error))?;
    if os::link_count(&target).is_some_and(|names| names > 1) {
        return Err(LoginError::HardLinked { path: target.to_string() });
    }
    let beside = Utf8PathBuf::from(format!("{target}.lock"));
    let _file = lock::lock(&beside, Signature::Blank, wait / 2)?;
    work(Under { target: &target, locks: vec![home, beside] })
}

fn put(fs: &dyn Fs, target: &Utf8Path, held: &Held, now: Timestamp) -> Result<(), LoginError> {
    let bytes = read_optional(fs, target)?;
    replace_atomically(fs, target, &login_text(target, bytes.as_deref(), held, now)?)?;
    verified(fs, target, &held.credential)
}

/// The text of a login file that says `held`; `bytes` are those of the file there.
pub(super) fn login_text(
    target: &Utf8Path,
    bytes: Option<&[u8]>,
    held: &Held,
    now: Timestamp,
) -> Result<Vec<u8>, LoginError> {
    let lacks = |what| LoginError::Incomplete { record: held.account.record.clone(), what };
    let credential = &held.credential;
    let workspace = held.account.owner.workspace.as_ref().ok_or_else(|| lacks("workspace id"))?;
    credential.access.as_ref().ok_or_else(|| lacks("access token"))?;
    credential.id.as_ref().filter(|id| is_loadable(id)).ok_or_else(|| lacks("id token"))?;
    let there = bytes.map(|bytes| login_of(target, bytes));
    let mut document =
        bytes.and_then(|bytes| json::parse_object(target, bytes, "sign in again").ok()).unwrap_or_default();
    let is_other = !matches!(&there, Some(LoginState::Usable(login)) if held.account.owner.agrees_with(&login.owner));
    json::set(&mut document, "auth_mode", Some(json!("chatgpt")));
    // A user's API key stays: with the mode named, the tokens win.
    if !document.contains_key("OPENAI_API_KEY") {
        json::set(&mut document, "OPENAI_API_KEY", Some(Value::Null));
    }
    set_pair(&mut document, credential, now);
    if let Some(tokens) = document.get_mut("tokens").and_then(Value::as_object_mut) {
        if is_other {
            // They describe the sign-in that stood here, and would send our token to that one's issuer.
            tokens.shift_remove("oauth_provenance");
            tokens.shift_remove("login_owner_id");
        }
        json::set(tokens, "account_id", Some(json!(workspace.as_str())));
    }
    Ok(json::pretty(&document))
}

/// Whether the grant stands there now: another program may have written at the same time.
pub(super) fn verified(fs: &dyn Fs, target: &Utf8Path, credential: &Credential) -> Result<(), LoginError> {
    let again = read_optional(fs, target)?.map(|bytes| login_of(target, &bytes));
    match again {
        Some(LoginState::Usable(login)) if login.credential.same_grant(credential) => Ok(()),
        Some(LoginState::Usable(_) | LoginState::Absent | LoginState::Unusable { .. }) | None => {
            Err(LoginError::NotVerified { path: target.to_string() })
        }
    }
}

fn remove(fs: &dyn Fs, target: &Utf8Path) -> Result<bool, LoginError> {
    let was_there = read_optional(fs, target)?.is_some();
    remove_durably(fs, target)?;
    Ok(was_there)
}

/// Sets the three tokens and when they were granted. An id token that is not there leaves the old one standing.
fn set_pair(document: &mut Object, pair: &Credential, now: Timestamp) {
    let mut tokens = document.get("tokens").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(id) = &pair.id {
        json::set(&mut tokens, "id_token", Some(json!(id.expose())));
    }
    if let Some(access) = &pair.access {
        json::set(&mut tokens, "access_token", Some(json!(access.expose())));
    }
    json::set(&mut tokens, "refresh_token", Some(json!(pair.refresh.expose())));
    json::set(document, "tokens", Some(Value::Object(tokens)));
    let issued = || pair.access.as_ref().and_then(issued_at);
    let granted_at = pair.obtained_at.or_else(issued).filter(|at| *at <= now).unwrap_or(now);
    json::set(document, "last_refresh", rfc3339(granted_at).map(|text| json!(text)));
}

fn rfc3339(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.as_millis()).ok().map(|at| at.to_string())
}
