//! The memory store as two processes see it: claims wait for each other, and before and after every effect somebody
//! else may run or everything may end.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    task::{Poll, Waker},
};

use async_trait::async_trait;
use codex_auth_core::{
    AccountStore, Credential, Edit, Held, Intent, NeedsLogin, RecordId, RefreshClaim, RefreshToken, SavedPool,
    StoreError, testing::MemoryStore,
};

use crate::executor::pause;

/// What a test breaks on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// The journal forgets what was about to be presented.
    ForgetfulJournal,
}

/// The memory store with pauses.
#[derive(Debug, Clone)]
pub(crate) struct Stepped {
    inner: MemoryStore,
    waiting: Arc<Mutex<Vec<Waker>>>,
    flaw: Flaw,
}

impl Stepped {
    /// A store that holds `pool`.
    pub(crate) fn holding(pool: SavedPool, flaw: Flaw) -> Self {
        Self { inner: MemoryStore::holding(pool), waiting: Arc::default(), flaw }
    }

    /// The same store without pauses.
    pub(crate) fn at_once(&self) -> MemoryStore {
        self.inner.clone()
    }

    /// Waits until some claim was given back.
    async fn given_back(&self) {
        let mut is_noted = false;
        poll_fn(|context| {
            if std::mem::replace(&mut is_noted, true) {
                return Poll::Ready(());
            }
            self.waiting.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl AccountStore for Stepped {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        pause().await;
        let read = self.inner.read().await;
        pause().await;
        read
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        pause().await;
        let written = self.inner.edit(change).await;
        pause().await;
        written
    }

    fn stamp(&self) -> u64 {
        self.inner.stamp()
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        pause().await;
        self.inner.once_held(token).await
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        loop {
            pause().await;
            match self.inner.claim(record).await {
                Err(StoreError::Locked { .. }) => self.given_back().await,
                Err(error) => return Err(error),
                Ok(inner) => {
                    let claim = SteppedClaim { inner, flaw: self.flaw, _freed: Freed(self.waiting.clone()) };
                    pause().await;
                    return Ok(Box::new(claim));
                }
            }
        }
    }
}

/// A claim with pauses. The fields are dropped in order: first the claim is free, then the waiting ones wake.
#[derive(Debug)]
struct SteppedClaim {
    inner: Box<dyn RefreshClaim>,
    flaw: Flaw,
    _freed: Freed,
}

#[derive(Debug)]
struct Freed(Arc<Mutex<Vec<Waker>>>);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.lock().unwrap().drain(..).for_each(Waker::wake);
    }
}

#[async_trait]
impl RefreshClaim for SteppedClaim {
    async fn look_again(&mut self) -> Result<Held, StoreError> {
        pause().await;
        let held = self.inner.look_again().await;
        pause().await;
        held
    }

    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError> {
        pause().await;
        let intent = self.inner.intend(token).await;
        if self.flaw == Flaw::ForgetfulJournal {
            self.inner.unspent().await?;
        }
        pause().await;
        intent
    }

    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError> {
        pause().await;
        let kept = self.inner.commit(fresh).await;
        pause().await;
        kept
    }

    async fn unspent(&mut self) -> Result<(), StoreError> {
        pause().await;
        let noted = self.inner.unspent().await;
        pause().await;
        noted
    }

    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError> {
        pause().await;
        let marked = self.inner.refuse(why).await;
        pause().await;
        marked
    }
}
