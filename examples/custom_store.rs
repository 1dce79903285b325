//! A store of one's own behind the `AccountStore` port: here one that counts what it is asked, around the memory store.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use codex_auth_core::{
    AccessToken, AccountStore, CredentialKeeper, Edit, Granted, RecordId, RefreshClaim, RefreshReason, RefreshToken,
    SavedPool, StoreError, Timestamp,
    testing::{ManualClock, MemoryStore, ScriptedIssuer, pool},
};

#[derive(Debug)]
struct CountingStore {
    inner: MemoryStore,
    claims: AtomicUsize,
}

#[async_trait]
impl AccountStore for CountingStore {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        self.inner.read().await
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        self.inner.edit(change).await
    }

    fn stamp(&self) -> u64 {
        self.inner.stamp()
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        self.inner.once_held(token).await
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        self.inner.claim(record).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let store = Arc::new(CountingStore { inner: MemoryStore::holding(pool(1)), claims: AtomicUsize::new(0) });
    let granted = Granted {
        access: Some(AccessToken::new("access-next")),
        refresh: Some(RefreshToken::new("refresh-next")),
        ..Granted::default()
    };
    let issuer = Arc::new(ScriptedIssuer::answering([Ok(granted)]));
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let keeper = CredentialKeeper::new(store.clone(), issuer.clone(), clock);

    let seen = store.read().await.expect("memory answers").accounts.remove(0);
    let renewing = keeper.renew(&seen.account.record, &seen.credential, RefreshReason::Forced);
    let renewed = renewing.await.expect("the issuer grants");
    println!("generation {} after {} claim(s)", renewed.credential.generation, store.claims.load(Ordering::Relaxed));
    println!("tokens presented: {}", issuer.presented().len());
}
