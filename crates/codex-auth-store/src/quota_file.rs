//! Owns remembered quotas on disk: the predecessor's cache as the core's memory of quotas.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use codex_auth_core::{QuotaMemory, Remembered, SavedPool, StoreError, Timestamp};

use crate::{
    documents::quota_cache::{QuotaCache, QuotaEntry},
    fs::os,
    layout::Layout,
    state_file::StateFile,
};

/// The cache of one pool.
#[derive(Debug, Clone)]
pub struct QuotaFile(StateFile<QuotaCache>);

impl QuotaFile {
    /// The cache in this layout.
    pub fn of(layout: &Layout) -> Self {
        Self(StateFile::under(layout.base()))
    }
}

impl QuotaMemory for QuotaFile {
    fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        os::glance(self.0.path()).hash(&mut hasher);
        hasher.finish()
    }

    fn read(&self, pool: &SavedPool) -> Result<Vec<Remembered>, StoreError> {
        let cache = self.0.read()?.document;
        let row = |held: &codex_auth_core::Held| {
            let record = held.account.record.clone();
            let entry = cache.find(pool, &record)?;
            Some(Remembered { quota: entry.snapshot()?, plan: entry.plan.clone(), source: entry.source(), record })
        };
        Ok(pool.accounts.iter().filter_map(row).collect())
    }

    fn keep(&self, pool: &SavedPool, rows: &[Remembered], now: Timestamp) -> Result<(), StoreError> {
        let edited = self.0.edit(now, |cache| {
            for row in rows {
                cache.keep(pool, &row.record, &QuotaEntry::of(row));
            }
        });
        edited.map(|_| ())
    }
}
