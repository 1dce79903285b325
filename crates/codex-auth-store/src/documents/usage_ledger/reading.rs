//! Reading the ledger row by row, archives included, each request once.

use std::collections::HashSet;

use codex_auth_core::{StoreError, Timestamp};

use super::{ARCHIVE, AttemptRow, UsageLedger, UsageRow};
use crate::fs::read_optional;

/// How much later than its rotation a row of an archive may say it was made: clocks are set.
const CLOCKS_MS: i64 = 3_600_000;

/// What the ledger holds of a span of time, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageRows {
    /// Requests of a model.
    pub requests: Vec<UsageRow>,
    /// Questions, which took nothing.
    pub questions: Vec<UsageRow>,
    /// The attempts of both.
    pub attempts: Vec<AttemptRow>,
    /// Lines that nobody understands: torn, or of another version.
    pub unreadable: usize,
}

impl UsageLedger {
    /// The rows of both instants and between, from the current file and the archives.
    pub fn rows(&self, since: Timestamp, until: Timestamp) -> Result<UsageRows, StoreError> {
        let mut found = UsageRows::default();
        let mut seen = HashSet::new();
        // The current file first: what is archived meanwhile is met twice then, and not never.
        let current = read_optional(self.fs.as_ref(), &self.path())?;
        let names = self.archives()?.into_keys();
        let may_hold =
            |name: &String| rotated_at(name).is_none_or(|at| at.saturating_add(CLOCKS_MS) >= since.as_millis());
        let archives: Result<Vec<_>, _> =
            names.filter(may_hold).map(|name| read_optional(self.fs.as_ref(), &self.dir.join(name))).collect();
        for bytes in archives?.into_iter().chain([current]).flatten() {
            found.take(&bytes, &mut seen);
        }
        let within = |at: Timestamp| since <= at && at <= until;
        for rows in [&mut found.requests, &mut found.questions] {
            rows.retain(|row| within(row.created_at));
            rows.sort_by_key(|row| row.created_at);
        }
        found.attempts.retain(|row| within(row.created_at));
        found.attempts.sort_by_key(|row| row.created_at);
        Ok(found)
    }
}

impl UsageRows {
    fn take(&mut self, bytes: &[u8], seen: &mut HashSet<String>) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(row) = UsageRow::parse(line) {
                if seen.insert(row.id.clone()) {
                    let rows = if row.is_question() { &mut self.questions } else { &mut self.requests };
                    rows.push(row);
                }
            } else if let Some(row) = AttemptRow::parse(line) {
                if seen.insert(format!("{}-{}", row.request_id, row.number)) {
                    self.attempts.push(row);
                }
            } else {
                self.unreadable += 1;
            }
        }
    }
}

/// When an archive was made, from its name.
fn rotated_at(name: &str) -> Option<i64> {
    let stamp = name.strip_prefix(ARCHIVE.0)?.strip_suffix(ARCHIVE.1)?;
    let part = |from: usize, to: usize| stamp.get(from..to)?.parse::<i64>().ok();
    let day = codex_auth_core::Day::of_date(part(0, 4)?, part(4, 6)?, part(6, 8)?)?;
    let (hours, minutes, seconds, millis) = (part(9, 11)?, part(11, 13)?, part(13, 15)?, part(15, 18)?);
    Some(day.begins().as_millis() + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}
