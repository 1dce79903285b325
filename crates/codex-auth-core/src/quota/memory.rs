//! What is remembered of quotas between runs and among programs: the port to wherever it is kept.

use std::fmt::Debug;

use crate::{
    QuotaSnapshot, RecordId, SavedPool, StoreError, Timestamp,
    quota::{SAME_RUN, Source},
};

/// How much newer a telling must be than the one kept where it says the same: screens tell its age in minutes.
const STEP: std::time::Duration = std::time::Duration::from_mins(1);

/// What is remembered of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Remembered {
    /// The account.
    pub record: RecordId,
    /// Its own windows.
    pub quota: QuotaSnapshot,
    /// Its plan, where told.
    pub plan: Option<String>,
    /// Who told: the usage endpoint, or somebody less exact.
    pub source: Source,
}

/// Where it is kept. The calls wait for the disk.
pub trait QuotaMemory: Debug + Send + Sync {
    /// Differs whenever somebody changed what is kept, as far as a glance tells.
    fn stamp(&self) -> u64;

    /// What is remembered of the accounts of this pool.
    fn read(&self, pool: &SavedPool) -> Result<Vec<Remembered>, StoreError>;

    /// Keeps what was told of accounts of this pool, unless something newer is kept.
    fn keep(&self, pool: &SavedPool, rows: &[Remembered], now: Timestamp) -> Result<(), StoreError>;
}

impl Remembered {
    /// Whether it says something that screens and other programs should know, beside what they were told last.
    pub(crate) fn is_news(&self, known: &Self) -> bool {
        let (fresh, old) = (&self.quota, &known.quota);
        let windows = [(fresh.primary, old.primary), (fresh.secondary, old.secondary)];
        let differs = windows.into_iter().any(|pair| match pair {
            (None, None) => false,
            (Some(fresh), Some(old)) => {
                let moved = match (fresh.resets_at, old.resets_at) {
                    (Some(fresh), Some(old)) => fresh > old.after(SAME_RUN) || old > fresh.after(SAME_RUN),
                    (fresh, old) => fresh != old,
                };
                let is_same_share = (fresh.used_percent - old.used_percent).abs() < 1.0;
                moved || !is_same_share || (fresh.used_percent >= 100.0) != (old.used_percent >= 100.0)
            }
            (Some(_), None) | (None, Some(_)) => true,
        });
        differs || self.plan != known.plan || fresh.seen_at.since(old.seen_at) >= STEP
    }
}
