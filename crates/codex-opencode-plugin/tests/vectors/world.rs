//! Owns the throw-away directory of one case, with its clock.
#![allow(clippy::disallowed_methods, reason = "the runner lays and reads files as another program would")]

use std::{cell::RefCell, fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Timestamp, testing::ManualClock};
use codex_auth_store::{OsFs, opencode::OpenCodeFile};
use serde_json::Value;
use tempfile::TempDir;

use super::placeholder::Scope;

/// When the virtual clock of a case starts.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// The account store's name.
pub(crate) const STORE: &str = "codex-accounts.json";

/// The directories of one case.
pub(crate) struct World {
    _dirs: [TempDir; 2],
    /// `<ROOT>`: where the store lies.
    pub(crate) root: Utf8PathBuf,
    /// `XDG_DATA_HOME`.
    pub(crate) data: Utf8PathBuf,
    /// Placeholders that a case itself gives a meaning.
    meant: RefCell<Vec<(&'static str, String)>>,
}

impl World {
    /// Fresh, empty directories.
    pub(crate) fn new() -> Result<Self, String> {
        let dir = || tempfile::tempdir().map_err(|error| error.to_string());
        let dirs = [dir()?, dir()?];
        let path = |dir: &TempDir| {
            Utf8PathBuf::from_path_buf(dir.path().to_owned()).map_err(|path| format!("{} is no text", path.display()))
        };
        Ok(Self { root: path(&dirs[0])?, data: path(&dirs[1])?, meant: RefCell::default(), _dirs: dirs })
    }

    /// What placeholders mean here.
    pub(crate) fn scope(&self) -> Scope {
        let mut roots = vec![("<ROOT>", self.root.to_string())];
        roots.extend(self.meant.borrow().iter().cloned());
        Scope::with(roots)
    }

    /// Gives a placeholder its meaning in this case.
    pub(crate) fn mean(&self, placeholder: &'static str, meaning: impl Into<String>) {
        self.meant.borrow_mut().push((placeholder, meaning.into()));
    }

    /// The store, at `now`.
    pub(crate) fn file_at(&self, name: &str, now: Timestamp) -> OpenCodeFile {
        OpenCodeFile::new(self.root.join(name), Arc::new(OsFs), Arc::new(ManualClock::at(now)))
    }

    /// The account store.
    pub(crate) fn file(&self) -> OpenCodeFile {
        self.file_at(STORE, NOW)
    }

    /// The text of a file beside the store.
    pub(crate) fn text(&self, name: &str) -> Result<String, String> {
        fs::read_to_string(self.root.join(name)).map_err(|error| format!("read {name}: {error}"))
    }
}

/// Lays a file: text as it is, anything else as JSON, with the mode a program gives that does not care.
pub(crate) fn put(path: &Utf8Path, content: &Value) -> Result<(), String> {
    let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
    let dir = path.parent().ok_or("a file without a directory")?;
    fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    fs::write(path, text).map_err(|error| error.to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(|error| error.to_string())
}
