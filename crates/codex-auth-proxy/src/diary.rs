//! What answers tell of quotas goes to its files here, off the request path: handed over without waiting, gathered for a
//! moment, and written together. What it crosses is told to whoever asks the agent.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Alert, Limit, QuotaDiary, RecordId, Report, StoreError, WindowReading};

use crate::{
    complaint::Complaint,
    desk::{Desk, Inbox, apart, desk},
};

/// How many readings may wait. More are left out: the next answer tells the same and more.
const WAITING: usize = 1024;
/// How long readings are gathered before they are written.
const GATHERED: Duration = Duration::from_secs(2);
const FILES: &str = "the diary of quotas";

/// The one writer of the diary.
#[derive(Debug)]
pub(crate) struct Diary {
    port: Arc<dyn QuotaDiary>,
    desk: Desk<(RecordId, WindowReading)>,
}

impl Diary {
    /// Starts the writer for these accounts. Others were removed: until now an `undo` would have brought them back with
    /// their past. Must be called within a tokio runtime.
    pub(crate) fn start(port: Arc<dyn QuotaDiary>, records: Vec<RecordId>) -> Self {
        let (desk, inbox) = desk(WAITING, GATHERED);
        tokio::spawn(write_all(port.clone(), records, inbox));
        Self { port, desk }
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
            if !self.desk.hand_over((record.clone(), reading)) {
                tracing::debug!("too many readings wait for the disk; one was left out");
            }
        }
    }

    /// What was told last, for whoever asks.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        let port = self.port.clone();
        apart(FILES, move || port.alerts()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "alerts could not be read");
            Vec::new()
        })
    }

    /// Waits until everything handed in so far is written.
    pub(crate) async fn finish(&self) {
        self.desk.finish().await;
    }
}

async fn write_all(port: Arc<dyn QuotaDiary>, records: Vec<RecordId>, mut inbox: Inbox<(RecordId, WindowReading)>) {
    let mut complaint = Complaint::default();
    let forgetting = port.clone();
    if let Err(error) = apart(FILES, move || forgetting.keep_only(&records)).await {
        tracing::warn!(%error, "what is known of removed accounts could not be forgotten");
    }
    while let Some(mut batch) = inbox.batch().await {
        let kept = keep(&port, std::mem::take(&mut batch.items)).await;
        for alert in kept.as_deref().unwrap_or_default() {
            tracing::info!(record = %alert.record, code = alert.code(), "little quota is left");
        }
        if let Some(error) = complaint.of(kept) {
            tracing::warn!(%error, "what was told of quotas could not be written");
        }
        batch.done();
    }
}

async fn keep(port: &Arc<dyn QuotaDiary>, readings: Vec<(RecordId, WindowReading)>) -> Result<Vec<Alert>, StoreError> {
    if readings.is_empty() {
        return Ok(Vec::new());
    }
    let port = port.clone();
    apart(FILES, move || port.keep(&readings)).await
}
