//! Quotas are read from where they are remembered at the start and when somebody else changed them, and kept there
//! behind the requests: a new agent does not ask a spent account first, and screens show what the answers told.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use codex_auth_core::{Clock, QuotaMemory, RecordId, Remembered, Rotation};

use crate::{
    complaint::Complaint,
    desk::{Desk, Inbox, apart, desk},
};

/// How many tellings may wait. More are left out: the next one of the same account says more.
const WAITING: usize = 256;
const FILES: &str = "the remembered quotas";

/// The one reader and writer.
#[derive(Debug)]
pub(crate) struct Remembering {
    memory: Arc<dyn QuotaMemory>,
    rotation: Arc<Rotation>,
    desk: Desk<Remembered>,
    seen: AtomicU64,
}

impl Remembering {
    /// Starts the writer. Must be called within a tokio runtime.
    pub(crate) fn start(memory: Arc<dyn QuotaMemory>, rotation: Arc<Rotation>, clock: Arc<dyn Clock>) -> Self {
        let (desk, inbox) = desk(WAITING, Duration::ZERO);
        tokio::spawn(write_all(memory.clone(), rotation.clone(), clock, inbox));
        Self { memory, rotation, desk, seen: AtomicU64::default() }
    }

    /// Recalls what is kept, if it changed. What cannot be read is no more than forgotten.
    pub(crate) async fn look(&self) {
        let stamp = self.memory.stamp();
        if self.seen.swap(stamp, Ordering::Relaxed) == stamp {
            return;
        }
        let (memory, pool) = (self.memory.clone(), self.rotation.pool());
        match apart(FILES, move || memory.read(&pool)).await {
            Ok(rows) => self.rotation.recall(&rows),
            Err(error) => tracing::warn!(%error, "remembered quotas could not be read; answers tell them anew"),
        }
    }

    /// Keeps a telling soon.
    pub(crate) fn keep(&self, told: Remembered) {
        if !self.desk.hand_over(told) {
            tracing::debug!("too many quotas wait for the disk; one was left out");
        }
    }

    /// Waits until everything told so far is kept.
    pub(crate) async fn finish(&self) {
        self.desk.finish().await;
    }
}

async fn write_all(
    memory: Arc<dyn QuotaMemory>,
    rotation: Arc<Rotation>,
    clock: Arc<dyn Clock>,
    mut inbox: Inbox<Remembered>,
) {
    let mut complaint = Complaint::default();
    while let Some(mut batch) = inbox.batch().await {
        // The last telling of an account says all that those before it said.
        let last: HashMap<RecordId, Remembered> =
            batch.items.drain(..).map(|told| (told.record.clone(), told)).collect();
        if !last.is_empty() {
            let rows: Vec<Remembered> = last.into_values().collect();
            let (memory, pool, now) = (memory.clone(), rotation.pool(), clock.now());
            if let Some(error) = complaint.of(apart(FILES, move || memory.keep(&pool, &rows, now)).await) {
                tracing::warn!(%error, "quotas could not be kept; they are known until the agent ends");
            }
        }
        batch.done();
    }
}
