//! Owns reading and changing the pool: two files that are read as one, and written so that no crash parts them.
//!
//! Reading takes no lock and waits for nothing. Changing is a closure over freshly read state under the root's lock.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Clock, Held, RecordId, SavedPool, StoreError, Timestamp};

use crate::{
    document::{Codec, v3::V3},
    fs::{
        Fs, leftovers,
        lock::{self, FileLock, Signature},
        os, read_optional, remove_durably, replace_atomically,
    },
    journal,
    json::{self, Object},
    layout::Layout,
    merge,
    sidecar::Sidecar,
};

const REMEDY: &str = "it was left as it is; mend it, put back a copy such as the one ending in `.bak`, or move it away \
                      to begin with an empty pool";

/// How often a reader tries to meet the files between two writes.
const READS: usize = 8;

/// How long locks are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For the right to refresh one identity.
    pub refresh: Duration,
    /// For the root's files.
    pub root: Duration,
    /// For the official client's files; it, too, is waiting.
    pub official: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { refresh: Duration::from_secs(35), root: Duration::from_secs(5), official: Duration::from_secs(1) }
    }
}

/// The synchronous engine; needs no runtime.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    pub(crate) layout: Layout,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) waits: Waits,
    codec: Arc<dyn Codec>,
}

/// What both files said at one moment.
#[derive(Debug)]
struct Reading {
    /// The document's bytes; `None` when there is none, or when it was cleared on purpose.
    bytes: Option<Vec<u8>>,
    document: Object,
    sidecar: Sidecar,
    pool: SavedPool,
    was_cleared: bool,
    /// Whether accounts that were one were folded, so that the file says less than `document`.
    was_folded: bool,
}

impl Engine {
    pub(crate) fn new(layout: Layout, fs: Arc<dyn Fs>, clock: Arc<dyn Clock>) -> Self {
        Self { layout, fs, clock, waits: Waits::default(), codec: Arc::new(V3) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The pool, with the answers that wait in the journal.
    pub(crate) fn read(&self) -> Result<SavedPool, StoreError> {
        let mut pool = self.read_files()?.pool;
        journal::replay(self, &mut pool)?;
        Ok(pool)
    }

    /// Takes the root's lock.
    pub(crate) fn lock_root(&self) -> Result<FileLock, StoreError> {
        lock::lock(&self.layout.root_lock(), Signature::Pid, self.waits.root)
    }

    /// Changes the pool under the root's lock and returns what was written.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut SavedPool)) -> Result<SavedPool, StoreError> {
        let pool = {
            let root = self.lock_root()?;
            self.edit_locked(&root, change)?
        };
        journal::sweep(self, &pool);
        Ok(pool)
    }

    /// The same for a caller that holds the lock already.
    pub(crate) fn edit_locked(
        &self,
        _root: &FileLock,
        change: impl FnOnce(&mut SavedPool),
    ) -> Result<SavedPool, StoreError> {
        let reading = self.read_files()?;
        let mut pool = reading.pool.clone();
        journal::replay(self, &mut pool)?;
        change(&mut pool);
        if pool == reading.pool && reading.sidecar.pruned(&pool) == reading.sidecar {
            return Ok(pool);
        }
        for dir in [self.layout.root(), &self.layout.journal_dir()] {
            leftovers::sweep(self.fs.as_ref(), dir, self.now());
        }
        self.write(&reading, &pool)
    }

    /// Changes whenever one of the files was replaced.
    pub(crate) fn stamp(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};

        let mut hasher = DefaultHasher::new();
        let layout = &self.layout;
        for path in [layout.accounts(), layout.sidecar(), layout.reset_intent(), layout.journal_dir()] {
            os::glance(&path).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// One account of the pool.
    pub(crate) fn find(&self, record: &RecordId) -> Result<Held, StoreError> {
        self.read()?.find(record).cloned().ok_or_else(|| StoreError::NoSuchAccount(record.clone()))
    }

    /// Reads both files. The document is looked at before and after, because a writer may be between the two; as it
    /// writes the sidecar first, a document that stood still fits the sidecar read meanwhile.
    fn read_files(&self) -> Result<Reading, StoreError> {
        let path = self.layout.accounts();
        let mut seen = os::glance(&path);
        for _ in 0..READS {
            let reading = self.read_once()?;
            let now = os::glance(&path);
            if now == seen {
                return Ok(reading);
            }
            seen = now;
        }
        self.read_once()
    }

    fn read_once(&self) -> Result<Reading, StoreError> {
        let (path, now) = (self.layout.accounts(), self.now());
        let was_cleared = os::glance(&self.layout.reset_intent()).is_some();
        let bytes = if was_cleared { None } else { read_optional(self.fs.as_ref(), &path)? };
        let sidecar_path = self.layout.sidecar();
        let sidecar = Sidecar::parse(&sidecar_path, read_optional(self.fs.as_ref(), &sidecar_path)?.as_deref())?;
        let document = match &bytes {
            Some(bytes) => self.codec.upgrade(&path, json::parse_object(&path, bytes, REMEDY)?, now)?,
            None => self.codec.empty(),
        };
        let mut pool = self.codec.decode(&document, now);
        sidecar.complete(&mut pool, bytes.as_deref().unwrap_or_default());
        // Only both files together tell which rows are one account.
        let folds = merge::fold(&mut pool, now);
        let was_folded = !folds.is_empty();
        let document = if was_folded { self.codec.folded(document, &folds, now) } else { document };
        Ok(Reading { bytes, document, sidecar, pool, was_cleared, was_folded })
    }

    /// Sidecar, then document, then what the sidecar no longer needs; `sidecar` says why a crash in between is safe.
    fn write(&self, reading: &Reading, pool: &SavedPool) -> Result<SavedPool, StoreError> {
        let (fs, now) = (self.fs.as_ref(), self.now());
        let document = self.codec.encode(&reading.document, pool, now);
        let is_new_document = reading.bytes.is_none() || reading.was_folded || document != reading.document;
        let before = reading.bytes.as_deref().unwrap_or_default();
        let sidecar = reading.sidecar.saying(pool, before, is_new_document);
        if sidecar != reading.sidecar {
            replace_atomically(fs, &self.layout.sidecar(), &sidecar.bytes())?;
        }
        let bytes = json::pretty(&document);
        if is_new_document {
            replace_atomically(fs, &self.layout.accounts(), &bytes)?;
        }
        if reading.was_cleared {
            remove_durably(fs, &self.layout.reset_intent())?;
        }
        let pruned = sidecar.pruned(pool);
        if pruned != sidecar {
            replace_atomically(fs, &self.layout.sidecar(), &pruned.bytes())?;
        }
        let mut written = self.codec.decode(&document, now);
        pruned.complete(&mut written, &bytes);
        Ok(written)
    }
}
