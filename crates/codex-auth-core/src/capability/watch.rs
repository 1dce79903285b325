//! Watching: whether the vault changed since one looked last, also over a new connection.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use super::CapabilityError;

/// Tells of changes to the vault.
///
/// The order of a reader is: changes, then the vault, then changes again with the cursor of the first. A cursor is
/// taken before the vault is read, so a change in between is told once too often rather than never.
///
/// | Rule | Why |
/// |---|---|
/// | a commit that returned after a cursor was taken shows as a change since it | nobody works with old tokens |
/// | a cursor holds over handles and connections | they break |
/// | nothing changed means nothing told | a watcher that always wakes up is a poll |
/// | waiting ends at the first change, or after the given time | the fallback is to poll |
#[async_trait]
pub trait Watch: Debug + Send + Sync {
    /// Whether anything changed since `since`; without a cursor everything is new.
    async fn changes(&self, since: Option<Cursor>) -> Result<Seen, CapabilityError>;

    /// The same, waiting at most `at_most` for a change.
    async fn wait(&self, since: Cursor, at_most: Duration) -> Result<Seen, CapabilityError>;
}

/// A place in the stream of changes; only the engine knows what it means, and it may be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor(pub u64);

/// What a watcher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// From where to go on.
    pub cursor: Cursor,
    /// Whether there is anything new.
    pub changed: bool,
}
