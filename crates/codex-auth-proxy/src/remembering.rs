//! Quotas are read from where they are remembered at the start and when somebody else changed them, and kept there
//! behind the requests: a new agent does not ask a spent account first, and screens show what the answers told.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use codex_auth_core::{Clock, QuotaMemory, RecordId, Remembered, Rotation, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::complaint::Complaint;

/// How many tellings may wait. More are left out: the next one of the same account says more.
const WAITING: usize = 256;

/// The one reader and writer.
#[derive(Debug)]
pub(crate) struct Remembering {
    memory: Arc<dyn QuotaMemory>,
    rotation: Arc<Rotation>,
    queue: mpsc::Sender<Order>,
    seen: AtomicU64,
}

enum Order {
    Keep(Remembered),
    Finish(oneshot::Sender<()>),
}

impl Remembering {
    /// Starts the writer. Must be called within a tokio runtime.
    pub(crate) fn start(memory: Arc<dyn QuotaMemory>, rotation: Arc<Rotation>, clock: Arc<dyn Clock>) -> Self {
        let (queue, orders) = mpsc::channel(WAITING);
        tokio::spawn(write_all(memory.clone(), rotation.clone(), clock, orders));
        Self { memory, rotation, queue, seen: AtomicU64::default() }
    }

    /// Recalls what is kept, if it changed. What cannot be read is no more than forgotten.
    pub(crate) async fn look(&self) {
        let stamp = self.memory.stamp();
        if self.seen.swap(stamp, Ordering::Relaxed) == stamp {
            return;
        }
        let (memory, pool) = (self.memory.clone(), self.rotation.pool());
        match apart(move || memory.read(&pool)).await {
            Ok(rows) => self.rotation.recall(&rows),
            Err(error) => tracing::warn!(%error, "remembered quotas could not be read; answers tell them anew"),
        }
    }

    /// Keeps a telling soon.
    pub(crate) fn keep(&self, told: Remembered) {
        if self.queue.try_send(Order::Keep(told)).is_err() {
            tracing::debug!("too many quotas wait for the disk; one was left out");
        }
    }

    /// Waits until everything told so far is kept.
    pub(crate) async fn finish(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            // The writer is gone only when the runtime ends; then nothing is left to wait for.
            let _ended = wait.await;
        }
    }
}

async fn write_all(
    memory: Arc<dyn QuotaMemory>,
    rotation: Arc<Rotation>,
    clock: Arc<dyn Clock>,
    mut orders: mpsc::Receiver<Order>,
) {
    let (mut batch, mut complaint) = (Vec::new(), Complaint::default());
    while orders.recv_many(&mut batch, WAITING).await > 0 {
        let (mut last, mut waiting) = (HashMap::<RecordId, Remembered>::new(), Vec::new());
        for order in batch.drain(..) {
            match order {
                Order::Keep(told) => drop(last.insert(told.record.clone(), told)),
                Order::Finish(done) => waiting.push(done),
            }
        }
        if !last.is_empty() {
            let rows: Vec<Remembered> = last.into_values().collect();
            let (memory, pool, now) = (memory.clone(), rotation.pool(), clock.now());
            if let Some(error) = complaint.of(apart(move || memory.keep(&pool, &rows, now)).await) {
                tracing::warn!(%error, "quotas could not be kept; they are known until the agent ends");
            }
        }
        for done in waiting {
            let _nobody_waits = done.send(());
        }
    }
}

async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| {
        Err(StoreError::Io { verb: "use", path: "the remembered quotas".to_owned(), why: ended.to_string() })
    })
}
