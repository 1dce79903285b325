//! The breaker for bursts: when one account after the other fails at the backend within a short span, it is the
//! backend, and nobody else is asked for a moment. Then one request tries; its success lets everybody in again.

use std::time::Duration;

use crate::{RecordId, Timestamp};

/// So many accounts in a row are a burst; two may both be unlucky.
const ACCOUNTS: usize = 3;
/// Within this span.
const WITHIN: Duration = Duration::from_secs(10);
/// How long nobody is asked. Clients repeat a 5xx by themselves, for longer than this.
pub const BURST_LASTS: Duration = Duration::from_secs(10);
/// How long the one that tries may take before another one does.
const TRIAL_LASTS: Duration = Duration::from_secs(30);

/// The breaker.
#[derive(Debug, Clone, Default)]
pub struct Burst {
    /// Who failed since the last success, and when last.
    failed: Vec<(RecordId, Timestamp)>,
    state: State,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// Everybody is asked.
    #[default]
    Closed,
    /// Nobody is.
    Open(Timestamp),
    /// One request tries; until then nobody else does.
    Trying(Timestamp),
}

impl Burst {
    /// Until when nobody is asked.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let (until, longest) = match self.state {
            State::Closed => return None,
            State::Open(until) => (until, BURST_LASTS),
            State::Trying(until) => (until, TRIAL_LASTS),
        };
        // A clock that was set back must not hold it open.
        Some(until).filter(|until| now < *until && *until <= now.after(longest))
    }

    /// Somebody is asked: after a burst it is the one that tries, and the others wait for it.
    pub fn asking(&mut self, now: Timestamp) {
        if !matches!(self.state, State::Closed) && self.until(now).is_none() {
            self.state = State::Trying(now.after(TRIAL_LASTS));
        }
    }

    /// An account failed at the backend.
    pub fn failed(&mut self, record: &RecordId, now: Timestamp) {
        self.failed.retain(|(known, at)| known != record && now.since(*at) < WITHIN && *at <= now);
        self.failed.push((record.clone(), now));
        let is_trial = matches!(self.state, State::Trying(_));
        if is_trial || self.failed.len() >= ACCOUNTS {
            self.state = State::Open(now.after(BURST_LASTS));
        }
    }

    /// The backend answered somebody properly, whatever it said.
    pub fn answered(&mut self) {
        self.failed.clear();
        self.state = State::Closed;
    }

    /// Whoever was asked left before an answer; the next one may try at once.
    pub fn left(&mut self, now: Timestamp) {
        if matches!(self.state, State::Trying(_)) {
            self.state = State::Trying(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1000 + secs)
    }

    fn after(failures: &[(usize, i64)]) -> Burst {
        let mut burst = Burst::default();
        for (number, secs) in failures {
            burst.failed(&account(*number).record, at(*secs));
        }
        burst
    }

    #[test]
    fn three_accounts_in_a_row_within_ten_seconds() {
        assert_eq!(after(&[(1, 0), (2, 1), (3, 2)]).until(at(2)), Some(at(12)));
        assert_eq!(after(&[(1, 0), (2, 1), (3, 2)]).until(at(12)), None);
        assert_eq!(after(&[(1, 0), (2, 1)]).until(at(1)), None);
        assert_eq!(after(&[(1, 0), (1, 1), (1, 2)]).until(at(2)), None, "one account is one account");
        assert_eq!(after(&[(1, 0), (2, 9), (3, 10)]).until(at(10)), None, "the first one was long ago");
        let mut answered = after(&[(1, 0), (2, 1)]);
        answered.answered();
        answered.failed(&account(3).record, at(2));
        assert_eq!(answered.until(at(2)), None, "somebody was served in between");
    }

    #[test]
    fn one_tries_and_the_others_wait_for_it() {
        let mut burst = after(&[(1, 0), (2, 0), (3, 0)]);
        burst.asking(at(10));
        assert_eq!(burst.until(at(11)), Some(at(40)));
        let (mut failed, mut served, mut left) = (burst.clone(), burst.clone(), burst);
        failed.failed(&account(1).record, at(15));
        assert_eq!(failed.until(at(15)), Some(at(25)));
        served.answered();
        assert_eq!(served.until(at(15)), None);
        left.left(at(15));
        assert_eq!(left.until(at(15)), None);
        left.asking(at(15));
        assert_eq!(left.until(at(15)), Some(at(45)));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_it_open() {
        assert_eq!(after(&[(1, 0), (2, 0), (3, 0)]).until(at(-100)), None);
    }
}
