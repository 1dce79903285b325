//! Owns waiting for a change where nothing tells of it: to ask again and again, within a bound.

use std::time::Duration;

use codex_auth_core::capability::{CapabilityError, Cursor, Seen, Watch};

/// How often a waiting watcher looks; reading the stamp of four files takes microseconds.
const POLL: Duration = Duration::from_millis(50);

/// Asks until something changed or `at_most` is over.
pub(crate) async fn poll(watch: &dyn Watch, since: Cursor, at_most: Duration) -> Result<Seen, CapabilityError> {
    let mut waited = Duration::ZERO;
    loop {
        let seen = watch.changes(Some(since)).await?;
        if seen.changed || waited >= at_most {
            return Ok(seen);
        }
        let pause = POLL.min(at_most.saturating_sub(waited));
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}
