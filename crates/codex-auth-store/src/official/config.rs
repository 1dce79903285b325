//! Owns where the official client keeps its login, as its `config.toml` says, and making it keep it in `auth.json`.
//!
//! Changed only when a person asks for it, with a private copy of the file made before.

use std::fmt::Display;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;

use super::{
    config_edit::{self, Before},
    write::LoginError,
};
use crate::{
    file_store::FileStore,
    fs::{Fs, read_optional, remove_durably, replace_atomically},
    oplog::{self, Aside, Operation},
    transaction::{self, Step},
};

/// Where the client keeps its login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientStore {
    /// In `auth.json`; also what a missing key means.
    File,
    /// In the system's keyring, else in `auth.json`.
    Auto,
    /// Only in the system's keyring.
    Keyring,
    /// Nowhere: it ends with the process.
    Ephemeral,
    /// A word we do not know.
    Other(String),
}

/// A key of the client's configuration that was changed: enough to take it back, and no content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The configuration file.
    pub path: Utf8PathBuf,
    /// What stood there.
    pub before: Before,
    /// The text that was put in: the value, or the new line with its blank lines.
    pub after: String,
    /// The private copy of the file as it was; `None` when there was no file.
    pub copy: Option<Utf8PathBuf>,
}

/// What became of taking a change back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigUndo {
    /// What the change did is gone.
    Restored,
    /// Somebody set the key anew since; nothing was touched.
    ChangedSince,
}

