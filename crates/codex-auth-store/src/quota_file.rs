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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use camino::Utf8PathBuf;
    use codex_auth_core::{QuotaSnapshot, QuotaWindow, Source, testing};

    use super::*;
    use crate::{
        Fs, OsFs,
        testing::{Fault, FaultFs},
    };

    #[allow(clippy::cast_possible_truncation, reason = "whole percents are small")]
    fn told(pool: &SavedPool, used_percent: f64, source: Source) -> Remembered {
        Remembered {
            record: pool.accounts[0].account.record.clone(),
            quota: QuotaSnapshot {
                primary: Some(QuotaWindow { used_percent, window_minutes: Some(300), resets_at: None }),
                secondary: None,
                seen_at: Timestamp::from_millis(used_percent as i64),
            },
            plan: Some("plus".to_owned()),
            source,
        }
    }

    #[test]
    fn a_full_disk_leaves_the_quotas_that_were_kept() {
        let root = tempfile::tempdir().expect("a directory");
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).expect("text");
        let (disk, pool) = (Arc::new(FaultFs::default()), testing::pool(2));
        let file = QuotaFile(StateFile::under(&root).over(disk.clone()));
        let now = Timestamp::from_millis(90);
        let (before, after) = (told(&pool, 40.0, Source::Usage), told(&pool, 80.0, Source::Usage));
        file.keep(&pool, std::slice::from_ref(&before), now).expect("written");
        let bytes = OsFs.read(file.0.path()).expect("there");
        disk.now(Some(Fault::Full));
        let error = file.keep(&pool, std::slice::from_ref(&after), now).expect_err("full").to_string();
        assert!(error.contains("no storage space"), "{error}");
        assert_eq!(OsFs.read(file.0.path()).expect("there"), bytes, "not a byte is another");
        assert_eq!(file.read(&pool), Ok(vec![before]));
        disk.now(None);
        file.keep(&pool, std::slice::from_ref(&after), now).expect("room again");
        assert_eq!(file.read(&pool), Ok(vec![after]));
    }

    #[test]
    fn what_the_agent_keeps_is_recalled_and_never_taken_for_the_usage_endpoints_word() {
        let root = tempfile::tempdir().expect("a directory");
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).expect("text");
        let (file, pool) = (QuotaFile(StateFile::under(&root)), testing::pool(2));
        assert_eq!(file.read(&pool), Ok(Vec::new()));
        let before = file.stamp();
        let told = |source| told(&pool, 7.0, source);
        for (written, read) in [(Source::Headers, Source::File), (Source::Usage, Source::Usage)] {
            file.keep(&pool, &[told(written)], Timestamp::from_millis(8)).expect("written");
            assert_eq!(file.read(&pool), Ok(vec![told(read)]));
        }
        assert_ne!(file.stamp(), before);
    }
}
