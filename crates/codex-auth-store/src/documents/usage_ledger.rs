//! `usage/usage-ledger.jsonl`: one row for each request and each question, appended under the predecessor's lock, archived by name, and
//! summed as it grows.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{SpentAt, StoreError, Timestamp};

use crate::{
    fs::{Fs, Write, foreign_lock::ForeignLock, io_error, os, read_optional},
    hash::sha256_hex,
    state_file::StateFile,
};

mod attempt;
mod book;
mod once;
mod prices;
mod reading;
mod row;
mod salt;
mod tally;
mod totals;

use once::Known;

pub use attempt::AttemptRow;
pub use book::FileUsageBook;
pub use codex_auth_core::{Sums, UsageGroup, UsageOperation, UsageOutcome, UsageSource};
pub use prices::UsagePrices;
pub use reading::UsageRows;
pub use row::{AccountMark, Tokens, UsageRow};
pub use salt::Salt;
pub use totals::UsageTotals;

const LEDGER: &str = "usage-ledger.jsonl";
const ARCHIVE: (&str, &str) = ("usage-ledger.", ".jsonl");
/// How often a reader tries to meet the files between two rotations.
const READS: usize = 4;

/// The ledger and its archives.
#[derive(Debug, Clone)]
pub struct UsageLedger {
    dir: Utf8PathBuf,
    totals: StateFile<UsageTotals>,
    fs: Arc<dyn Fs>,
    wait: Duration,
    known: Arc<Mutex<Known>>,
}

impl UsageLedger {
    /// The ledger under this root.
    pub fn under(root: &Utf8Path) -> Self {
        let (dir, totals) = (root.join("usage"), StateFile::under(root));
        let known = Arc::default();
        Self { dir, totals, fs: Arc::new(os::OsFs), wait: Duration::from_secs(10), known }
    }

