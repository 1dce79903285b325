//! Owns reading and changing the pool: files that are read as one, and written so that no crash parts them.
//!
//! Reading takes no lock and waits for nothing. Changing is a closure over freshly read state under the root's lock.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Clock, Held, RecordId, SavedPool, StoreError, Timestamp};

use crate::{
    document::{self, Codec},
    fs::{Fs, leftovers, os},
    history, journal,
    layout::Layout,
    notice::{Notice, Notices},
    reconcile,
    recovery::{self, Origin},
    transaction::{self, Step},
};

pub(crate) mod memory;
pub(crate) mod reading;
pub(crate) mod root_lock;

use memory::Memory;
use reading::Reading;
use root_lock::RootLock;

/// How often a change is tried anew because a program without our lock wrote in between.
const TRIES: usize = 8;

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
    pub(crate) notices: Notices,
    pub(crate) codec: Arc<dyn Codec>,
    /// Whether copies of earlier times are made.
    pub(crate) makes_copies: bool,
    memory: Memory,
}

/// A change as it was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) before: SavedPool,
    pub(crate) after: SavedPool,
}

/// What belongs to a change of the pool and must be written with it, or not at all: steps for before, after, and the
/// name of the copy that was made.
pub(crate) type Along<'a> = dyn Fn(&SavedPool, &SavedPool, Option<&str>) -> Result<Vec<Step>, StoreError> + 'a;

impl Engine {
    pub(crate) fn new(layout: Layout, fs: Arc<dyn Fs>, clock: Arc<dyn Clock>) -> Self {
        let (waits, notices, memory) = (Waits::default(), Notices::default(), Memory::default());
        let codec = document::codec_of(layout.format());
        Self { layout, fs, clock, waits, notices, codec, makes_copies: true, memory }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The pool, with the answers that wait in the journal.
    pub(crate) fn read(&self) -> Result<Arc<SavedPool>, StoreError> {
        // In this order: an answer leaves the journal only once the files have it, and must not be missed in both.
        let waiting = journal::entries(self)?;
        let pool = self.of_files()?;
        if waiting.iter().all(|entry| entry.answer.is_none()) {
            return Ok(pool);
        }
        let mut pool = SavedPool::clone(&pool);
        journal::replay_all(&waiting, &mut pool);
        Ok(Arc::new(pool))
    }

    /// One account of the pool. Costs the same however many there are, as long as the files stay as they are.
    pub(crate) fn find(&self, record: &RecordId) -> Result<Held, StoreError> {
        let gone = || StoreError::NoSuchAccount(record.clone());
        // The journal first, for the same reason.
        let waiting = journal::read(self, record)?;
        let mut held = self.of_files()?.find(record).cloned().ok_or_else(gone)?;
        if let Some(entry) = waiting {
            journal::replay_one(&entry, &mut held);
        }
        Ok(held)
    }

    /// The account a refresh token with this hash was spent for, as far as that is remembered: in the sidecar, and in
    /// journals whose answer the sidecar does not know yet.
    pub(crate) fn spender_of(&self, hash: &str) -> Result<Option<RecordId>, StoreError> {
        let mut waiting = journal::entries(self)?.into_iter();
        if let Some(entry) = waiting.find(|entry| entry.answer.is_some() && entry.token_hash == hash) {
            return Ok(Some(entry.record));
        }
        Ok(reading::read(self)?.sidecar.spender_of(hash))
    }

    /// The pool as the files say it.
    fn of_files(&self) -> Result<Arc<SavedPool>, StoreError> {
        // A change that was stopped half-way counts already; other programs see it once somebody has finished it.
        if os::glance(&self.layout.change_journal()).is_some()
            && let Some(_root) = RootLock::take_free(self)
        {
            let _ = self.finish();
        }
        let seen = memory::look(&self.layout);
        if let Some(pool) = self.memory.recall(&seen) {
            return Ok(pool);
        }
        let reading = reading::read(self)?;
        if reading.origin == Origin::Copies || reading.is_sidecar_broken {
            return match self.edit(|_| {}) {
                Ok(pool) => Ok(Arc::new(pool)),
                Err(error) => {
                    let path = self.layout.accounts();
                    self.notices.add(Notice::NotWritten { path, why: error.to_string() });
                    Ok(Arc::new(reading.pool))
                }
            };
        }
        let unnamed = reading.unnamed(self);
        let pool = Arc::new(reading.pool);
        self.memory.learn(seen, &pool, unnamed);
        Ok(pool)
    }

    /// Takes the root's lock.
    pub(crate) fn lock_root(&self) -> Result<RootLock, StoreError> {
        RootLock::take(self)
    }

    /// Changes the pool under the root's lock and returns what was written.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut SavedPool)) -> Result<SavedPool, StoreError> {
        let written = {
            let root = self.lock_root()?;
            self.edit_locked(&root, change, &|_, _, _| Ok(Vec::new()))?
        };
        journal::sweep(self, &written.after);
        Ok(written.after)
    }

