//! A store whose writes a test can hold back, and which can stop answering altogether.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use codex_auth_core::{
    AccountStore, Edit, RecordId, RefreshClaim, RefreshToken, SavedPool, StoreError, testing::MemoryStore,
};

use super::upstream::Gate;

/// Memory behind a gate.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) memory: MemoryStore,
    pub(crate) gate: Gate,
    pub(crate) is_dead: Dead,
}

/// Once told, nothing that is asked of the disk ever returns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dead(Arc<AtomicBool>);

impl Dead {
    /// From now on.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    async fn passed(&self) {
        if self.0.load(Ordering::SeqCst) {
            future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl AccountStore for Disk {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        self.is_dead.passed().await;
        self.memory.read().await
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        self.is_dead.passed().await;
        self.gate.passed().await;
        self.memory.edit(change).await
    }

    fn stamp(&self) -> u64 {
        self.memory.stamp()
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        self.is_dead.passed().await;
        self.memory.once_held(token).await
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        self.is_dead.passed().await;
        self.memory.claim(record).await
    }
}
