//! Owns writing the pool into a file of its own, in the predecessor's export format, without touching the pool.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Kind, StoreError};

use crate::{
    document::{Codec as _, v3::V3},
    file_store::FileStore,
    fs::{os, parent_of, read_optional, replace_atomically},
    json::{self, Object},
    path_guard::{self, PathRefused},
};

/// The keys of an export, in their order. Pin and generation are of one machine and stay there.
const KEYS: [&str; 4] = ["version", "accounts", "activeIndex", "activeIndexByFamily"];

/// Why nothing was exported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The pool is empty.
    #[error("No accounts to export")]
    NoAccounts,
    /// The target is there, and overwriting was not asked for.
    #[error("File already exists: {0}")]
    Exists(Utf8PathBuf),
    /// The target lies among the files of the pool itself.
    #[error("{0} lies in the directory of the pool itself; an export there could destroy it")]
    InsidePool(Utf8PathBuf),
    /// The path cannot be one.
    #[error(transparent)]
    Refused(#[from] PathRefused),
    /// The disk did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub path: Utf8PathBuf,
    /// How many accounts it holds.
    pub account_count: usize,
}

impl ExportError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoAccounts => Kind::NeedsLogin,
            Self::Exists(_) | Self::InsidePool(_) | Self::Refused(_) => Kind::Usage,
            Self::Store(error) => error.kind(),
        }
    }
}

impl FileStore {
    /// Writes the accounts into `path`, which a person named: anywhere they may write but among the pool's own files.
    pub fn export_to(&self, path: &Utf8Path, overwrite: bool) -> Result<Exported, ExportError> {
        let path = path_guard::expanded(path, self.layout().home())?;
        let (bytes, account_count) = self.exported()?;
        if lies_in(&path, self.layout().root()) {
            return Err(ExportError::InsidePool(path));
        }
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(ExportError::Exists(path));
        }
        replace_atomically(self.engine.fs.as_ref(), &path, &bytes)?;
        Ok(Exported { path, account_count })
    }

    /// The text of an export, and how many accounts it holds. Keys of a row that we do not know come along.
    pub(crate) fn exported(&self) -> Result<(Vec<u8>, usize), ExportError> {
        let (pool, now, path) = (self.read_now()?, self.engine.now(), self.layout().accounts());
        if pool.accounts.is_empty() {
            return Err(ExportError::NoAccounts);
        }
        let there = read_optional(self.engine.fs.as_ref(), &path)?;
        let is_ours = self.layout().has_predecessors_marks();
        let mut rows = match there {
            Some(bytes) if is_ours => {
                V3.upgrade(&path, json::parse_object(&path, &bytes, "nothing was exported")?, now)?
            }
            Some(_) | None => V3.empty(),
        };
        if let Some(serde_json::Value::Array(rows)) = rows.get_mut("accounts") {
            // Rows nobody can use are no accounts.
            rows.retain(|row| row.as_object().is_some_and(|row| json::text(row, "refreshToken").is_some()));
        }
        let mut document = V3.encode(&rows, &pool, now);
        let kept = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), document.shift_remove(*key)?)));
        Ok((json::pretty(&kept.collect::<Object>()), pool.accounts.len()))
    }
}

/// Whether a file would come to lie below `dir`, links followed. What cannot be followed is judged by its text.
fn lies_in(path: &Utf8Path, dir: &Utf8Path) -> bool {
    let real = |path: &Utf8Path| path.canonicalize_utf8().ok();
    let target = os::follow(path).unwrap_or_else(|_| path.to_owned());
    let at = parent_of(&target);
    real(&at).unwrap_or(at).starts_with(real(dir).unwrap_or_else(|| dir.to_owned()))
}
