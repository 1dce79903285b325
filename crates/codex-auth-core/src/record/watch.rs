//! Owns what was last seen of the accounts, so that a decision hands on only what changed. Works under the rotation's
//! lock: it compares, and copies what differs.

use std::{fmt::Debug, sync::Arc};

use super::kept::{KeptSeat, Moment, Premises};
use crate::{Ask, Reason, Seat, SessionKey, Standards, Timestamp};

use super::SessionHash;

/// Who takes decisions down.
pub trait Witness: Debug + Send + Sync {
    /// Takes a decision, or says that it has no room for it. Called under a lock: it neither waits nor asks back.
    fn saw(&self, moment: Moment) -> bool;
}

/// So many accounts are compared in a second, and at least so many decisions taken down. A person is far below both; a
/// program that asks thousands of times a second is not slowed down by a record of all of them.
const ACCOUNTS_A_SECOND: usize = 5_000;
const DECISIONS_A_SECOND: usize = 20;

/// The watch over a rotation.
#[derive(Debug)]
pub(crate) struct Watch {
    witness: Arc<dyn Witness>,
    seen: Vec<KeptSeat>,
    lost: u32,
    pub(super) has_begun: bool,
    /// A second, and how many decisions were taken down in it.
    taken: (i64, usize),
}

impl Watch {
    /// A watch that has seen nothing.
    pub(crate) fn by(witness: Arc<dyn Witness>) -> Self {
        Self { witness, seen: Vec::new(), lost: 0, has_begun: false, taken: (0, 0) }
    }

    /// Whether one more decision over so many accounts is taken down.
    fn has_time(&mut self, accounts: usize, now: Timestamp) -> bool {
        let second = now.as_millis().div_euclid(1000);
        if self.taken.0 != second {
            self.taken = (second, 0);
        }
        self.taken.1 += 1;
        self.taken.1 <= DECISIONS_A_SECOND.max(ACCOUNTS_A_SECOND / accounts.max(1))
    }

    /// Hands a decision on. One that finds no room or no time is counted, and its changes are told with the next.
    pub(crate) fn note<'a>(
        &mut self,
        seats: impl ExactSizeIterator<Item = Seat<'a>> + Clone,
        (standards, ask): (Standards<'_>, Ask<'_>),
        session: Option<&SessionKey>,
        choice: Option<(usize, Reason)>,
        now: Timestamp,
    ) {
        if !self.has_time(seats.len(), now) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let known = self.changes(seats.clone()).filter(|_| self.has_begun);
        let is_other_pool = known.is_none();
        let changes = known.unwrap_or_else(|| seats.map(|seat| KeptSeat::of(&seat)).enumerate().collect());
        let premises = Premises::of(standards, ask, session.map(SessionHash::of), now);
        let moment = Moment { premises, is_other_pool, changes: changes.clone(), choice, lost: self.lost };
        if !self.witness.saw(moment) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        (self.lost, self.has_begun) = (0, true);
        if is_other_pool {
            self.seen.clear();
        }
        for (place, kept) in changes {
            match self.seen.get_mut(place) {
                Some(seen) => *seen = kept,
                None => self.seen.push(kept),
            }
        }
    }

    /// What differs from what was seen; `None` when these are other accounts, or in another order.
    fn changes<'a>(&self, seats: impl ExactSizeIterator<Item = Seat<'a>>) -> Option<Vec<(usize, KeptSeat)>> {
        if seats.len() != self.seen.len() {
            return None;
        }
        let mut changes = Vec::new();
        for (place, (seat, kept)) in seats.zip(&self.seen).enumerate() {
            if seat.account.record != kept.account.record {
                return None;
            }
            if !kept.says(&seat) {
                changes.push((place, KeptSeat::of(&seat)));
            }
        }
        Some(changes)
    }
}
