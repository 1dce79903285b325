//! What this process knows of accounts besides their rows. It lies beside each account in the pool's order, so that a
//! decision over a large pool looks nothing up by name.

use std::collections::HashMap;

use super::{
    gauge::Gauge,
    warmth::{Crowd, Warmth},
};
use crate::{RecordId, Remembered, Timestamp};

/// What is known of one account.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) in_flight: u32,
    pub(super) warmth: Warmth,
    pub(super) crowd: Crowd,
    pub(super) gauge: Gauge,
    /// What of it was last handed on to be kept.
    pub(super) noted: Option<Remembered>,
    /// The last use that was handed on to be kept.
    pub(super) used_at: Timestamp,
}

/// What is known of all of them.
#[derive(Debug, Default)]
pub(super) struct Sides {
    places: HashMap<RecordId, usize>,
    here: Vec<Side>,
    /// Of accounts that are not in the pool now: requests may still be in flight, and accounts come back.
    absent: HashMap<RecordId, Side>,
}

impl Sides {
    /// The accounts are these now, in this order.
    pub(super) fn arrange<'a>(&mut self, order: impl Iterator<Item = &'a RecordId>) {
        let mut sides: Vec<_> = std::mem::take(&mut self.here).into_iter().map(Some).collect();
        for (record, place) in self.places.drain() {
            if let Some(side) = sides.get_mut(place).and_then(Option::take) {
                self.absent.insert(record, side);
            }
        }
        for (place, record) in order.enumerate() {
            let mut side = self.absent.remove(record).unwrap_or_default();
            side.gauge.forget_kept();
            self.here.push(side);
            self.places.entry(record.clone()).or_insert(place);
        }
    }

    /// An account's place in the pool.
    pub(super) fn place(&self, record: &RecordId) -> Option<usize> {
        self.places.get(record).copied()
    }

    /// What is known of the account at this place, which there is.
    pub(super) fn at(&self, place: usize) -> &Side {
        &self.here[place]
    }

    /// What is known of an account.
    pub(super) fn of(&self, record: &RecordId) -> Option<&Side> {
        self.place(record).map_or_else(|| self.absent.get(record), |place| self.here.get(place))
    }

    /// What is known of an account, to be changed.
    pub(super) fn of_mut(&mut self, record: &RecordId) -> &mut Side {
        match self.place(record) {
            Some(place) => &mut self.here[place],
            None => self.absent.entry(record.clone()).or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    #[test]
    fn what_is_known_follows_an_account_out_of_the_pool_and_back() {
        let records: Vec<_> = (1..=3).map(|number| account(number).record).collect();
        let mut sides = Sides::default();
        sides.arrange(records.iter());
        sides.of_mut(&records[2]).in_flight = 7;
        let known = |sides: &Sides| (sides.place(&records[2]), sides.of(&records[2]).map(|side| side.in_flight));
        for (order, place) in [(&[2, 0][..], Some(0)), (&[0, 1], None), (&[1, 0, 2], Some(2))] {
            sides.arrange(order.iter().map(|number| &records[*number]));
            assert_eq!(known(&sides), (place, Some(7)));
        }
        assert_eq!(sides.at(0).in_flight, 0);
    }
}
