//! A diary of quotas in memory.

use std::sync::{Mutex, PoisonError};

use crate::{Alert, AlertBook, QuotaDiary, RecordId, StoreError, WindowReading};

/// Keeps what it was told until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryDiary {
    book: Mutex<AlertBook>,
}

impl QuotaDiary for MemoryDiary {
    fn keep(&self, readings: &[(RecordId, WindowReading)]) -> Result<Vec<Alert>, StoreError> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(readings.iter().filter_map(|(record, reading)| book.saw(record, *reading)).collect())
    }

    fn keep_only(&self, records: &[RecordId]) -> Result<(), StoreError> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.keep_only(|record| records.contains(record));
        Ok(())
    }

    fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        Ok(self.book.lock().unwrap_or_else(PoisonError::into_inner).last.clone())
    }
}
