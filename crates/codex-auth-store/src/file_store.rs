//! The pool on disk: the port's form for the agent, and the synchronous form for offline commands.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use codex_auth_core::{AccountStore, Clock, Edit, RecordId, RefreshClaim, RefreshToken, SavedPool, StoreError};

use crate::{
    claim,
    engine::{Engine, Waits},
    fs::{Fs, os::OsFs},
    hash::token_hash,
    layout::Layout,
    notice::Notice,
    official::Homes,
    owed::{self, Owed},
    publishing::Publishing,
};

/// Accounts and credentials in the files of the predecessor, with a sidecar and a journal of our own.
///
/// Cheap to clone; clones share nothing but the list of homes, because nothing is kept in memory.
#[derive(Debug, Clone)]
pub struct FileStore {
    pub(crate) engine: Engine,
    pub(crate) homes: Homes,
    pub(crate) publishing: Publishing,
    pub(crate) owed: Owed,
}

impl FileStore {
    /// The files of `layout` on the real disk, with the official client's default home as a replica.
    pub fn new(layout: Layout, clock: Arc<dyn Clock>) -> Self {
        Self::over(layout, clock, Arc::new(OsFs))
    }

    /// The same over another disk.
    pub fn over(layout: Layout, clock: Arc<dyn Clock>, fs: Arc<dyn Fs>) -> Self {
        let homes = Homes::of(layout.codex_home());
        Self { engine: Engine::new(layout, fs, clock), homes, publishing: Publishing::default(), owed: Owed::default() }
    }

    /// Looks for newer pairs in these homes; the list may grow while the store is in use.
    #[must_use]
    pub fn with_homes(mut self, homes: Homes) -> Self {
        self.homes = homes;
        self
    }

    /// Makes no copies of earlier times; then what is removed cannot come back.
    #[must_use]
    pub fn without_copies(mut self) -> Self {
        self.engine.makes_copies = false;
        self
    }

    /// Waits for locks as long as told.
    #[must_use]
    pub fn with_waits(mut self, waits: Waits) -> Self {
        self.engine.waits = waits;
        self
    }

    /// The time, as the pool's parts have it.
    pub(crate) fn now(&self) -> codex_auth_core::Timestamp {
        self.engine.now()
    }

    /// Where the files are.
    pub fn layout(&self) -> &Layout {
        &self.engine.layout
    }

    /// The homes whose logins are replicas.
    pub fn homes(&self) -> &Homes {
        &self.homes
    }

    /// The pool as it stands now; no lock, no runtime.
    pub fn read_now(&self) -> Result<SavedPool, StoreError> {
        self.engine.read().map(Arc::unwrap_or_clone)
    }

    /// What was found and mended since this was last asked.
    pub fn notices(&self) -> Vec<Notice> {
        self.engine.notices.take()
    }

    /// Waits until the documents say what was committed, at most so long. Returns whether they do.
    pub fn published(&self, at_most: Duration) -> bool {
        self.publishing.wait(at_most)
    }

    /// Applies a change under the lock, waiting for it in this thread.
    pub fn edit_now(&self, change: impl FnOnce(&mut SavedPool)) -> Result<SavedPool, StoreError> {
        self.engine.edit(change)
    }
}

#[async_trait]
impl AccountStore for FileStore {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        let store = self.clone();
        apart(move || store.read_now()).await
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        let store = self.clone();
        apart(move || store.edit_now(change)).await
    }

    fn stamp(&self) -> u64 {
        self.engine.stamp()
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        let (engine, hash) = (self.engine.clone(), token_hash(token));
        apart(move || engine.spender_of(&hash)).await
    }

    async fn hand_over(&self) -> Result<(), StoreError> {
        let store = self.clone();
        apart(move || owed::hand_over(&store)).await
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        Ok(Box::new(claim::claim(self, record).await?))
    }
}

/// Runs disk work where waiting hurts nobody. Begun work runs to its end, whether or not somebody still waits for it.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = match tokio::task::spawn_blocking(work).await {
        Ok(result) => return result,
        Err(ended) => ended,
    };
    if let Ok(panic) = ended.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
    // Only a runtime that shuts down drops work that has not begun.
    let why = "the program is ending".to_owned();
    Err(StoreError::Io { verb: "begin", path: "disk work".to_owned(), why })
}