    /// Writes an account's name into its row, where none stands: a name derived from the row is another one as soon as
    /// somebody writes another token there.
    pub(crate) fn name(&self, record: &RecordId) -> Result<(), StoreError> {
        let look = memory::look(&self.layout);
        let is_named = match self.memory.names(&look, record) {
            Some(is_named) => is_named,
            None => !reading::read(self)?.unnamed(self).contains(record),
        };
        if is_named {
            return Ok(());
        }
        let root = self.lock_root()?;
        self.edit_naming(&root, |_| {}, &|_, _, _| Ok(Vec::new()), Some(record)).map(drop)
    }

    /// The same for a caller that holds the lock already, together with the steps that `along` adds.
    pub(crate) fn edit_locked(
        &self,
        root: &RootLock,
        change: impl FnOnce(&mut SavedPool),
        along: &Along<'_>,
    ) -> Result<Written, StoreError> {
        self.edit_naming(root, change, along, None)
    }

    fn edit_naming(
        &self,
        root: &RootLock,
        change: impl FnOnce(&mut SavedPool),
        along: &Along<'_>,
        named: Option<&RecordId>,
    ) -> Result<Written, StoreError> {
        self.finish()?;
        let mut reading = reading::read(self)?;
        let mut before = reading.pool.clone();
        journal::replay(self, &mut before)?;
        let mut after = before.clone();
        change(&mut after);
        let mut tries_left = TRIES;
        loop {
            let mut steps = reading.steps_to(self, &after, named);
            let is_needed = !steps.is_empty() || before != after;
            let copy = if is_needed { history::keep(self, &reading, &before, &after)? } else { None };
            steps.extend(along(&before, &after, copy.as_deref())?);
            if steps.is_empty() {
                return Ok(Written { before, after });
            }
            for dir in self.layout.written_dirs() {
                leftovers::sweep(self.fs.as_ref(), &dir, self.now());
            }
            root.still_held()?;
            let notices = recovery::set_broken_aside(self, &reading)?;
            let is_overtaken = os::glance(&self.layout.accounts()) != reading.seen;
            if is_overtaken && tries_left > 0 {
                tries_left -= 1;
                // A program without our lock wrote meanwhile: what it changed and what we change both count. One that
                // never stops writing is written over in the end.
                (reading, before, after) = self.laid_over(&before, &after)?;
                continue;
            }
            steps.extend(recovery::noted(self, &notices, (&before, &after))?);
            root.still_held()?;
            let (fs, journal) = (self.fs.as_ref(), self.layout.change_journal());
            if tries_left > 0 && steps.first().is_some_and(|step| step.path == self.layout.accounts()) {
                if !transaction::run_unless_overtaken(fs, &journal, &steps)? {
                    // It wrote while our change was written down.
                    tries_left -= 1;
                    (reading, before, after) = self.laid_over(&before, &after)?;
                    continue;
                }
            } else {
                transaction::run(fs, &journal, &steps)?;
            }
            for notice in notices {
                self.notices.add(notice);
            }
            let after = self.as_written(after);
            return Ok(Written { before, after });
        }
    }

    /// The files as they say it now, and our change laid over that.
    fn laid_over(&self, before: &SavedPool, after: &SavedPool) -> Result<(Reading, SavedPool, SavedPool), StoreError> {
        let reading = reading::read(self)?;
        let mut theirs = reading.pool.clone();
        journal::replay(self, &mut theirs)?;
        let both = reconcile::onto(before, after, &theirs);
        Ok((reading, theirs, both))
    }

    /// Finishes what an earlier writer wrote down; under the root's lock and no other.
    pub(crate) fn finish(&self) -> Result<(), StoreError> {
        transaction::finish(self.fs.as_ref(), &self.layout.change_journal(), self.waits.official / 2)
    }

    /// The pool as the files say it now; `after` is what they were told.
    fn as_written(&self, after: SavedPool) -> SavedPool {
        let seen = memory::look(&self.layout);
        let Ok(reading) = reading::read(self) else { return after };
        let unnamed = reading.unnamed(self);
        let mut pool = reading.pool;
        self.memory.learn(seen, &Arc::new(pool.clone()), unnamed);
        // An answer that could not be read now is read with the next look.
        let _ = journal::replay(self, &mut pool);
        pool
    }

    /// Changes whenever one of the files was replaced.
    pub(crate) fn stamp(&self) -> u64 {
        memory::stamp(&self.layout)
    }
}
