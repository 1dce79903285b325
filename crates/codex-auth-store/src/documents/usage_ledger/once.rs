//! Owns which requests are written already, so that one that is handed in again is not written again: by a writer that
//! did not hear that it had succeeded, or by two writers of one request.
//!
//! What is handed in again comes soon after the first time. So the ids of the end of the ledger are known, and those of
//! everything appended since, by whomever; not those of a whole history.

use std::collections::{HashSet, VecDeque};

use camino::Utf8PathBuf;
use codex_auth_core::{Entry, SpentAt, StoreError};

use super::{UsageLedger, row::UsageRow, totals::spent_of};
use crate::{
    fs::{io_error, os},
    hash::short_hash,
};

/// How much of what is there already is looked at, from its end.
const END: u64 = 1024 * 1024;
/// How many ids are remembered.
const REMEMBERED: usize = 1 << 14;

/// The ids of the latest rows.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Which file was read up to where; `None` before the first look.
    read: Option<(Option<u64>, u64)>,
    ids: HashSet<u128>,
    order: VecDeque<u128>,
    /// What was handed in here, and may be in the file without having been met there.
    ours: HashSet<u128>,
    /// What others wrote since somebody asked.
    others: Vec<SpentAt>,
}

impl Known {
    /// Whether a request is written already.
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(&short_hash(id))
    }

    /// Notes that a request is about to be written here.
    pub(super) fn writes(&mut self, id: &str) {
        self.ours.insert(short_hash(id));
    }

    /// Notes that they are written, so many bytes in all. Where nobody else appended meanwhile they need not be read
    /// back; else the next look meets them. Called under the ledger's lock, after [`Known::catch_up`].
    pub(super) fn wrote<'a>(&mut self, ledger: &UsageLedger, ids: impl Iterator<Item = &'a str>, bytes: usize) {
        let (file, length) = glanced(ledger);
        let Some((before, read)) = self.read else { return };
        let is_same = before.is_none_or(|before| Some(before) == file);
        if !is_same || length != read + bytes as u64 {
            return;
        }
        self.read = Some((file, length));
        for id in ids {
            let name = short_hash(id);
            self.ours.remove(&name);
            self.remember(name);
        }
    }

    /// Whether everything in the file was looked at.
    pub(super) fn is_caught_up(&self, ledger: &UsageLedger) -> bool {
        self.read == Some(glanced(ledger))
    }

    /// What others wrote since the last call.
    pub(super) fn take_others(&mut self) -> Vec<SpentAt> {
        std::mem::take(&mut self.others)
    }

    /// Looks at what was appended since the last time. Called under the ledger's lock.
    pub(super) fn catch_up(&mut self, ledger: &UsageLedger) -> Result<(), StoreError> {
        let path = ledger.path();
        let (file, length) = glanced(ledger);
        let from = match self.read {
            Some((same, read)) if same == file && read <= length => read,
            // Archived since: what was appended before that is in the newest archive.
            Some(_) => {
                self.look_at_archive(ledger)?;
                length.saturating_sub(END)
            }
            None => {
                if length < END {
                    self.look_at_archive(ledger)?;
                }
                length.saturating_sub(END)
            }
        };
        if length > from {
            self.look_at(ledger, &path, from)?;
        }
        self.read = Some((file, length));
        Ok(())
    }

    fn look_at_archive(&mut self, ledger: &UsageLedger) -> Result<(), StoreError> {
        let Some((name, length)) = ledger.archives()?.pop_last() else { return Ok(()) };
        self.look_at(ledger, &ledger.dir.join(name), length.saturating_sub(END))
    }

    fn look_at(&mut self, ledger: &UsageLedger, path: &Utf8PathBuf, from: u64) -> Result<(), StoreError> {
        let bytes = ledger.fs.read_from(path, from).map_err(|error| io_error("read", path, &error))?;
        let is_first = self.read.is_none();
        for row in bytes.split(|byte| *byte == b'\n').filter_map(UsageRow::parse) {
            self.note(&row, is_first);
        }
        Ok(())
    }

    fn note(&mut self, row: &UsageRow, is_first: bool) {
        let name = short_hash(&row.id);
        let is_ours = self.ours.remove(&name);
        if self.remember(name) && !is_first && !is_ours && !row.is_question() {
            let Entry { at, cell, sums } = row.entry();
            self.others.push(spent_of(at, &cell, &sums));
        }
    }

    /// Remembers an id; tells whether it was unknown.
    fn remember(&mut self, name: u128) -> bool {
        let is_new = self.ids.insert(name);
        if is_new {
            self.order.push_back(name);
        }
        while self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            oldest.map(|oldest| self.ids.remove(&oldest));
        }
        is_new
    }
}

/// The current file and its length.
fn glanced(ledger: &UsageLedger) -> (Option<u64>, u64) {
    os::glance(&ledger.path()).map_or((None, 0), |seen| (Some(seen.inode()), seen.length()))
}
