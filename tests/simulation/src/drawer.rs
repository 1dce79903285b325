//! The agents' directory of small files, in memory; it outlives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use codex_auth_core::{HeldLock, StateDir, StoreError};

/// The directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drawer(Arc<Mutex<Inside>>);

#[derive(Debug, Default)]
struct Inside {
    files: BTreeMap<String, Vec<u8>>,
    locked: BTreeSet<String>,
}

/// A lock that is held.
#[derive(Debug)]
struct Locked(Drawer, String);

impl HeldLock for Locked {}

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
        let is_free = self.0.lock().unwrap().locked.insert(name.to_owned());
        Ok(is_free.then(|| Box::new(Locked(self.clone(), name.to_owned())) as Box<dyn HeldLock>))
    }

    fn path_of(&self, name: &str) -> String {
        name.to_owned()
    }
}
