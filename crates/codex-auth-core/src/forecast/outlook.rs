//! What may become of one window: the stories of what may follow, held against what is left.

use super::{
    habit::{Habit, WindowReading},
    stories::{Stories, real, real_of, rounded, whole},
};
use crate::Timestamp;

/// What may become of one window, as weighted stories.
#[derive(Debug, Clone)]
pub struct Outlook {
    now: i64,
    length: i64,
    last: WindowReading,
    stories: Stories,
}

impl Outlook {
    /// What may follow `now`; `None` before the first reading.
    pub fn of(habit: &Habit, now: Timestamp) -> Option<Self> {
        let last = habit.last()?;
        let grown = habit.until(now);
        let steps = grown.steps().map(|(place, used)| (place, used.map(f64::from)));
        let stories = Stories::of(steps, grown.step(), last.pace(), now);
        let length = i64::try_from(habit.length().as_millis()).unwrap_or(i64::MAX);
        Some(Self { now: now.as_millis(), length, last, stories })
    }

    /// Percent left in the window now; all of it where it has started anew.
    pub fn left(&self) -> f64 {
        if self.is_over() { 100.0 } else { (100.0 - self.last.used_percent).max(0.0) }
    }

    fn is_over(&self) -> bool {
        self.last.ends_at().as_millis() <= self.now
    }

    /// When the window starts anew; one that is over starts with the next request, which is now.
    pub fn resets_at(&self) -> Timestamp {
        if self.is_over() { Timestamp::from_millis(self.now + self.length) } else { self.last.ends_at() }
    }

    /// How likely the window is spent at an instant.
    pub fn spent_at(&self, at: Timestamp) -> f64 {
        let (at, resets_at) = (at.as_millis(), self.resets_at().as_millis());
        let (begins, left) = if at < resets_at {
            (self.now, self.left())
        } else {
            // Whoever works begins a new window soon after each reset.
            (resets_at + (at - resets_at) / self.length * self.length, 100.0)
        };
        if left <= 0.0 {
            return 1.0;
        }
        let (from, to) = (
            real_of(begins - self.now) / real_of(self.stories.step),
            real_of(at - self.now) / real_of(self.stories.step),
        );
        let stories = self
            .stories
            .found
            .iter()
            .filter(|(begin, _)| self.stories.used(*begin, to) - self.stories.used(*begin, from) >= left);
        let guesses = self.stories.guesses.iter().filter(|(pace, _)| pace * real_of(at - begins) >= left);
        stories.map(|(_, weight)| weight).chain(guesses.map(|(_, weight)| weight)).sum()
    }

    /// How likely the window runs out before each of its last moments: instants in order with the weight of the stories
    /// that end there. What is missing to 1 lasts until the reset.
    pub fn run_outs(&self) -> Vec<(Timestamp, f64)> {
        let (left, horizon) = (self.left(), self.resets_at().as_millis() - self.now);
        let steps = real_of(horizon) / real_of(self.stories.step);
        let most = whole(steps.ceil()) + 1;
        let mut ends: Vec<(i64, f64)> = Vec::new();
        for (begin, weight) in &self.stories.found {
            let until = (begin + most).min(self.stories.sums.len() - 1);
            let story = &self.stories.sums[*begin..=until];
            let base = story.first().copied().unwrap_or(0.0);
            let place = story.partition_point(|sum| sum - base < left);
            if place == 0 || place >= story.len() {
                continue;
            }
            let (before, after) = (story[place - 1] - base, story[place] - base);
            let share = (left - before) / (after - before).max(1e-9);
            let at = (real(place - 1) + share) * real_of(self.stories.step);
            if at < real_of(horizon) {
                ends.push((self.now + rounded(at), *weight));
            }
        }
        for (pace, weight) in &self.stories.guesses {
            let at = left / pace.max(1e-300);
            if at < real_of(horizon) {
                ends.push((self.now + rounded(at), *weight));
            }
        }
        ends.sort_by_key(|(at, _)| *at);
        ends.into_iter().map(|(at, weight)| (Timestamp::from_millis(at), weight)).collect()
    }
}
