//! A store whose writes a test can hold back.

use async_trait::async_trait;
use codex_auth_core::{AccountStore, Edit, RecordId, RefreshClaim, SavedPool, StoreError, testing::MemoryStore};

use super::upstream::Gate;

/// Memory behind a gate.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) memory: MemoryStore,
    pub(crate) gate: Gate,
}

#[async_trait]
impl AccountStore for Disk {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        self.memory.read().await
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        self.gate.passed().await;
        self.memory.edit(change).await
    }

    fn stamp(&self) -> u64 {
        self.memory.stamp()
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        self.memory.claim(record).await
    }
}
