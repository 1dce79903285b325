//! Connections between two requests: the last one parked serves first, and none is kept longer than peers keep theirs.
//! A connection lives in the event loop of its thread, so each thread keeps its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use tokio::time::Instant;

use super::line::Line;

/// Most connections kept by a thread.
const MOST: usize = 256;

/// How long one is kept: shorter than the five seconds after which the least patient of common servers closes,
/// so that a request rarely meets a connection that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// The idle connections to one address.
#[derive(Default)]
pub(super) struct Idle {
    kept: Mutex<HashMap<ThreadId, VecDeque<Parked>>>,
}

/// A connection that waits; each thread's stand in the order they were parked.
struct Parked {
    line: Line,
    at: Instant,
}

impl Idle {
    /// A connection that still stands, if there is one.
    pub(super) fn take(&self) -> Option<Line> {
        loop {
            let Parked { mut line, at } = self.lock().get_mut(&thread::current().id())?.pop_back()?;
            if at.elapsed() < KEPT_FOR && line.is_free() {
                return Some(line);
            }
        }
    }

    /// Keeps a connection whose exchange is over; one that is not free is closed instead.
    pub(super) fn park(self: &Arc<Self>, mut line: Line) {
        if !line.is_free() {
            return;
        }
        let thread = thread::current().id();
        let mut kept = self.lock();
        let parked = kept.entry(thread).or_insert_with(|| {
            tokio::spawn(close_in_time(self.clone(), thread));
            VecDeque::new()
        });
        if parked.len() >= MOST {
            parked.pop_front();
        }
        parked.push_back(Parked { line, at: Instant::now() });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, VecDeque<Parked>>> {
        // The lists are whole after every change, so they are good even after a panic elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what nobody came for. It runs beside the requests of its thread and ends with a spell without any.
async fn close_in_time(idle: Arc<Idle>, thread: ThreadId) {
    loop {
        tokio::time::sleep(KEPT_FOR).await;
        let mut kept = idle.lock();
        let Some(parked) = kept.get_mut(&thread) else { return };
        while parked.front().is_some_and(|parked| parked.at.elapsed() >= KEPT_FOR) {
            parked.pop_front();
        }
        if parked.is_empty() {
            kept.remove(&thread);
            return;
        }
    }
}
