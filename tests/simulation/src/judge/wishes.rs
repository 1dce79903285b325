//! What people wanted, and since when the agent has known it.

use codex_auth_core::{PolicySource as _, RecordId, SavedPool, Timestamp};

use super::AT_ONCE;
use crate::world::World;

/// Who was to serve, as far as the agent knew since then.
#[derive(Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) since: Timestamp,
    pub(super) pin: Option<RecordId>,
    paused: Vec<RecordId>,
}

impl Wish {
    pub(super) fn of(world: &World, pool: &SavedPool) -> Self {
        let rules = world.rules.read(pool).expect("memory obeys").accounts;
        let paused = rules.into_iter().filter(|(_, rules)| rules.is_paused).map(|(record, _)| record);
        Self { since: world.now(), pin: pool.pin.clone(), paused: paused.collect() }
    }

    pub(super) fn allows(&self, record: &RecordId) -> bool {
        self.pin.as_ref().is_none_or(|pin| pin == record) && !self.paused.contains(record)
    }
}

/// The wishes that the agent may have gone by since then.
pub(super) fn since(wishes: &[Wish], began: Timestamp) -> &[Wish] {
    let first = wishes.iter().rposition(|wish| wish.since.after(AT_ONCE) <= began).unwrap_or(0);
    &wishes[first..]
}
