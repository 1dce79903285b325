//! All capabilities in memory: for tests, for programs that keep their tokens elsewhere, and as the plainest engine to
//! read.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use codex_auth_core::{
    Clock, RecordId, Timestamp,
    capability::{
        CapabilityError, Caps, ClockSource, Contents, Durability, EngineTime, Kept, OpenOp, Parts, Reach,
        StorageEngine, UsageEntry,
    },
};

use crate::books::{
    Book as _, LARGEST_ITEM, affinity::AffinityBook, counters::CounterBook, facts::FactBook, leases::LeaseBook,
    spent::SpentBook,
};

mod events;
mod tokens;

/// An engine that forgets when it is dropped. Clones share one state.
#[derive(Clone)]
pub struct MemoryEngine {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    time: EngineTime,
    vault: BTreeMap<RecordId, Kept>,
    commits: u64,
    leases: LeaseBook,
    open: BTreeMap<RecordId, OpenOp>,
    spent: SpentBook,
    facts: FactBook,
    affinity: AffinityBook,
    counters: CounterBook,
    ledger: BTreeMap<String, UsageEntry>,
}

impl MemoryEngine {
    /// An engine that keeps these tokens, in generation zero.
    pub fn holding(contents: impl IntoIterator<Item = (RecordId, Contents)>, clock: Arc<dyn Clock>) -> Self {
        let kept = |(id, contents): (RecordId, Contents)| (id.clone(), Kept { id, generation: 0, contents });
        let state = State { vault: contents.into_iter().map(kept).collect(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// Works on the state at one instant of the engine's clock, from which all that has expired is gone.
    fn with<T>(&self, work: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.time = state.time.tick(self.clock.now());
        let now = state.time.now;
        state.leases.expire(now);
        state.affinity.expire(now);
        state.counters.expire(now);
        work(&mut state, now)
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MemoryEngine")
    }
}

impl StorageEngine for MemoryEngine {
    fn caps(&self) -> Caps {
        Caps {
            engine: "memory",
            reach: Reach::OneProcess,
            clock: ClockSource::HostForward,
            largest_item: LARGEST_ITEM,
            durability: Durability::Memory,
            takes_plain: true,
            takes_sealed: true,
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

fn no_account(id: &RecordId) -> CapabilityError {
    CapabilityError::Gone { what: format!("account {id}") }
}
