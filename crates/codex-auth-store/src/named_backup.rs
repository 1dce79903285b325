//! Owns named backups: exports a person keeps beside the pool, listed by age, never overwritten.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Kind, SavedPool, StoreError, Timestamp};

use crate::{
    export::{ExportError, Exported},
    file_store::FileStore,
    fs::{Fs as _, io_error, os, replace_atomically},
    import,
    layout::Layout,
    path_guard::{PathGuard, PathRefused},
};

const SUFFIX: &str = ".json";
/// How files end that are being written.
const TEMPORARY: [&str; 2] = [".tmp", ".wal"];
const WHERE: &str = "the backups directory";

/// A name that stands for a file in the directory of backups and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupName(String);

/// Why a name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBackupName {
    /// Nothing was given.
    #[error("Named backup requires a non-empty filename")]
    Empty,
    /// It would lead somewhere else.
    #[error("Backup filename must not contain path separators")]
    Separator,
    /// It would lead upwards.
    #[error("Backup filename must not contain `..`")]
    Upwards,
    /// It would look like a copy the predecessor rotates away.
    #[error("Backup filename must not contain rotation-style sequences")]
    Rotation,
    /// Nothing but `.json`.
    #[error("Backup filename cannot be just an extension")]
    OnlyExtension,
    /// It would look like a file that is being written.
    #[error("Backup filename must not end with temporary suffixes (.tmp, .wal)")]
    Temporary,
    /// A device on Windows.
    #[error("Backup filename must not be a reserved device name")]
    Reserved,
    /// Another character.
    #[error("Backup filename may hold letters, digits, `-` and `_` only; dots (.) are not allowed")]
    Characters,
}

/// One backup, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBackup {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its name in the directory.
    pub file_name: String,
    /// How many accounts it holds.
    pub account_count: usize,
    /// When it was written.
    pub modified_at: Timestamp,
}

/// Why a backup was not made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] BadBackupName),
    /// A backup of this name is there.
    #[error("Backup already exists: {0}")]
    Exists(Utf8PathBuf),
    /// It is gone.
    #[error("Backup file no longer exists: {0}")]
    Gone(Utf8PathBuf),
    /// It is empty.
    #[error("Backup does not contain any accounts: {0}")]
    NoAccounts(Utf8PathBuf),
    /// It lies elsewhere.
    #[error("Backup path must stay inside {root}: {why}")]
    Outside {
        /// The directory of backups.
        root: Utf8PathBuf,
        /// How it leaves it.
        why: PathRefused,
    },
    /// There is nothing to keep, or the pool cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The disk did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupName {
    /// Checks what a person typed; one `.json` at its end is taken as said.
    pub fn parse(typed: &str) -> Result<Self, BadBackupName> {
        const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
        let typed = typed.trim();
        let is_json = typed.len() >= SUFFIX.len() && typed.is_char_boundary(typed.len() - SUFFIX.len());
        let has_suffix = is_json && typed[typed.len() - SUFFIX.len()..].eq_ignore_ascii_case(SUFFIX);
        let name = if has_suffix { &typed[..typed.len() - SUFFIX.len()] } else { typed };
        let lower = name.to_lowercase();
        let numbered =
            |port: &str| lower.strip_prefix(port).is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9']));
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let wrong = match name {
            _ if typed.is_empty() => BadBackupName::Empty,
            _ if name.contains(['/', '\\']) => BadBackupName::Separator,
            _ if name.contains("..") => BadBackupName::Upwards,
            _ if lower.contains(".rotate.") => BadBackupName::Rotation,
            "" => BadBackupName::OnlyExtension,
            _ if TEMPORARY.iter().any(|end| lower.ends_with(end)) => BadBackupName::Temporary,
            _ if DEVICES.contains(&lower.as_str()) || numbered("com") || numbered("lpt") => BadBackupName::Reserved,
            _ if !name.chars().all(is_plain) => BadBackupName::Characters,
            _ => return Ok(Self(name.to_owned())),
        };
        Err(wrong)
    }

    /// The name of the file.
    pub fn file_name(&self) -> String {
        format!("{}{SUFFIX}", self.0)
    }
}