impl ClientStore {
    fn named(word: &str) -> Self {
        match word {
            "file" => Self::File,
            "auto" => Self::Auto,
            "keyring" => Self::Keyring,
            "ephemeral" => Self::Ephemeral,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word in the configuration.
    pub fn as_str(&self) -> &str {
        match self {
            Self::File => "file",
            Self::Auto => "auto",
            Self::Keyring => "keyring",
            Self::Ephemeral => "ephemeral",
            Self::Other(word) => word,
        }
    }

    /// Whether the client would find a login in `auth.json`.
    pub fn reads_auth_json(&self) -> bool {
        match self {
            Self::File | Self::Auto | Self::Other(_) => true,
            Self::Keyring | Self::Ephemeral => false,
        }
    }
}

impl FileStore {
    /// Where the client of the default home keeps its login; `None` when its configuration does not say.
    pub fn client_store(&self) -> Result<Option<ClientStore>, StoreError> {
        store_of(self.engine.fs.as_ref(), &self.layout().config_toml())
    }

    /// Makes the client of the default home keep its login in `auth.json`; `None` when it does so by its own word.
    pub fn keep_login_in_file(&self) -> Result<Option<ConfigChange>, StoreError> {
        let (fs, path) = (self.engine.fs.as_ref(), self.layout().config_toml());
        let _root = self.engine.lock_root()?;
        self.engine.finish()?;
        let was = read_text(fs, &path)?;
        let edited = config_edit::keep_in_file(was.as_deref().unwrap_or_default());
        let Some(edited) = edited.map_err(|why| unusable(&path, why))? else { return Ok(None) };
        let copy = was.as_ref().map(|text| self.copy_of_config(text)).transpose()?;
        let before = if was.is_some() { edited.before } else { Before::NoFile };
        let change = ConfigChange { path, before, after: edited.after, copy };
        let step = Step::replace(change.path.clone(), was.as_ref().map(String::as_bytes), edited.text.into_bytes());
        let aside = Aside::Config(change.clone());
        let what = Operation::new("auth-store", "made codex keep its login in auth.json");
        self.note(Operation { aside: Some(&aside), ..what }, vec![step])?;
        Ok(Some(change))
    }

    /// Takes a change back and notes it.
    pub(crate) fn take_back_config(
        &self,
        operation: Operation<'_>,
        change: &ConfigChange,
    ) -> Result<ConfigUndo, StoreError> {
        let undone = self.undo_config(change)?;
        // Noted even where the key stays: else it would stand in the way of every earlier change.
        let _root = self.engine.lock_root()?;
        self.note(operation, Vec::new())?;
        Ok(undone)
    }

    /// Carries out steps together with the line that notes them; under the root's lock.
    fn note(&self, operation: Operation<'_>, mut steps: Vec<Step>) -> Result<(), StoreError> {
        let pool = self.engine.read()?;
        steps.extend(oplog::step(&self.engine, operation, (&pool, &pool), None)?);
        transaction::run(self.engine.fs.as_ref(), &self.engine.layout.change_journal(), &steps)
    }

    /// Takes a change back, byte for byte where nobody wrote meanwhile.
    pub fn undo_config(&self, change: &ConfigChange) -> Result<ConfigUndo, StoreError> {
        let (fs, path) = (self.engine.fs.as_ref(), &change.path);
        let _root = self.engine.lock_root()?;
        let Some(text) = read_text(fs, path)? else { return Ok(ConfigUndo::ChangedSince) };
        let undone = config_edit::undone(&text, &change.before, &change.after);
        match undone.map_err(|why| unusable(path, why))? {
            None => return Ok(ConfigUndo::ChangedSince),
            Some(rest) if change.before == Before::NoFile && rest.is_empty() => remove_durably(fs, path)?,
            Some(rest) => replace_atomically(fs, path, rest.as_bytes())?,
        }
        Ok(ConfigUndo::Restored)
    }

    /// Keeps the text as it was; it may hold keys of other providers, so it is private.
    fn copy_of_config(&self, text: &str) -> Result<Utf8PathBuf, StoreError> {
        let dir = self.layout().config_copies_dir();
        let mut at = self.engine.now().as_millis();
        while dir.join(format!("config.toml.{at}")).exists() {
            at += 1;
        }
        let copy = dir.join(format!("config.toml.{at}"));
        replace_atomically(self.engine.fs.as_ref(), &copy, text.as_bytes())?;
        Ok(copy)
    }
}

/// Refuses a configuration whose client does not read `auth.json`.
pub(super) fn refuse_other_stores(fs: &dyn Fs, path: &Utf8Path) -> Result<(), LoginError> {
    read_optional(fs, path)?.map_or(Ok(()), |bytes| refuse_other_store(path, &bytes))
}

/// The same for the content of the file at `path`.
pub(crate) fn refuse_other_store(path: &Utf8Path, bytes: &[u8]) -> Result<(), LoginError> {
    match told(path, bytes)? {
        Some(store) if !store.reads_auth_json() => {
            Err(LoginError::KeptElsewhere { path: path.to_string(), store: store.as_str().to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

fn store_of(fs: &dyn Fs, path: &Utf8Path) -> Result<Option<ClientStore>, StoreError> {
    read_optional(fs, path)?.map_or(Ok(None), |bytes| told(path, &bytes))
}

fn told(path: &Utf8Path, bytes: &[u8]) -> Result<Option<ClientStore>, StoreError> {
    let text = std::str::from_utf8(bytes).map_err(|_| unusable(path, "it is not text"))?;
    let told = config_edit::told(text).map_err(|why| unusable(path, why))?;
    Ok(told.and_then(|item| item.as_str().map(ClientStore::named)))
}

fn read_text(fs: &dyn Fs, path: &Utf8Path) -> Result<Option<String>, StoreError> {
    let bytes = read_optional(fs, path)?;
    bytes.map(String::from_utf8).transpose().map_err(|_| unusable(path, "it is not text"))
}

fn unusable(path: &Utf8Path, why: impl Display) -> StoreError {
    StoreError::Unreadable { path: path.to_string(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsFs, Write};

    #[track_caller]
    fn check(config: &str, expect: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("config.toml")).expect("text");
        OsFs.write(&path, config.as_bytes(), Write::New).expect("written");
        let said = match refuse_other_stores(&OsFs, &path) {
            Ok(()) => "file".to_owned(),
            Err(LoginError::KeptElsewhere { store, .. }) => store,
            Err(error) => error.to_string().replace(path.as_str(), "config.toml"),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn only_the_top_level_key_counts() {
        check("", "file");
        check("cli_auth_credentials_store = 'file'\n", "file");
        check("cli_auth_credentials_store = \"keyring\"\n", "keyring");
        check("cli_auth_credentials_store = \"ephemeral\" # by choice\n", "ephemeral");
        check("[profiles.x]\ncli_auth_credentials_store = \"keyring\"\n", "file");
        check("x = [", "config.toml cannot be used: it is not TOML; mend it first");
    }
}
