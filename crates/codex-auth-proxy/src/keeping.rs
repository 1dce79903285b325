//! What must survive the process goes to disk here, off the request path; what arrives during one write goes
//! into the next one together.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use codex_auth_core::{AccountStore, Edit, Lesson, Rotation, StoreError};
use tokio::sync::{mpsc, oneshot};

/// How many changes may wait; more are dropped, since each only repeats what memory already knows.
const WAITING: usize = 256;

/// The one writer of routine changes.
#[derive(Debug)]
pub(crate) struct Keeping {
    store: Arc<dyn AccountStore>,
    rotation: Arc<Rotation>,
    queue: mpsc::Sender<Order>,
    seen: Arc<AtomicU64>,
}

enum Order {
    Keep(Edit, Lesson),
    Finish(oneshot::Sender<()>),
}

impl Keeping {
    /// Starts the writer. `stamp` is the state of the files as read at the start.
    pub(crate) fn start(store: Arc<dyn AccountStore>, rotation: Arc<Rotation>, stamp: u64) -> Self {
        let (queue, orders) = mpsc::channel(WAITING);
        let seen = Arc::new(AtomicU64::new(stamp));
        tokio::spawn(write_all(store.clone(), rotation.clone(), orders));
        Self { store, rotation, queue, seen }
    }

    /// Keeps a change soon.
    pub(crate) fn keep(&self, (edit, lesson): (Edit, Lesson)) {
        if self.queue.try_send(Order::Keep(edit, lesson)).is_err() {
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
        let (done, wait) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            // The writer is gone only when the runtime ends; then nothing is left to wait for.
            let _ended = wait.await;
        }
    }
}

async fn write_all(store: Arc<dyn AccountStore>, rotation: Arc<Rotation>, mut orders: mpsc::Receiver<Order>) {
    let mut batch = Vec::new();
    while orders.recv_many(&mut batch, WAITING).await > 0 {
        let (mut edits, mut lessons) = (Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        for order in batch.drain(..) {
            match order {
                Order::Keep(edit, lesson) => {
                    edits.push(edit);
                    lessons.push(lesson);
                }
                Order::Finish(done) => waiting.push(done),
            }
        }
        if !edits.is_empty() {
            let all: Edit = Box::new(move |pool| edits.into_iter().for_each(|edit| edit(pool)));
            match store.edit(all).await {
                Ok(_) => lessons.into_iter().for_each(|lesson| rotation.kept(lesson)),
                Err(error) => tracing::warn!(%error, "a change could not be written; it holds until the agent ends"),
            }
        }
        for done in waiting {
            let _nobody_waits = done.send(());
        }
    }
}
