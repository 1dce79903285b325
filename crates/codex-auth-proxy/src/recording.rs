//! Decisions go to their log here, off the request path: the rotation hands them over without waiting, and whatever
//! comes while a write is under way goes out with the next one.

use std::sync::Arc;

use codex_auth_core::{
    Rotation, StoreError,
    record::{DecisionLog, Moment, Witness, Writer},
};
use tokio::sync::{mpsc, oneshot};

/// How many decisions may wait. More are left out, and the log says how many.
const WAITING: usize = 1024;

/// The one writer of the log.
#[derive(Debug)]
pub(crate) struct Recording(mpsc::Sender<Order>);

#[derive(Debug)]
enum Order {
    Note(Box<Moment>),
    Finish(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Desk(mpsc::Sender<Order>);

impl Witness for Desk {
    fn saw(&self, moment: Moment) -> bool {
        self.0.try_send(Order::Note(Box::new(moment))).is_ok()
    }
}

impl Recording {
    /// Takes down what the rotation decides from now on. Must be called within a tokio runtime.
    pub(crate) fn start(rotation: &Rotation, log: Arc<dyn DecisionLog>) -> Self {
        let (queue, orders) = mpsc::channel(WAITING);
        rotation.watched_by(Arc::new(Desk(queue.clone())));
        tokio::spawn(write_all(log, orders));
        Self(queue)
    }

    /// Waits until everything decided so far is written.
    pub(crate) async fn finish(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Order::Finish(done)).await.is_ok() {
            // The writer is gone only when the runtime ends; then nothing is left to wait for.
            let _ended = wait.await;
        }
    }
}

async fn write_all(log: Arc<dyn DecisionLog>, mut orders: mpsc::Receiver<Order>) {
    let (mut batch, mut writer, mut is_well) = (Vec::new(), Writer::default(), true);
    while orders.recv_many(&mut batch, WAITING).await > 0 {
        let (mut entries, mut count, mut waiting) = (Vec::new(), 0_u32, Vec::new());
        for order in batch.drain(..) {
            match order {
                Order::Note(moment) => {
                    let written = entries_of(&mut writer, *moment);
                    count += u32::from(!written.is_empty());
                    entries.extend(written);
                }
                Order::Finish(done) => waiting.push(done),
            }
        }
        if let Err(error) = append(&log, entries).await {
            writer.lost(count);
            if std::mem::take(&mut is_well) {
                tracing::warn!(%error, "decisions could not be recorded; routing goes on without it");
            }
        } else {
            is_well = true;
        }
        for done in waiting {
            let _nobody_waits = done.send(());
        }
    }
}

fn entries_of(writer: &mut Writer, moment: Moment) -> Vec<Vec<u8>> {
    match writer.write(moment) {
        Ok(Some(written)) => {
            if !written.is_faithful {
                tracing::error!("a recorded decision does not come out the same; please report this");
            }
            written.entries
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            tracing::warn!(%error, "a decision could not be recorded");
            Vec::new()
        }
    }
}

async fn append(log: &Arc<dyn DecisionLog>, entries: Vec<Vec<u8>>) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let log = log.clone();
    let appended = tokio::task::spawn_blocking(move || log.append(&entries)).await;
    appended.unwrap_or_else(|ended| {
        Err(StoreError::Io { verb: "append to", path: "the log of decisions".to_owned(), why: ended.to_string() })
    })
}
