//! Owns the port to the file that keeps entries.

use std::fmt::Debug;

use crate::StoreError;

/// Keeps entries in their order.
pub trait DecisionLog: Debug + Send + Sync {
    /// Adds entries. They are handed to the system, not made durable: a log is no state, and its reader knows a
    /// missing entry by what follows it.
    fn append(&self, entries: &[Vec<u8>]) -> Result<(), StoreError>;
}
