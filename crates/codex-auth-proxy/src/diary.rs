//! What answers tell of quotas goes to its files here, off the request path: handed over without waiting, gathered for a
//! moment, and written together. What it crosses is told to whoever asks the agent.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Alert, Limit, QuotaDiary, RecordId, Report, StoreError, WindowReading};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::complaint::Complaint;

/// How many readings may wait. More are left out: the next answer tells the same and more.
const WAITING: usize = 1024;
/// How long readings are gathered before they are written.
const GATHERED: Duration = Duration::from_secs(2);

/// The one writer of the diary.
#[derive(Debug)]
pub(crate) struct Diary {
    port: Arc<dyn QuotaDiary>,
    queue: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Keep(RecordId, WindowReading),
    Finish(oneshot::Sender<()>),
}

impl Diary {
    /// Starts the writer for these accounts. Others were removed: until now an `undo` would have brought them back with
    /// their past. Must be called within a tokio runtime.
    pub(crate) fn start(port: Arc<dyn QuotaDiary>, records: Vec<RecordId>) -> Self {
        let (queue, orders) = mpsc::channel(WAITING);
        tokio::spawn(write_all(port.clone(), records, orders));
        Self { port, queue }
    }

    /// Hands over what a report says of the account's own windows.
    pub(crate) fn note(&self, record: &RecordId, report: &Report) {
        for (limit, span, reading) in &report.windows {
            let (Limit::Account, Some(length)) = (limit, span.length()) else { continue };
            let reading = WindowReading {
                length,
                used_percent: reading.used_percent,
                resets_at: reading.resets_at,
                seen_at: reading.seen_at,
            };
            if self.queue.try_send(Order::Keep(record.clone(), reading)).is_err() {
                tracing::debug!("too many readings wait for the disk; one was left out");
            }
        }
    }

    /// What was told last, for whoever asks.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        apart(&self.port, |port| port.alerts()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "alerts could not be read");
            Vec::new()
        })
    }

    /// Waits until everything handed in so far is written.
    pub(crate) async fn finish(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            // The writer is gone only when the runtime ends; then nothing is left to wait for.
            let _ended = wait.await;
        }
    }
}

async fn write_all(port: Arc<dyn QuotaDiary>, records: Vec<RecordId>, mut orders: mpsc::Receiver<Order>) {
    let mut complaint = Complaint::default();
    if let Err(error) = apart(&port, move |port| port.keep_only(&records)).await {
        tracing::warn!(%error, "what is known of removed accounts could not be forgotten");
    }
    while let Some(first) = orders.recv().await {
        let (mut readings, mut waiting) = (Vec::new(), None);
        let until = Instant::now() + GATHERED;
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Keep(record, reading) => readings.push((record, reading)),
                Order::Finish(done) => {
                    waiting = Some(done);
                    break;
                }
            }
            if readings.len() < WAITING {
                next = timeout_at(until, orders.recv()).await.unwrap_or_default();
            }
        }
        let kept = keep(&port, readings).await;
        for alert in kept.as_deref().unwrap_or_default() {
            tracing::info!(record = %alert.record, code = alert.code(), "little quota is left");
        }
        if let Some(error) = complaint.of(kept) {
            tracing::warn!(%error, "what was told of quotas could not be written");
        }
        if let Some(done) = waiting {
            let _nobody_waits = done.send(());
        }
    }
}

async fn keep(port: &Arc<dyn QuotaDiary>, readings: Vec<(RecordId, WindowReading)>) -> Result<Vec<Alert>, StoreError> {
    if readings.is_empty() {
        return Ok(Vec::new());
    }
    apart(port, move |port| port.keep(&readings)).await
}

/// Waits for the disk on a thread of its own.
async fn apart<T: Send + 'static>(
    port: &Arc<dyn QuotaDiary>,
    work: impl FnOnce(&dyn QuotaDiary) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let port = port.clone();
    tokio::task::spawn_blocking(move || work(port.as_ref())).await.unwrap_or_else(|ended| {
        Err(StoreError::Io { verb: "use", path: "the diary of quotas".to_owned(), why: ended.to_string() })
    })
}