impl BackupError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Name(_) | Self::Exists(_) | Self::Gone(_) | Self::NoAccounts(_) | Self::Outside { .. } => Kind::Usage,
            Self::Export(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

impl FileStore {
    /// Writes the accounts into a backup of this name, which must be new.
    pub fn back_up(&self, name: &BackupName) -> Result<Exported, BackupError> {
        let _root = self.engine.lock_root()?;
        let (bytes, account_count) = self.exported()?;
        let path = self.layout().backups_dir().join(name.file_name());
        let path = inside(self.layout(), &path)?;
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(path));
        }
        replace_atomically(self.engine.fs.as_ref(), &path, &bytes)?;
        Ok(Exported { path, account_count })
    }
}

/// The named backups of a pool, newest first; files that hold no accounts are none.
pub fn named_backups(layout: &Layout, now: Timestamp) -> Result<Vec<NamedBackup>, StoreError> {
    let dir = layout.backups_dir();
    let names = os::names_in(&dir).map_err(|error| io_error("list", &dir, &error))?;
    let listed = names.into_iter().filter(|name| name.ends_with(SUFFIX)).filter_map(|file_name| {
        let path = dir.join(&file_name);
        let account_count = read_backup(layout, &path, now).ok()?.accounts.len();
        let modified_at = Timestamp::from_millis(os::modified_millis(&path)?);
        Some(NamedBackup { path, file_name, account_count, modified_at })
    });
    let mut listed: Vec<NamedBackup> = listed.collect();
    listed.sort_by(|one, other| (other.modified_at, &one.file_name).cmp(&(one.modified_at, &other.file_name)));
    Ok(listed)
}

/// The accounts of one of the backups that [`named_backups`] lists.
pub fn read_backup(layout: &Layout, path: &Utf8Path, now: Timestamp) -> Result<SavedPool, BackupError> {
    let path = inside(layout, path)?;
    let bytes = match os::OsFs.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::Gone(path)),
        Err(error) => return Err(io_error("read", &path, &error).into()),
    };
    let pool = import::from_document(&path, &bytes, now)?;
    if pool.accounts.is_empty() { Err(BackupError::NoAccounts(path)) } else { Ok(pool) }
}

/// The path, if it lies in the directory of backups and that one is no link to elsewhere.
fn inside(layout: &Layout, path: &Utf8Path) -> Result<Utf8PathBuf, BackupError> {
    let (root, dir) = (layout.root(), layout.backups_dir());
    let real = |path: &Utf8Path| path.canonicalize_utf8().ok();
    let refused = |why| BackupError::Outside { root: dir.clone(), why };
    let in_root = [root.to_owned()];
    PathGuard { called: "the directory of the pool", allowed: &in_root }.check(&dir, &real).map_err(refused)?;
    let in_dir = [dir.clone()];
    PathGuard { called: WHERE, allowed: &in_dir }.check(path, &real).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expect: &str) {
        let said = BackupName::parse(typed).map_or_else(|why| format!("{why:?}"), |name| name.file_name());
        assert_eq!(said, expect, "{typed}");
    }

    #[test]
    fn names_that_are_files_here_and_nowhere_else() {
        check("daily", "daily.json");
        check("daily.json", "daily.json");
        check("ok_1-2", "ok_1-2.json");
        check("a.b", "Characters");
        check("é", "Characters");
        check("../x", "Separator");
        check("..\\x", "Separator");
        check("..", "Upwards");
        check("", "Empty");
        check("  ", "Empty");
        check(".json", "OnlyExtension");
        check("x.tmp", "Temporary");
        check("x.wal.json", "Temporary");
        check("x.rotate.1", "Rotation");
        check("CON", "Reserved");
        check("Nul.json", "Reserved");
        check("lpt9", "Reserved");
        check("com10", "com10.json");
    }
}
