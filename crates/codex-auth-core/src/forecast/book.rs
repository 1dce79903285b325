//! The forecasts of a whole pool: each window's past, what was said of it, and how often that held.

use std::{collections::BTreeMap, time::Duration};

use super::{
    habit::{Habit, WindowReading},
    outlook::Outlook,
    pool_score::PoolScore,
    promise::{Calibration, Outcome, Promise, RunOut},
};
use crate::{RecordId, Timestamp};

/// A run of a window is asked about this many times, evenly in time: whoever asks does not wait for a request either.
const QUESTIONS: u32 = 6;

/// One window of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// How it was used.
    pub habit: Habit,
    /// What was said of the run that is on.
    pub open: Vec<Promise>,
    /// Until when the run that is on was asked about.
    pub asked_until: Timestamp,
}

/// All of it. The agent keeps it, and whoever asks reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForecastBook {
    /// By account and length of the window.
    pub tracks: BTreeMap<(RecordId, Duration), Track>,
    /// By length of the window: all accounts learn from one another.
    pub calibrations: BTreeMap<Duration, Calibration>,
    /// Of all accounts together.
    pub pool: PoolScore,
}

impl ForecastBook {
    /// Takes in what an answer told of a window, having noted what could be said of it until then.
    pub fn saw(&mut self, record: &RecordId, reading: WindowReading) {
        self.note_pool_until(reading.seen_at);
        let calibration = self.calibrations.entry(reading.length).or_default();
        let track = self.tracks.entry((record.clone(), reading.length)).or_insert_with(|| Track::of(&reading));
        track.note_until(calibration, reading.seen_at);
        track.open.retain(|promise| {
            let ran_out = match promise.outcome(&reading) {
                Outcome::Open => return true,
                Outcome::RanOut(at) => Some(at),
                Outcome::Lasted => None,
            };
            calibration.learn(promise, ran_out);
            false
        });
        track.habit.saw(reading);
        self.settle_pool(reading.seen_at);
    }

    /// What may become of each window of an account, by length.
    pub fn outlooks(&self, record: &RecordId, now: Timestamp) -> Vec<(Duration, Outlook)> {
        let of_account = self.tracks.iter().filter(|((of, _), _)| of == record);
        of_account.filter_map(|((_, length), track)| Some((*length, Outlook::of(&track.habit, now)?))).collect()
    }

    /// When a window runs out, as wide as experience asks for.
    pub fn runs_out(&self, length: Duration, outlook: &Outlook) -> RunOut {
        self.calibrations.get(&length).copied().unwrap_or_default().runs_out(outlook)
    }

    /// Forgets accounts that are not among these.
    pub fn keep_only(&mut self, is_there: impl Fn(&RecordId) -> bool) {
        self.tracks.retain(|(record, _), _| is_there(record));
    }
}

impl Track {
    fn of(reading: &WindowReading) -> Self {
        Self { habit: Habit::of_length(reading.length), open: Vec::new(), asked_until: reading.seen_at }
    }

    /// Notes what could be said since the last reading, at evenly spaced moments of the run that is on.
    fn note_until(&mut self, calibration: &Calibration, now: Timestamp) {
        let Some(last) = self.habit.last() else { return };
        let apart = self.habit.length() / QUESTIONS;
        let mut asks = self.asked_until.max(last.seen_at.before(apart)).after(apart);
        while asks < now && asks < last.ends_at() {
            if let Some(outlook) = Outlook::of(&self.habit, asks) {
                let says = calibration.runs_out(&outlook);
                if says != RunOut::Spent {
                    self.open.push(Promise { said_at: asks, resets_at: last.ends_at(), says });
                }
            }
            self.asked_until = asks;
            asks = asks.after(apart);
        }
    }
}