    /// The same over another disk.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>) -> Self {
        Self { totals: self.totals.over(fs.clone()), fs, ..self }
    }

    /// The current file.
    pub fn path(&self) -> Utf8PathBuf {
        self.dir.join(LEDGER)
    }

    /// Appends rows in one write. A line that was left torn is ended first, so that it spoils no other.
    pub fn append(&self, rows: &[UsageRow], now: Timestamp) -> Result<(), StoreError> {
        let rows: Vec<_> = rows.iter().map(|row| (row.clone(), Vec::new())).collect();
        self.enter(&rows, now).map(drop)
    }

    /// The same with the attempts of each request; returns how many were new. A request that is written already, by
    /// whomever, is not written again.
    pub fn enter(&self, requests: &[(UsageRow, Vec<AttemptRow>)], now: Timestamp) -> Result<usize, StoreError> {
        if requests.is_empty() {
            return Ok(0);
        }
        let (_held, path) = (self.lock(now)?, self.path());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.catch_up(self)?;
        let mut in_this: HashSet<&str> = HashSet::new();
        let new: Vec<_> = requests.iter().filter(|(row, _)| !known.has(&row.id) && in_this.insert(&row.id)).collect();
        if new.is_empty() {
            return Ok(0);
        }
        let mut text = Vec::new();
        if self.is_torn()? {
            text.push(b'\n');
        }
        for (row, attempts) in &new {
            known.writes(&row.id);
            // The request first: what is counted is whole, wherever a killed writer stopped.
            row.put(&mut text);
            for attempt in attempts {
                attempt.put(&mut text);
            }
        }
        let is_new = os::length(&path).is_none();
        self.fs.write(&path, &text, Write::Append).map_err(|error| io_error("append to", &path, &error))?;
        if is_new {
            self.sync()?;
        }
        known.wrote(self, new.iter().map(|(row, _)| row.id.as_str()), text.len());
        Ok(new.len())
    }

    /// What others wrote since the last call, as budgets count it; the first call only begins to look. While somebody
    /// writes it tells nothing yet.
    pub fn spent_by_others(&self, now: Timestamp) -> Result<Vec<SpentAt>, StoreError> {
        let is_caught_up = self.known.lock().unwrap_or_else(PoisonError::into_inner).is_caught_up(self);
        let held = (!is_caught_up).then(|| Self { wait: Duration::ZERO, ..self.clone() }.lock(now)).transpose();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match held {
            Ok(Some(_held)) => known.catch_up(self)?,
            Ok(None) | Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(known.take_others())
    }

    /// What names are hashed with; made at the first call.
    pub fn salt(&self, now: Timestamp) -> Result<Salt, StoreError> {
        let path = self.dir.join("salt");
        if let Some(kept) = Salt::kept(self.fs.as_ref(), &path)? {
            return Ok(kept);
        }
        let _held = self.lock(now)?;
        // Somebody else may have made it before the lock was ours.
        if let Some(kept) = Salt::kept(self.fs.as_ref(), &path)? {
            return Ok(kept);
        }
        let made = Salt::made(self.fs.as_ref(), &path)?;
        self.sync().map(|()| made)
    }

    /// The same where nothing may be written; `None` where none was made yet.
    pub fn salt_if_made(&self) -> Result<Option<Salt>, StoreError> {
        Salt::kept(self.fs.as_ref(), &self.dir.join("salt"))
    }

    /// Makes the current file an archive when it is larger than this; returns its new name.
    pub fn rotate(&self, if_larger_than: u64, now: Timestamp) -> Result<Option<Utf8PathBuf>, StoreError> {
        let (_held, path) = (self.lock(now)?, self.path());
        if os::length(&path).is_none_or(|length| length == 0 || length <= if_larger_than) {
            return Ok(None);
        }
        let mut at = now;
        let mut archive = self.dir.join(archive_name(at));
        while os::length(&archive).is_some() {
            at = at.after(Duration::from_millis(1));
            archive = self.dir.join(archive_name(at));
        }
        self.fs.rename(&path, &archive).map_err(|error| io_error("archive", &path, &error))?;
        self.sync().map(|()| Some(archive))
    }

    /// The sums up to now. Only what was appended since the last time is read, unless somebody else rewrote the files.
    pub fn totals(&self, now: Timestamp) -> Result<UsageTotals, StoreError> {
        // Sums can be made anew: no trouble with their file keeps anybody from the ledger itself.
        let known = self.totals.read().map(|found| found.document).unwrap_or_default();
        let mut fresh = self.caught_up(&known)?;
        for _ in 1..READS {
            if self.archives()? == fresh.archives {
                break;
            }
            fresh = self.caught_up(&fresh)?;
        }
        if fresh != known {
            let keep = |stored: &mut UsageTotals| {
                if *stored == known {
                    stored.clone_from(&fresh);
                }
            };
            match self.totals.edit(now, keep) {
                // Whoever is faster or newer keeps their own: the next reader reads a little more.
                Ok(_) | Err(StoreError::Locked { .. } | StoreError::UnknownVersion { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(fresh)
    }

    fn caught_up(&self, known: &UsageTotals) -> Result<UsageTotals, StoreError> {
        let archives = self.archives()?;
        if archives == known.archives
            && let Some(fresh) = self.continued(known)?
        {
            return Ok(fresh);
        }
        let mut fresh = UsageTotals::default();
        for (name, length) in archives {
            let bytes = read_optional(self.fs.as_ref(), &self.dir.join(&name))?.unwrap_or_default();
            fresh.fold(&bytes);
            // An archive may end without a line's end.
            fresh.fold(&[bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default(), b"\n"].concat());
            fresh.archives.insert(name, length);
        }
        let bytes = read_optional(self.fs.as_ref(), &self.path())?.unwrap_or_default();
        advance(&mut fresh, &bytes);
        Ok(fresh)
    }

    /// The sums with what follows the part that is known; `None` when the file is another one.
    fn continued(&self, known: &UsageTotals) -> Result<Option<UsageTotals>, StoreError> {
        let path = self.path();
        let length = os::length(&path).unwrap_or_default();
        let (covered, tail) = (known.current.bytes, known.current.tail_length);
        if length < covered || tail > covered {
            return Ok(None);
        }
        if length == 0 {
            return Ok(Some(known.clone()));
        }
        let read = self.fs.read_from(&path, covered - tail).map_err(|error| io_error("read", &path, &error))?;
        let split = usize::try_from(tail).ok().filter(|tail| *tail <= read.len());
        let Some((seen, new)) = split.map(|tail| read.split_at(tail)) else { return Ok(None) };
        if tail > 0 && sha256_hex(seen) != known.current.tail_hash {
            return Ok(None);
        }
        let mut fresh = known.clone();
        advance(&mut fresh, new);
        Ok(Some(fresh))
    }

    /// The archives and how long each is.
    fn archives(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let names = os::names_in(&self.dir).map_err(|error| io_error("list", &self.dir, &error))?;
        let archives = names.into_iter().filter(|name| is_archive(name));
        Ok(archives.filter_map(|name| Some((name.clone(), os::length(&self.dir.join(name))?))).collect())
    }

    fn is_torn(&self) -> Result<bool, StoreError> {
        let path = self.path();
        let Some(last) = os::length(&path).and_then(|length| length.checked_sub(1)) else { return Ok(false) };
        let end = self.fs.read_from(&path, last).map_err(|error| io_error("read", &path, &error))?;
        Ok(end.last().is_some_and(|byte| *byte != b'\n'))
    }

    fn lock(&self, now: Timestamp) -> Result<ForeignLock, StoreError> {
        ForeignLock::take(self.fs.clone(), &self.dir.join(format!("{LEDGER}.lock")), self.wait, now)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.fs.sync_dir(&self.dir).map_err(|error| io_error("sync", &self.dir, &error))
    }
}

fn advance(totals: &mut UsageTotals, new: &[u8]) {
    let end = totals.fold(new);
    if end > 0 {
        totals.current.bytes += end as u64;
        totals.cover(&new[..end]);
    }
}

/// `usage-ledger.<YYYYMMDDTHHMMSSmmmZ>.jsonl`, as the predecessor names it.
fn archive_name(at: Timestamp) -> String {
    let (begin, end) = ARCHIVE;
    let instant = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    let millis = at.as_millis().rem_euclid(1000);
    format!("{begin}{}{millis:03}Z{end}", instant.strftime("%Y%m%dT%H%M%S"))
}

fn is_archive(name: &str) -> bool {
    let stamp = name.strip_prefix(ARCHIVE.0).and_then(|rest| rest.strip_suffix(ARCHIVE.1));
    stamp.is_some_and(|stamp| {
        let letters: Vec<char> = stamp.chars().collect();
        let is_fine = |(at, letter): (usize, &char)| match at {
            8 => *letter == 'T',
            18 => *letter == 'Z',
            _ => letter.is_ascii_digit(),
        };
        letters.len() == 19 && letters.iter().enumerate().all(is_fine)
    })
}
