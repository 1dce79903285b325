//! The asynchronous face of vault, leases, journal and watch.

use std::time::Duration;

use async_trait::async_trait;
use codex_auth_core::{
    AccountStore as _, RecordId,
    capability::{
        CapabilityError, Commit, Cursor, FencedLease, Journal, Kept, Leases, Noted, OpId, OpenOp, Outcome, Seen,
        TokenName, Vault, Watch,
    },
};

use super::FileEngine;
use crate::watching;

#[async_trait]
impl Vault for FileEngine {
    async fn get(&self, id: &RecordId) -> Result<Kept, CapabilityError> {
        let id = id.clone();
        self.apart(move |engine| engine.kept(&id)).await
    }

    async fn commit(&self, commit: Commit) -> Result<u64, CapabilityError> {
        self.apart(move |engine| engine.commit_contents(&commit)).await
    }

    async fn list(&self) -> Result<Vec<(RecordId, u64)>, CapabilityError> {
        self.apart(Self::listed).await
    }
}

#[async_trait]
impl Leases for FileEngine {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let key = key.to_owned();
        self.apart(move |engine| engine.acquire_lease(&key, ttl)).await
    }

    async fn renew(&self, lease: &FencedLease, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let lease = lease.clone();
        self.apart(move |engine| engine.renew_lease(&lease, ttl)).await
    }

    async fn release(&self, lease: FencedLease) -> Result<(), CapabilityError> {
        self.apart(move |engine| engine.release_lease(&lease)).await
    }
}

#[async_trait]
impl Journal for FileEngine {
    async fn intent(&self, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError> {
        let (id, token) = (id.clone(), token.clone());
        self.apart(move |engine| engine.intend(&id, &token)).await
    }

    async fn outcome(&self, op: &OpId, outcome: Outcome) -> Result<(), CapabilityError> {
        let op = op.clone();
        self.apart(move |engine| engine.note_outcome(&op, &outcome)).await
    }

    async fn open_ops(&self) -> Result<Vec<OpenOp>, CapabilityError> {
        self.apart(Self::unresolved).await
    }
}

#[async_trait]
impl Watch for FileEngine {
    async fn changes(&self, since: Option<Cursor>) -> Result<Seen, CapabilityError> {
        let cursor = Cursor(self.store.stamp());
        Ok(Seen { cursor, changed: since != Some(cursor) })
    }

    async fn wait(&self, since: Cursor, at_most: Duration) -> Result<Seen, CapabilityError> {
        watching::poll(self, since, at_most).await
    }
}
