//! Every model request, and every question that is passed on, is written down once it has ended, however it ended:
//! served, refused, cancelled or blocked.
//!
//! What is written passes through a bounded queue to one writer, off the request path. A killed agent loses what is
//! still in it, at most [`WAITING`] requests, and the batch being written is there whole or by whole lines; what was
//! written is never written again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use codex_auth_core::{Entropy, RequestSpent, UsageBook};

use crate::desk::{Desk, Inbox, desk};

mod copied;
mod tab;
mod told;

pub(crate) use copied::Copied;
pub(crate) use tab::{Accounted, Asked, Tab, attempt_of};
pub(crate) use told::{code_in, tokens_in};

/// How many ended requests may wait for the disk; those beyond it are counted and said, not kept.
const WAITING: usize = 1024;
/// How long they are gathered: a request alone would cost two waits for the disk.
const GATHERED: Duration = Duration::from_millis(100);
/// How often other programs are told what was done.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How often a batch that could not be written is tried again before it is given up.
const TRIES: u32 = 3;
/// How long to wait before the second try.
const PAUSE: Duration = Duration::from_millis(250);

/// The one writer of ended requests.
#[derive(Debug)]
pub(crate) struct Accounting {
    desk: Desk<RequestSpent>,
    /// Chance of this process, so that two of them never name two requests alike.
    run: u64,
    last: AtomicU64,
}

impl Accounting {
    /// Starts the writer.
    pub(crate) fn start(book: Arc<dyn UsageBook>, entropy: &dyn Entropy) -> Self {
        let (desk, inbox) = desk(WAITING, GATHERED);
        tokio::spawn(write_all(book, inbox));
        let mut run = [0; 8];
        entropy.fill(&mut run);
        Self { desk, run: u64::from_be_bytes(run), last: AtomicU64::new(0) }
    }

    /// A name no other request has: a UUID of the free form (version 8), this process's chance and a count.
    pub(crate) fn name(&self) -> String {
        let (run, count) = (self.run, self.last.fetch_add(1, Ordering::Relaxed));
        let (first, second, third) = (run >> 32, (run >> 16) & 0xffff, run & 0xfff);
        let (fourth, fifth) = ((count >> 48) & 0x3fff, count & 0xffff_ffff_ffff);
        format!("{first:08x}-{second:04x}-8{third:03x}-{:04x}-{fifth:012x}", 0x8000 | fourth)
    }

    /// Writes a request down soon.
    fn enter(&self, request: RequestSpent) {
        if !self.desk.hand_over(request) {
            tracing::warn!("too many requests wait to be written down; one is missing in the usage ledger");
        }
    }

    /// Waits until everything handed in so far is written down.
    pub(crate) async fn finish(&self) {
        self.desk.finish().await;
    }
}

async fn write_all(book: Arc<dyn UsageBook>, mut inbox: Inbox<RequestSpent>) {
    let mut publish_at = None;
    loop {
        let received = match publish_at {
            None => inbox.batch().await,
            Some(at) => match tokio::time::timeout_at(at, inbox.batch()).await {
                Ok(received) => received,
                Err(_time_to_publish) => {
                    publish_at = None;
                    publish(book.as_ref()).await;
                    continue;
                }
            },
        };
        let Some(mut batch) = received else { break };
        let requests = std::mem::take(&mut batch.items);
        if !requests.is_empty() {
            write(book.as_ref(), requests.into()).await;
            publish_at.get_or_insert_with(|| tokio::time::Instant::now() + PUBLISH_EVERY);
        }
        if batch.is_awaited() {
            publish_at = None;
            publish(book.as_ref()).await;
        }
        batch.done();
    }
}

/// Writes a batch. After an error nobody knows whether it is there: it is handed in again, and the book, which knows
/// every request by its name, writes only what is missing.
async fn write(book: &dyn UsageBook, requests: Arc<[RequestSpent]>) {
    for try_number in 1..=TRIES {
        match book.enter(requests.clone()).await {
            Ok(()) => return,
            Err(error) if try_number == TRIES => {
                let lost = requests.len();
                tracing::warn!(%error, lost, "requests could not be written down; they are missing in the usage ledger");
            }
            Err(error) => {
                tracing::info!(%error, "requests could not be written down; trying again");
                tokio::time::sleep(PAUSE * try_number).await;
            }
        }
    }
}

async fn publish(book: &dyn UsageBook) {
    if let Err(error) = book.publish().await {
        tracing::info!(%error, "other programs could not be told what was done");
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::SeededEntropy;

    use super::*;

    #[test]
    fn names_are_uuids_and_differ() {
        let (desk, _inbox) = desk(1, GATHERED);
        let mut run = [0; 8];
        SeededEntropy::new(7).fill(&mut run);
        let accounting = Accounting { desk, run: u64::from_be_bytes(run), last: AtomicU64::new(0) };
        let names: std::collections::BTreeSet<String> = (0..1000).map(|_| accounting.name()).collect();
        assert_eq!(names.len(), 1000);
        for name in names {
            let lengths: Vec<usize> = name.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{name}");
            assert!(name.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{name}");
        }
    }
}
