//! What was said of all accounts together, and what came of it: the pool's own score.

use std::time::Duration;

use super::{
    book::ForecastBook,
    pool::Member,
    promise::{Calibration, Promise, RunOut},
};
use crate::Timestamp;

/// A pool is asked about so often, whoever works or sleeps: who asks does not wait for a request either.
const APART: Duration = Duration::from_hours(1);
/// After a longer silence only its end is asked about; a week's end is shorter.
const LONGEST: Duration = Duration::from_hours(72);
/// An account of which nothing was told for so long serves no more; what is known of it is forgotten then.
const GONE: Duration = Duration::from_hours(14 * 24);

/// What was said of the pool, and how often that held.
///
/// The windows' score does not do for it. A window fails its interval by being spent early; a pool passes that work on to
/// the next account, so an interval made wider for the window's sake is too wide for the pool.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolScore {
    /// How often.
    pub calibration: Calibration,
    /// What did not come due yet, the oldest first.
    pub open: Vec<Promise>,
    /// Until when was asked; the epoch before the first reading.
    pub asked_until: Timestamp,
}

impl ForecastBook {
    /// Notes what could be said of the pool since the last reading. Plans are not known here, and count as equal.
    pub(super) fn note_pool_until(&mut self, now: Timestamp) {
        let is_new = self.pool.asked_until == Timestamp::default();
        // A clock that was wrong once is not to stop the score until it is right.
        if is_new || self.pool.asked_until.since(now) > LONGEST {
            (self.pool.asked_until, self.pool.open) = (now, Vec::new());
        }
        let mut asks = self.pool.asked_until.max(now.before(LONGEST)).after(APART);
        while asks < now {
            let told = self.pool_runs_out(&self.lately(asks), asks).filter(|told| told.says != RunOut::Spent);
            let promise = told.map(|told| Promise { said_at: asks, resets_at: told.until, says: told.says });
            self.pool.open.extend(promise);
            self.pool.asked_until = asks;
            asks = asks.after(APART);
        }
    }

    /// A reading came: what was said of the pool held or failed where everybody is spent, or its time is over.
    pub(super) fn settle_pool(&mut self, now: Timestamp) {
        let members = self.lately(now);
        let is_spent = !members.is_empty() && members.iter().all(|member| member.free_at > now);
        let PoolScore { calibration, open, .. } = &mut self.pool;
        open.retain(|promise| {
            let ran_out = match (promise.resets_at <= now, is_spent) {
                (true, _) => None,
                (false, true) => Some(now),
                (false, false) => return true,
            };
            calibration.learn(promise, ran_out);
            false
        });
    }

    /// Everybody who told something of late, each free once its spent windows are over.
    fn lately(&self, now: Timestamp) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::new();
        for ((record, _), track) in &self.tracks {
            let Some(last) = track.habit.last().filter(|last| now.since(last.seen_at) < GONE) else { continue };
            let free_at = if last.used_percent >= 100.0 { last.ends_at().max(now) } else { now };
            match members.last_mut().filter(|member| member.record == *record) {
                Some(member) => member.free_at = member.free_at.max(free_at),
                None => members.push(Member { record: record.clone(), size: 1.0, free_at }),
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordId, WindowReading};

    const HOUR: i64 = 3_600_000;

    /// Two accounts, one spent an hour into each window of five hours, the other after so many percent an hour.
    fn worked(days: i64, second: f64) -> ForecastBook {
        let mut book = ForecastBook::default();
        for hour in 1..days * 24 {
            for (number, each_hour) in [(1, 100.0), (2, second)] {
                let began = hour / 5 * 5 * HOUR;
                let used_percent = (each_hour * f64::from(i32::try_from(hour % 5).expect("small"))).min(100.0);
                let reading = WindowReading {
                    length: Duration::from_hours(5),
                    used_percent,
                    resets_at: Some(Timestamp::from_millis(began + 5 * HOUR)),
                    seen_at: Timestamp::from_millis(hour * HOUR),
                };
                book.saw(&RecordId::parse(&format!("record:{number}")).expect("not blank"), reading);
            }
        }
        book
    }

    /// Expects whether a pool that was said to last ever did.
    #[track_caller]
    fn check(second: f64, expect: bool) {
        let pool = worked(6, second).pool;
        let Calibration { said, held, lasting, lasted, .. } = pool.calibration;
        assert_eq!(lasted > 0, expect, "{:?}", pool.calibration);
        assert!(said + lasting > 20 && held > said / 2 && pool.open.len() <= 24, "{pool:?}");
    }

    #[test]
    fn a_pool_is_spent_with_its_last_account() {
        check(100.0, false);
        check(5.0, true);
    }

    #[test]
    fn a_pool_is_as_wide_as_its_own_score_asks_for() {
        let worked = worked(2, 20.0);
        let now = Timestamp::from_millis(48 * HOUR);
        let says = |pool: f64, windows: f64| {
            let mut book = worked.clone();
            book.pool.calibration.outside = pool;
            book.calibrations.values_mut().for_each(|score| score.outside = windows);
            book.pool_runs_out(&book.lately(now), now).expect("it was told of").says
        };
        assert_eq!(says(1.0, 0.1), says(1.0, 3.0));
        assert_ne!(says(0.1, 1.0), says(3.0, 1.0));
    }

    #[test]
    fn a_silence_is_asked_about_at_its_end_and_a_wrong_clock_is_forgotten() {
        let mut book = worked(6, 5.0);
        let record = RecordId::parse("record:1").expect("not blank");
        let reading = |hour: i64| WindowReading {
            length: Duration::from_hours(5),
            used_percent: 1.0,
            resets_at: Some(Timestamp::from_millis((hour + 4) * HOUR)),
            seen_at: Timestamp::from_millis(hour * HOUR),
        };
        let scored = |book: &ForecastBook| book.pool.calibration.said + book.pool.calibration.lasting;
        let before = scored(&book);
        let open = u32::try_from(book.pool.open.len()).expect("few");
        book.saw(&record, reading(6 * 24 + 300));
        // Of three days two came due at once.
        assert!((40..=50).contains(&(scored(&book) - before - open)), "{}", scored(&book) - before - open);
        book.saw(&record, reading(100_000));
        book.saw(&record, reading(1000));
        assert_eq!(book.pool.asked_until, Timestamp::from_millis(1000 * HOUR));
    }
}
