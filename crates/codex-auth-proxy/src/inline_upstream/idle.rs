//! Connections between two requests: the last one parked serves first, and none is kept longer than peers keep theirs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::line::Line;

/// Most connections kept.
const MOST: usize = 256;

/// How long one is kept: shorter than the five seconds after which the least patient of common servers closes,
/// so that a request rarely meets a connection that is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// The idle connections of one address, oldest first.
#[derive(Default)]
pub(super) struct Idle {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<(Line, Instant)>,
    is_watched: bool,
}

impl Idle {
    /// A connection that still stands, if there is one.
    pub(super) async fn take(&self) -> Option<Line> {
        loop {
            let (mut line, parked_at) = self.lock().lines.pop_back()?;
            if parked_at.elapsed() < KEPT_FOR && line.is_usable().await {
                return Some(line);
            }
        }
    }

    /// Keeps a connection whose exchange is over; one that is not free any more is closed instead.
    pub(super) fn park(self: &Arc<Self>, line: Line) {
        if !line.is_free() {
            return;
        }
        let mut kept = self.lock();
        if kept.lines.len() >= MOST {
            kept.lines.pop_front();
        }
        kept.lines.push_back((line, Instant::now()));
        if !kept.is_watched {
            kept.is_watched = true;
            tokio::spawn(close_in_time(self.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // The list is whole after every change, so it is good even after a panic elsewhere.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what nobody came for. It runs beside the requests, once per quiet spell, and ends with the last connection.
async fn close_in_time(idle: Arc<Idle>) {
    loop {
        tokio::time::sleep(KEPT_FOR).await;
        let mut kept = idle.lock();
        while kept.lines.front().is_some_and(|(_, parked_at)| parked_at.elapsed() >= KEPT_FOR) {
            kept.lines.pop_front();
        }
        if kept.lines.is_empty() {
            kept.is_watched = false;
            return;
        }
    }
}
