//! Owns the lock of one file of the plugin: our queue, then the directory that its processes understand.

use std::{sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Clock, StoreError};

use super::{dir_lock::DirLock, queue};
use crate::{
    documents::{opencode_affinity::SessionAffinity, opencode_snapshots::QuotaSnapshots},
    fs::{Fs, lock::FileLock},
    state_file::Document as _,
};

/// Files the plugin locks one by one; its catalogs share the lock of their directory.
const LOCKED_ALONE: [&str; 2] = [SessionAffinity::NAME, QuotaSnapshots::NAME];

/// Where our processes queue for a file of the plugin's directory, and the directory that is its lock.
pub(crate) fn lock_of(config_root: &Utf8Path, name: &str) -> (Utf8PathBuf, Utf8PathBuf) {
    if LOCKED_ALONE.contains(&name) {
        let target = config_root.join(format!("{name}.lock"));
        let dir = Utf8PathBuf::from(format!("{target}.lock"));
        return (target, dir);
    }
    (config_root.join("codex-auth/cache.lock"), config_root.join("cache.lock"))
}

/// Held until dropped: first the directory goes, then the place in our queue.
#[derive(Debug)]
pub(crate) struct StoreLock {
    dir: DirLock,
    _queue: FileLock,
}

impl StoreLock {
    /// Takes the lock of `file`, whose target the plugin keeps beside it as an empty file.
    pub(crate) fn take(
        fs: &dyn Fs,
        file: &Utf8Path,
        wait: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let target = Utf8PathBuf::from(format!("{file}.lock"));
        Self::at(fs, &target, &Utf8PathBuf::from(format!("{target}.lock")), wait, clock)
    }

    /// The lock made of the directory `dir`, before which our processes queue at `queue`.
    pub(crate) fn at(
        fs: &dyn Fs,
        queue: &Utf8Path,
        dir: &Utf8Path,
        wait: Duration,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let queue = queue::take(fs, queue, wait)?;
        Ok(Self { dir: DirLock::take(&queue, dir, clock)?, _queue: queue })
    }

    /// Fails when somebody took the lock for abandoned.
    pub(crate) fn still_held(&self) -> Result<(), StoreError> {
        self.dir.still_held()
    }
}
