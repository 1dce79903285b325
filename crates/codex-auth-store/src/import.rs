//! Owns turning what a person brings (a sign-in, an official login, a predecessor's file) into accounts, as values.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    Account, Credential, Held, Kind, Login, LoginState, NeedsLogin, Owner, Provenance, SavedPool, Seen, StoreError,
    Timestamp,
};
use serde_json::{Value, json};

use crate::{
    claims,
    document::{Codec as _, record::record_of, row, v3::V3},
    fs::{Fs as _, io_error, os::OsFs},
    json::{self, Object},
    merge,
    official::{accounts_json, login_of},
};

mod format;
mod opencode;

pub use format::Format;

/// Larger files are no accounts files.
pub const LARGEST: u64 = 4 * 1024 * 1024;

/// Why a file was not imported. It stays as it is, and so does the pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not there.
    #[error("Import file not found: {0}")]
    NotFound(Utf8PathBuf),
    /// It is too large to be one.
    #[error("Import file exceeds maximum size of {LARGEST} bytes: {0}")]
    TooLarge(Utf8PathBuf),
    /// It is no JSON.
    #[error("Invalid JSON in import file: {0}")]
    NotJson(Utf8PathBuf),
    /// It is of no format we know.
    #[error("Invalid account storage format: {0}")]
    UnknownFormat(Utf8PathBuf),
    /// It is of a format we know, and says nothing we can use.
    #[error("{0}")]
    Unusable(String),
    /// The document or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The sign-ins of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the file is.
    pub format: Format,
    /// Its sign-ins, each knowing where it came from.
    pub accounts: Vec<Held>,
}

impl ImportError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::TooLarge(_) | Self::NotJson(_) | Self::UnknownFormat(_) | Self::Unusable(_) => {
                Kind::Usage
            }
            Self::Store(error) => error.kind(),
        }
    }
}

/// Reads the sign-ins of a file, which is only read. `name` is the path as it is to be remembered.
pub fn from_file(name: &Utf8Path, now: Timestamp) -> Result<Imported, ImportError> {
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => ImportError::NotFound(name.to_owned()),
        _ => ImportError::Store(io_error("read", name, error)),
    };
    if name.metadata().map_err(|error| failed(&error))?.len() > LARGEST {
        return Err(ImportError::TooLarge(name.to_owned()));
    }
    from_bytes(name, &OsFs.read(name).map_err(|error| failed(&error))?, now)
}

/// Reads the sign-ins of a file's content.
pub fn from_bytes(path: &Utf8Path, bytes: &[u8], now: Timestamp) -> Result<Imported, ImportError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let document = match serde_json::from_slice(text) {
        Ok(Value::Object(document)) => document,
        Ok(_) => return Err(ImportError::UnknownFormat(path.to_owned())),
        Err(_) => return Err(ImportError::NotJson(path.to_owned())),
    };
    let format = Format::of(&document).ok_or_else(|| ImportError::UnknownFormat(path.to_owned()))?;
    let unusable = |why: &str| ImportError::Unusable(format!("{path} cannot be used: {why}"));
    let mut accounts = match format {
        Format::Accounts => from_document(path, bytes, now)?.accounts,
        Format::Flagged => flagged(&document, now),
        Format::OpenCode => opencode::accounts_of(&document, now).map_err(unusable)?,
        Format::AccountsJson => {
            accounts_json::logins_of(&document).into_iter().map(|login| from_login(login, now)).collect()
        }
        Format::AuthJson => match login_of(path, bytes) {
            LoginState::Usable(login) => vec![from_login(*login, now)],
            LoginState::Unusable { why } => return Err(ImportError::Unusable(why)),
            LoginState::Absent => return Err(ImportError::NotFound(path.to_owned())),
        },
    };
    for held in &mut accounts {
        let (path, format) = (path.to_string(), format.as_str().to_owned());
        held.account.provenance = Some(Provenance { path, format, at: now, shared: true });
    }
    Ok(Imported { format, accounts })
}

/// Accounts the predecessor parked because their refresh token died: they come in as such.
fn flagged(document: &Object, now: Timestamp) -> Vec<Held> {
    let rows = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let parked = rows.iter().filter_map(|raw| {
        let parked = raw.as_object()?;
        let mut held = row::decode(parked, now)?;
        claims::complete(&mut held);
        let at = json::millis(parked, "flaggedAt").unwrap_or(now);
        let code = json::text(parked, "flaggedReason").unwrap_or("flagged").to_owned();
        held.account.needs_login = held.account.needs_login.take().or(Some(NeedsLogin { code, at }));
        Some(held)
    });
    parked.collect()
}

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
        incident: None,
        rests: Vec::new(),
        seen: Seen { added_at: now, last_used_at: now },
        issuer,
        provenance: None,
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
    pool.accounts.iter_mut().for_each(claims::complete);
    merge::fold(&mut pool, now);
    Ok(pool)
}
