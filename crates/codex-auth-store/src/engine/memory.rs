//! Owns what need not be read twice: the pool of the files as it was when they last looked like this. Answers that wait
//! in the journal are not in it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use codex_auth_core::{RecordId, SavedPool};

use crate::{
    fs::os::{self, Glance},
    layout::Layout,
};

/// How the files of a pool looked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Look([Option<Glance>; 5]);

/// The last pool read, if any; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Option<Learnt>>>);

#[derive(Debug)]
struct Learnt {
    look: Look,
    pool: Arc<SavedPool>,
    unnamed: Vec<RecordId>,
}

impl Memory {
    /// The pool, if the files still look as they did.
    pub(crate) fn recall(&self, look: &Look) -> Option<Arc<SavedPool>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|learnt| learnt.look == *look).map(|learnt| Arc::clone(&learnt.pool))
    }

    /// Whether the account's name stands in its row; `None` where the files do not look as they did.
    pub(crate) fn names(&self, look: &Look, record: &RecordId) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let learnt = known.as_ref().filter(|learnt| learnt.look == *look)?;
        Some(!learnt.unnamed.contains(record))
    }

    /// Remembers a pool that was read after the files looked like this, and which of its accounts have no name in their
    /// row.
    pub(crate) fn learn(&self, look: Look, pool: &Arc<SavedPool>, unnamed: Vec<RecordId>) {
        let learnt = Learnt { look, pool: Arc::clone(pool), unnamed };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(learnt);
    }
}

/// Looks at every file a reading depends on. Each write of ours puts a new file in the place of an old one, so no two
/// states look alike.
pub(crate) fn look(layout: &Layout) -> Look {
    let files = [
        layout.accounts(),
        layout.sidecar(),
        layout.reset_intent(),
        layout.change_journal(),
        layout.predecessors_journal(),
    ];
    Look(files.map(|path| os::glance(&path)))
}

/// A number that changes with the look, and with the answers that wait in the journal.
pub(crate) fn stamp(layout: &Layout) -> u64 {
    let mut hasher = DefaultHasher::new();
    (look(layout), os::glance(&layout.journal_dir())).hash(&mut hasher);
    hasher.finish()
}
