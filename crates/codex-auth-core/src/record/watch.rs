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

/// The watch over a rotation.
#[derive(Debug)]
pub(crate) struct Watch {
    witness: Arc<dyn Witness>,
    seen: Vec<KeptSeat>,
    lost: u32,
    pub(super) has_begun: bool,
}

impl Watch {
    /// A watch that has seen nothing.
    pub(crate) fn by(witness: Arc<dyn Witness>) -> Self {
        Self { witness, seen: Vec::new(), lost: 0, has_begun: false }
    }

    /// Hands a decision on. One that finds no room is counted, and its changes are told with the next.
    pub(crate) fn note<'a>(
        &mut self,
        seats: impl Iterator<Item = Seat<'a>> + Clone,
        (standards, ask): (Standards<'_>, Ask<'_>),
        session: Option<&SessionKey>,
        choice: Option<(usize, Reason)>,
        now: Timestamp,
    ) {
        let known = || seats.clone().zip(&self.seen);
        let is_same = |(seat, kept): (Seat<'_>, &KeptSeat)| seat.account.record == kept.account.record;
        let is_other_pool = !self.has_begun || seats.clone().count() != self.seen.len() || !known().all(is_same);
        let changes: Vec<_> = if is_other_pool {
            seats.map(|seat| KeptSeat::of(&seat)).enumerate().collect()
        } else {
            let differing = known().enumerate().filter(|(_, (seat, kept))| !kept.says(seat));
            differing.map(|(place, (seat, _))| (place, KeptSeat::of(&seat))).collect()
        };
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
}
