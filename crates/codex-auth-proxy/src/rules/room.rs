//! Room in the budgets for one request, given back exactly once, whatever becomes of the request.

use std::sync::{Arc, Mutex, PoisonError};

use codex_auth_core::{Clock, Meter, Outcome, Reservation, Spent, Timestamp};

/// What one request may spend. Dropped before its end, the client left, and what it asked for counts.
#[derive(Debug)]
pub(crate) struct Room {
    meter: Arc<Meter>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    reservation: Option<Reservation>,
    is_answered: bool,
    /// When anything was last noted of it.
    at: Timestamp,
}

impl Room {
    /// No room at all, for a request that is refused.
    pub(super) fn none(meter: Arc<Meter>) -> Arc<Self> {
        Arc::new(Self { meter, state: Mutex::default() })
    }

    /// This room.
    pub(super) fn of(meter: Arc<Meter>, reservation: Reservation, now: Timestamp) -> Arc<Self> {
        let state = State { reservation: Some(reservation), at: now, ..State::default() };
        Arc::new(Self { meter, state: Mutex::new(state) })
    }

    /// An answer has begun: from here on it ends with the answer.
    pub(crate) fn answered(&self) {
        self.lock().is_answered = true;
    }

    /// The answer has ended like this.
    pub(crate) fn ended(&self, outcome: &Outcome, clock: &dyn Clock) {
        let mut state = self.lock();
        state.at = clock.now();
        if state.is_answered {
            let counts = matches!(outcome, Outcome::Served | Outcome::Cancelled);
            self.settle(&mut state, u64::from(counts));
        }
    }

    /// Nobody looks for an account any more. Unless an answer is under way, nothing was spent.
    pub(crate) fn searched(&self) {
        let mut state = self.lock();
        if !state.is_answered
            && let Some(reservation) = state.reservation.take()
        {
            self.meter.release(reservation);
        }
    }

    fn settle(&self, state: &mut State, requests: u64) {
        if let Some(reservation) = state.reservation.take() {
            self.meter.settle(reservation, Spent { requests, ..Spent::default() }, state.at);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.lock());
        self.settle(&mut state, 1);
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Budget, BudgetLimit, Window, testing::ManualClock};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    /// How many requests count after this became of one.
    #[track_caller]
    fn check(become_of: impl FnOnce(Arc<Room>), expect: u64) {
        let meter = Arc::new(Meter::default());
        let reservation = meter.reserve(None, &[], NOW).expect("no budget");
        become_of(Room::of(meter.clone(), reservation, NOW));
        let limit = BudgetLimit { window: Window::Day, max_requests: None, max_tokens: None, max_cost_usd: None };
        let (used, held) = meter.stands(&Budget { key: "global".to_owned(), limit, projects: None }, NOW);
        assert_eq!((used.requests, held), (expect, Spent::default()));
    }

    #[test]
    fn f60_only_what_was_answered_or_given_up_is_a_request() {
        let clock = ManualClock::at(NOW);
        let ended = |outcome: Outcome| {
            let clock = &clock;
            move |room: Arc<Room>| {
                room.answered();
                room.searched();
                room.ended(&outcome, clock);
            }
        };
        check(ended(Outcome::Served), 1);
        check(ended(Outcome::Cancelled), 1);
        check(ended(Outcome::NetworkFault), 0);
        check(|room| room.searched(), 0);
        check(|room| room.ended(&Outcome::Cancelled, &clock), 1);
        check(drop, 1);
    }
}
