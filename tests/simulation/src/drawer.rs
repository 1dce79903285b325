//! The agents' directory of small files, in memory; it outlives them. Now and then somebody else has a lock of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use codex_auth_core::{HeldLock, StateDir, StoreError, testing::SeededEntropy};

/// In so many cases a lock is somebody else's: two agents that started together want it at the same time.
const BUSY: u64 = 4;
/// So often in a row, and what must be written is still written in time.
const BEARABLE: u32 = 2;

/// The directory.
#[derive(Debug, Clone)]
pub(crate) struct Drawer(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    /// Of its own: agents write on a thread of their own, at no certain moment of the seed's chance.
    chance: SeededEntropy,
    busy: u32,
    files: BTreeMap<String, Vec<u8>>,
    locked: BTreeSet<String>,
}

/// A lock that is held.
#[derive(Debug)]
struct Locked(Drawer, String);

impl HeldLock for Locked {}

impl Drawer {
    /// The empty directory of one seed.
    pub(crate) fn of_seed(seed: u64) -> Self {
        let chance = SeededEntropy::new(!seed);
        let inside = Inside { chance, busy: 0, files: BTreeMap::new(), locked: BTreeSet::new() };
        Self(Arc::new(Mutex::new(inside)))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().locked.remove(&self.1);
    }
}

impl StateDir for Drawer {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().files.get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.lock().unwrap().files.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().files.remove(name);
        Ok(())
    }

    fn try_lock(&self, name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError> {
        let mut inside = self.0.lock().unwrap();
        if inside.busy < BEARABLE && inside.chance.next().is_multiple_of(BUSY) {
            inside.busy += 1;
            return Ok(None);
        }
        inside.busy = 0;
        let is_free = inside.locked.insert(name.to_owned());
        Ok(is_free.then(|| Box::new(Locked(self.clone(), name.to_owned())) as Box<dyn HeldLock>))
    }

    fn path_of(&self, name: &str) -> String {
        name.to_owned()
    }
}
