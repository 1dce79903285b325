//! Decisions go to their log here, off the request path: the rotation hands them over without waiting, and those of a
//! moment go out together.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    Rotation, StoreError,
    record::{DecisionLog, Moment, Witness, Writer},
};

use crate::desk::{Desk, Inbox, apart, desk};

/// How many decisions may wait. More are left out, and the log says how many.
const WAITING: usize = 1024;
/// How long they are gathered.
const GATHERED: Duration = Duration::from_millis(100);

/// The one writer of the log.
#[derive(Debug)]
pub(crate) struct Recording(Desk<Moment>);

impl Witness for Desk<Moment> {
    fn saw(&self, moment: Moment) -> bool {
        self.hand_over(moment)
    }
}

impl Recording {
    /// Takes down what the rotation decides from now on. Must be called within a tokio runtime.
    pub(crate) fn start(rotation: &Rotation, log: Arc<dyn DecisionLog>) -> Self {
        let (desk, inbox) = desk(WAITING, GATHERED);
        rotation.watched_by(Arc::new(desk.clone()));
        tokio::spawn(write_all(log, inbox));
        Self(desk)
    }

    /// Waits until everything decided so far is written.
    pub(crate) async fn finish(&self) {
        self.0.finish().await;
    }
}

async fn write_all(log: Arc<dyn DecisionLog>, mut inbox: Inbox<Moment>) {
    let (mut writer, mut is_well) = (Writer::default(), true);
    while let Some(mut batch) = inbox.batch().await {
        let (mut entries, mut count) = (Vec::new(), 0_u32);
        for moment in batch.items.drain(..) {
            let written = entries_of(&mut writer, moment);
            count += u32::from(!written.is_empty());
            entries.extend(written);
        }
        if let Err(error) = append(&log, entries).await {
            writer.lost(count);
            if std::mem::take(&mut is_well) {
                tracing::warn!(%error, "decisions could not be recorded; routing goes on without it");
            }
        } else {
            is_well = true;
        }
        batch.done();
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
    apart("the log of decisions", move || log.append(&entries)).await
}
