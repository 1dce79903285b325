//! All capabilities over files: tokens in the pool itself, the rest in `engine/` beside it.
//!
//! | Capability | Where |
//! |---|---|
//! | vault, watch | the pool, through [`FileStore`]; what other programs write counts |
//! | leases | the refresh lock of the identity, with the fence in a file beside it |
//! | journal | the refresh journal, with the names of spent tokens in `engine/spent.json` |
//! | facts, affinity, counters | `engine/<name>.json`, each under a lock of its own |
//! | ledger | `engine/ledger/`, lines in files by hash of the key |
//!
//! The lock of a book comes before the root's, and under it a refresh lock is tried, never waited for. Everything is
//! done synchronously; the ports are its face. A refresh claim of the store and a lease of the same
//! account exclude each other.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use codex_auth_core::capability::{CapabilityError, Caps, ClockSource, Durability, Parts, Reach, StorageEngine};

use crate::{books::LARGEST_ITEM, file_store::FileStore};

mod events;
mod journal;
mod leases;
mod ledger;
mod shelf;
mod tokens;
mod vault;

use leases::OwnLock;
use shelf::Shelf;

/// The engine over a pool's files. Clones share the leases they hold; another handle on the same directory is another
/// holder, also in the same process.
#[derive(Debug, Clone)]
pub struct FileEngine {
    store: FileStore,
    shelf: Shelf,
    /// The operating system's locks behind the leases of this handle.
    own: Arc<Mutex<BTreeMap<String, OwnLock>>>,
}

impl FileEngine {
    /// The engine over the files of `store`.
    pub fn new(store: FileStore) -> Self {
        let shelf = Shelf::of(&store.engine, store.engine.layout.root().join("engine"));
        Self { store, shelf, own: Arc::default() }
    }

    /// Does `work` where waiting hurts nobody.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, CapabilityError> + Send + 'static,
    ) -> Result<T, CapabilityError> {
        let engine = self.clone();
        crate::file_store::apart(move || Ok(work(&engine))).await?
    }
}

impl StorageEngine for FileEngine {
    fn caps(&self) -> Caps {
        Caps {
            engine: "file",
            reach: Reach::OneHost,
            clock: ClockSource::HostForward,
            largest_item: LARGEST_ITEM,
            durability: Durability::Disk,
            takes_plain: true,
            takes_sealed: false,
        }
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            vault: Some(self),
            leases: Some(self),
            journal: Some(self),
            facts: Some(self),
            affinity: Some(self),
            counters: Some(self),
            ledger: Some(self),
            watch: Some(self),
        }
    }
}
