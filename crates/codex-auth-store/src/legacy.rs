//! Owns the pools a project had before its worktrees shared one: found, folded into today's pool, then removed.
//!
//! Nothing is removed before it is durable in today's pool. A crash in between leaves both, and the next look folds
//! the old one in once more, which changes nothing.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{RecordId, SavedPool, StoreError, Timestamp};

use crate::{
    file_store::FileStore,
    fs::{Fs, read_optional, remove_durably},
    layout::Layout,
    merge::{MergeOutcome, merge},
    project::Project,
};

/// A pool from before, as it was read.
#[derive(Debug)]
pub struct LegacyPool {
    path: Utf8PathBuf,
    sidecar: Utf8PathBuf,
    bytes: Vec<u8>,
    pool: SavedPool,
}

/// The pools `project` had before, in the order they are folded in: that of the worktree's own key, then the one
/// inside the worktree. One that cannot be read is an error of its own and is left alone.
pub fn legacy_pools(store: &FileStore, project: &Project) -> Vec<Result<LegacyPool, StoreError>> {
    let layout = store.layout();
    let places = legacy_places(layout, project).into_iter();
    places.filter_map(|dir| LegacyPool::read(store, layout.clone().with_pool_in(dir)).transpose()).collect()
}

/// The directories of those pools, whether or not there are any.
pub(crate) fn legacy_places(layout: &Layout, project: &Project) -> Vec<Utf8PathBuf> {
    let keyed = project.worktree_key().map(|key| layout.project_root(&key));
    let inside = project.root.join(".codex");
    // The user's own `.codex` may be a project's, too: what lies there is the pool of all of them.
    let inside = Some(inside).filter(|dir| dir != layout.base() && dir != layout.codex_home());
    keyed.into_iter().chain(inside).collect()
}

impl LegacyPool {
    fn read(store: &FileStore, layout: Layout) -> Result<Option<Self>, StoreError> {
        let (path, sidecar, fs) = (layout.accounts(), layout.sidecar(), store.engine.fs.clone());
        let Some(bytes) = read_optional(fs.as_ref(), &path)? else { return Ok(None) };
        let pool = FileStore::over(layout, store.engine.clock.clone(), fs).read_now()?;
        Ok(Some(Self { path, sidecar, bytes, pool }))
    }

    /// The accounts file.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// How many accounts it has.
    pub fn len(&self) -> usize {
        self.pool.accounts.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.pool.accounts.is_empty()
    }

    /// Folds the accounts in, after those that are there, and returns how many are new. The pin stays; the selection
    /// and the pin of this pool count only where there was nobody to select. The generation never shrinks.
    pub fn fold_into(&self, pool: &mut SavedPool, now: Timestamp) -> usize {
        let was_empty = pool.accounts.is_empty();
        let outcomes = merge(pool, self.pool.accounts.clone(), now);
        pool.affinity_generation = pool.affinity_generation.max(self.pool.affinity_generation);
        if was_empty {
            let now_called = |record: &RecordId| {
                let index = self.pool.accounts.iter().position(|held| held.account.record == *record)?;
                outcomes.get(index).map(|outcome| outcome.record().clone())
            };
            pool.active = self.pool.active.as_ref().and_then(now_called).or_else(|| pool.active.take());
            pool.pin = self.pool.pin.as_ref().and_then(now_called);
        }
        outcomes.iter().filter(|outcome| matches!(outcome, MergeOutcome::Added(_))).count()
    }

    /// Removes the files once their accounts are durable elsewhere. Files that were changed meanwhile stay, to be
    /// folded in again; then the answer is no.
    pub fn remove(self, store: &FileStore) -> Result<bool, StoreError> {
        let fs: &dyn Fs = store.engine.fs.as_ref();
        if read_optional(fs, &self.path)?.as_ref() != Some(&self.bytes) {
            return Ok(false);
        }
        // The accounts file goes last: as long as it is there, the rest is looked for again.
        if read_optional(fs, &self.sidecar)?.is_some() {
            remove_durably(fs, &self.sidecar)?;
        }
        remove_durably(fs, &self.path)?;
        Ok(true)
    }
}
