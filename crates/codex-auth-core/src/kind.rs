//! The sort of an error: what the caller may do. Every face of the product maps it once.

use crate::Timestamp;

/// What may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ask differently.
    Usage,
    /// Sign in again.
    NeedsLogin,
    /// Wait.
    Wait {
        /// Until when, where known.
        until: Option<Timestamp>,
    },
    /// Somebody else was faster or holds something; try again.
    Conflict,
    /// Mend the disk or the file.
    Storage,
    /// Mend the connection.
    Network,
    /// Report a fault of ours.
    Internal,
}
