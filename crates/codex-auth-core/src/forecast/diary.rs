//! The port to where the agent writes down what answers told of quotas, so that whoever comes next knows.

use std::fmt::Debug;

use super::habit::WindowReading;
use crate::{Alert, RecordId, StoreError};

/// Keeps readings and what was told of them.
pub trait QuotaDiary: Debug + Send + Sync {
    /// Keeps readings in the order in which they came, and says which thresholds they crossed. Waits for the disk.
    fn keep(&self, readings: &[(RecordId, WindowReading)]) -> Result<Vec<Alert>, StoreError>;

    /// Forgets accounts that are not among these. Waits for the disk.
    fn keep_only(&self, records: &[RecordId]) -> Result<(), StoreError>;

    /// What was told last, of windows that are still as low; the oldest first.
    fn alerts(&self) -> Result<Vec<Alert>, StoreError>;
}
