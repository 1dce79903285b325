//! What must survive the process goes to disk here, off the request path; what arrives during one write goes
//! into the next one together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use codex_auth_core::{AccountStore, Edit, Lesson, Rotation, StoreError};

use crate::desk::{Desk, Inbox, desk};

/// How many changes may wait; more are dropped, since each only repeats what memory already knows.
const WAITING: usize = 256;

/// The one writer of routine changes.
#[derive(Debug)]
pub(crate) struct Keeping {
    store: Arc<dyn AccountStore>,
    rotation: Arc<Rotation>,
    desk: Desk<(Edit, Lesson)>,
    seen: Arc<AtomicU64>,
}

impl Keeping {
    /// Starts the writer. `stamp` is the state of the files as read at the start.
    pub(crate) fn start(store: Arc<dyn AccountStore>, rotation: Arc<Rotation>, stamp: u64) -> Self {
        let (desk, inbox) = desk(WAITING, Duration::ZERO);
        let seen = Arc::new(AtomicU64::new(stamp));
        tokio::spawn(write_all(store.clone(), rotation.clone(), inbox));
        Self { store, rotation, desk, seen }
    }

    /// Keeps a change soon.
    pub(crate) fn keep(&self, change: (Edit, Lesson)) {
        if !self.desk.hand_over(change) {
            tracing::warn!("too many changes wait for the disk; one was dropped");
        }
    }

    /// Keeps a change now; when this returns it is durable. A client that leaves meanwhile does not take it along.
    pub(crate) async fn keep_now(&self, (edit, lesson): (Edit, Lesson)) -> Result<(), StoreError> {
        let (store, rotation) = (self.store.clone(), self.rotation.clone());
        let written = tokio::spawn(async move { store.edit(edit).await.map(|_| rotation.kept(lesson)) }).await;
        written.unwrap_or_else(|ended| {
            Err(StoreError::Io { verb: "write", path: "the pool".to_owned(), why: ended.to_string() })
        })
    }

    /// Whether the files differ from what was last taken in.
    pub(crate) fn is_news(&self, stamp: u64) -> bool {
        self.seen.load(Ordering::Relaxed) != stamp
    }

    /// Notes that the files were taken in as they were at this stamp.
    pub(crate) fn saw(&self, stamp: u64) {
        self.seen.store(stamp, Ordering::Relaxed);
    }

    /// Waits until everything handed in so far is on disk.
    pub(crate) async fn finish(&self) {
        self.desk.finish().await;
    }
}

async fn write_all(store: Arc<dyn AccountStore>, rotation: Arc<Rotation>, mut inbox: Inbox<(Edit, Lesson)>) {
    while let Some(mut batch) = inbox.batch().await {
        let (edits, lessons): (Vec<_>, Vec<_>) = batch.items.drain(..).unzip();
        if !edits.is_empty() {
            let all: Edit = Box::new(move |pool| edits.into_iter().for_each(|edit| edit(pool)));
            match store.edit(all).await {
                Ok(_) => lessons.into_iter().for_each(|lesson| rotation.kept(lesson)),
                Err(error) => tracing::warn!(%error, "a change could not be written; it holds until the agent ends"),
            }
        }
        batch.done();
    }
}
