//! Owns what need not be read twice: the pool of the files as it was when they last looked like this. Answers that wait
//! in the journal are not in it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use codex_auth_core::SavedPool;

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
}

impl Memory {
    /// The pool, if the files still look as they did.
    pub(crate) fn recall(&self, look: &Look) -> Option<Arc<SavedPool>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|learnt| learnt.look == *look).map(|learnt| Arc::clone(&learnt.pool))
    }

    /// Remembers a pool that was read after the files looked like this.
    pub(crate) fn learn(&self, look: Look, pool: &Arc<SavedPool>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Learnt { look, pool: Arc::clone(pool) });
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
