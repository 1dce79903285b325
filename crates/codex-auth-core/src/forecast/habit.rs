//! What was used of one window in the past, step by step: a bounded memory that readings fill.

use std::{collections::VecDeque, time::Duration};

use super::stories::real_of;
use crate::Timestamp;

/// A step of a short window, and of any window from a day on.
const SHORT_STEP: i64 = 10 * 60_000;
const LONG_STEP: i64 = 60 * 60_000;
const DAY: i64 = 24 * LONG_STEP;
/// How long each is remembered.
const SHORT_KEPT: i64 = 14 * DAY;
const LONG_KEPT: i64 = 56 * DAY;

/// What an answer told of one quota window of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowReading {
    /// How long the window is.
    pub length: Duration,
    /// Share used, in percent.
    pub used_percent: f64,
    /// When it starts anew, where told.
    pub resets_at: Option<Timestamp>,
    /// When this was told.
    pub seen_at: Timestamp,
}

impl WindowReading {
    /// When the window starts anew; one length from the telling where nobody said so.
    pub fn ends_at(&self) -> Timestamp {
        self.resets_at.unwrap_or_else(|| self.seen_at.after(self.length))
    }

    /// Percent used in a millisecond since the window began.
    pub(super) fn pace(&self) -> f64 {
        let length = i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX);
        let began = self.ends_at().as_millis() - length;
        self.used_percent / real_of((self.seen_at.as_millis() - began).max(length / 20))
    }

    /// Whether a later reading is of the same run of the window: both name the same end, give or take a clock's error.
    /// Where one names none, a share that did not fall is of the same run.
    pub(crate) fn is_same_run(&self, next: &Self) -> bool {
        let is_near = match (self.resets_at, next.resets_at) {
            (Some(a), Some(b)) => a.since(b).max(b.since(a)) < self.length / 20,
            (_, _) => true,
        };
        is_near && next.seen_at < self.ends_at() && next.used_percent >= self.used_percent - 1.0
    }
}

/// How one window of one account was used. Steps in which the window was spent are left out: nobody knows what would have
/// been used, and work that waited comes after.
#[derive(Debug, Clone, PartialEq)]
pub struct Habit {
    length: i64,
    /// The step after the last one kept, counted from the epoch.
    end: i64,
    /// Percent used in each step; `None` while the window was spent.
    steps: VecDeque<Option<f32>>,
    last: Option<WindowReading>,
}

/// A habit as it is written down.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptHabit {
    /// How long the window is.
    pub length: Duration,
    /// The step after the last one, counted from the epoch.
    pub end: i64,
    /// Percent used in each step; `None` while the window was spent.
    pub steps: Vec<Option<f32>>,
    /// The last reading.
    pub last: Option<WindowReading>,
}

impl From<KeptHabit> for Habit {
    fn from(kept: KeptHabit) -> Self {
        let mut habit = Self::of_length(kept.length);
        let surplus = kept.steps.len().saturating_sub(habit.most());
        habit.steps = kept.steps.into_iter().skip(surplus).collect();
        (habit.end, habit.last) = (kept.end, kept.last);
        habit
    }
}

impl Habit {
    /// Nothing is known yet of a window of this length.
    pub fn of_length(length: Duration) -> Self {
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(60_000);
        Self { length, end: 0, steps: VecDeque::new(), last: None }
    }

    /// Takes in a reading; one that is older than the last, or of another window, teaches nothing.
    pub fn saw(&mut self, reading: WindowReading) {
        let WindowReading { used_percent, seen_at, .. } = reading;
        if !used_percent.is_finite() || self.last.is_some_and(|last| seen_at < last.seen_at) {
            return;
        }
        let used = used_percent.clamp(0.0, 100.0);
        let same_run = self.last.filter(|last| last.is_same_run(&reading));
        let rise = (used - same_run.map_or(0.0, |last| last.used_percent.clamp(0.0, 100.0))).max(0.0);
        // What was used before anybody looked belongs to no step we know.
        let is_first = self.last.is_none();
        let was_spent = same_run.is_some_and(|last| last.used_percent >= 100.0);
        let step = seen_at.as_millis().div_euclid(self.step());
        self.go_on_to(step);
        if let Some(now) = self.steps.back_mut() {
            match now {
                _ if is_first => {}
                Some(sum) if !was_spent => *sum += narrow(rise),
                Some(_) | None => {}
            }
        }
        self.last = Some(WindowReading { used_percent: used, ..reading });
    }

    /// The same as it is written down.
    pub fn kept(&self) -> KeptHabit {
        let Self { end, last, .. } = *self;
        KeptHabit { length: self.length(), end, steps: self.steps.iter().copied().collect(), last }
    }

    /// How many steps are remembered.
    fn most(&self) -> usize {
        usize::try_from(if self.length < DAY { SHORT_KEPT } else { LONG_KEPT } / self.step()).unwrap_or(0)
    }

    /// The last reading.
    pub fn last(&self) -> Option<WindowReading> {
        self.last
    }

    /// How long the window is.
    pub fn length(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.length).unwrap_or(0))
    }

    /// How many milliseconds a step has.
    pub(super) fn step(&self) -> i64 {
        if self.length < DAY { SHORT_STEP } else { LONG_STEP }
    }

    /// The steps up to now, with their place since the epoch; the ones in which nothing was told are idle.
    pub(super) fn until(&self, now: Timestamp) -> Self {
        let mut grown = self.clone();
        grown.go_on_to(now.as_millis().div_euclid(self.step()));
        grown
    }

    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = (i64, Option<f32>)> {
        let begin = self.end - i64::try_from(self.steps.len()).unwrap_or(0);
        (begin..).zip(self.steps.iter().copied()).collect::<Vec<_>>().into_iter()
    }

    /// Makes `step` the last one.
    fn go_on_to(&mut self, step: i64) {
        if self.steps.is_empty() {
            self.end = step;
        }
        let kept = self.most();
        let most = i64::try_from(kept).unwrap_or(0);
        if step - self.end > most {
            self.steps.clear();
            self.end = step - most;
        }
        while self.end <= step {
            let starts_at = self.end * self.step();
            let is_spent = self.last.is_some_and(|last| {
                last.used_percent >= 100.0
                    && starts_at < last.ends_at().as_millis()
                    && last.seen_at.as_millis() < starts_at
            });
            self.steps.push_back((!is_spent).then_some(0.0));
            self.end += 1;
            if self.steps.len() > kept {
                self.steps.pop_front();
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "percent")]
fn narrow(percent: f64) -> f32 {
    percent as f32
}
