//! What may follow: the moments of the past that were like this one, and what was used after each.

use super::habit::{Habit, WindowReading};
use crate::Timestamp;

/// How much a moment's likeness counts when nothing speaks for or against the hour of day.
const ANY_HOUR: f64 = 0.12;
/// A moment this many steps ago counts half.
const HALF_LIFE: f64 = 900.0;
/// Looked-at moments after one another tell the same story: so many are one.
const ALIKE: f64 = 3.0;
/// Every second moment is enough for that.
const STRIDE: usize = 2;
/// Guesses about the pace that stand in for a past nobody saw, as shares of the pace since the window began.
const GUESSES: [f64; 6] = [0.0, 0.3, 0.7, 1.0, 1.6, 3.0];
/// A moment less like this one than that counts nothing.
const FAR: f64 = 24.0;
const HOURS_OF_DAY: f64 = 24.0;

/// What may become of one window, as weighted stories.
#[derive(Debug, Clone)]
pub struct Outlook {
    now: i64,
    step: i64,
    length: i64,
    last: WindowReading,
    /// Percent used up to each step of the known past, told twice over so that every story is long enough.
    sums: Vec<f64>,
    /// Where in the past a story begins, and how much it counts; all of them together with the guesses count 1.
    stories: Vec<(usize, f64)>,
    /// Percent a millisecond, and how much that guess counts.
    guesses: Vec<(f64, f64)>,
}

impl Outlook {
    /// What may follow `now`; `None` before the first reading.
    pub fn of(habit: &Habit, now: Timestamp) -> Option<Self> {
        let last = habit.last()?;
        let grown = habit.until(now);
        let (places, used): (Vec<i64>, Vec<f64>) =
            grown.steps().filter_map(|(place, used)| Some((place, f64::from(used?)))).unzip();
        let step = grown.step();
        let length = i64::try_from(habit.length().as_millis()).unwrap_or(i64::MAX);
        let now = now.as_millis();
        let mut sums = Vec::with_capacity(2 * used.len() + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for used in used.iter().chain(&used) {
            sum += used;
            sums.push(sum);
        }
        let mut outlook = Self { now, step, length, last, sums, stories: Vec::new(), guesses: Vec::new() };
        outlook.find_stories(&places, used.len());
        Some(outlook)
    }

    fn find_stories(&mut self, places: &[i64], known: usize) {
        let (mut recent, fades) = (1.0, 0.5_f64.powf(real(STRIDE) / HALF_LIFE));
        let spans = [1, 6, if self.step * 24 < 86_400_000 { 36 } else { 24 }];
        let mean = self.sums.get(known).copied().unwrap_or(0.0) / real(known.max(1));
        let feature = |place: usize, span: usize| {
            let used = self.sums[place] - self.sums[place.saturating_sub(span)];
            if used > 0.0 { (1.0 + used / (mean * real(span)).max(0.01)).ln() } else { 0.0 }
        };
        let here = spans.map(|span| feature(known, span));
        let hour = |place: i64| real_of(place * self.step % 86_400_000) / 3_600_000.0;
        let now_hour = hour(self.now / self.step);
        let mut stories = Vec::new();
        for begin in (spans[2]..known.saturating_sub(1)).rev().step_by(STRIDE) {
            let mut unlike = 0.0;
            for (span, here) in spans.into_iter().zip(here) {
                let apart = (feature(begin, span) - here) / 0.5;
                unlike += apart * apart;
            }
            recent *= fades;
            if unlike > FAR {
                continue;
            }
            let apart = (hour(places[begin]) - now_hour).abs();
            let apart = apart.min(HOURS_OF_DAY - apart) / 2.5;
            let hour = ANY_HOUR + (1.0 - ANY_HOUR) * (-0.5 * apart * apart).exp();
            stories.push((begin, (-0.5 * unlike).exp() * hour * recent));
        }
        let (total, squares) = stories.iter().fold((0.0, 0.0), |(sum, squares), (_, w)| (sum + w, squares + w * w));
        let worth = if squares > 0.0 { total * total / squares / ALIKE } else { 0.0 };
        let guessed = 1.0 / (1.0 + worth);
        for (_, weight) in &mut stories {
            *weight *= (1.0 - guessed) / total.max(1e-300);
        }
        self.stories = stories;
        let began = self.last.ends_at().as_millis() - self.length;
        let elapsed = (self.last.seen_at.as_millis() - began).max(self.length / 20);
        let pace = self.last.used_percent / real_of(elapsed);
        self.guesses = GUESSES.map(|share| (pace * share, guessed / real(GUESSES.len()))).to_vec();
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
        let (from, to) = (real_of(begins - self.now) / real_of(self.step), real_of(at - self.now) / real_of(self.step));
        let stories = self.stories.iter().filter(|(begin, _)| self.used(*begin, to) - self.used(*begin, from) >= left);
        let guesses = self.guesses.iter().filter(|(pace, _)| pace * real_of(at - begins) >= left);
        stories.map(|(_, weight)| weight).chain(guesses.map(|(_, weight)| weight)).sum()
    }

    /// How likely the window runs out before each of its last moments: instants in order with the weight of the stories
    /// that end there. What is missing to 1 lasts until the reset.
    pub fn run_outs(&self) -> Vec<(Timestamp, f64)> {
        let (left, horizon) = (self.left(), self.resets_at().as_millis() - self.now);
        let steps = real_of(horizon) / real_of(self.step);
        let most = whole(steps.ceil()) + 1;
        let mut ends: Vec<(i64, f64)> = Vec::new();
        for (begin, weight) in &self.stories {
            let until = (begin + most).min(self.sums.len() - 1);
            let story = &self.sums[*begin..=until];
            let base = story.first().copied().unwrap_or(0.0);
            let place = story.partition_point(|sum| sum - base < left);
            if place == 0 || place >= story.len() {
                continue;
            }
            let (before, after) = (story[place - 1] - base, story[place] - base);
            let share = (left - before) / (after - before).max(1e-9);
            let at = (real(place - 1) + share) * real_of(self.step);
            if at < real_of(horizon) {
                ends.push((self.now + rounded(at), *weight));
            }
        }
        for (pace, weight) in &self.guesses {
            let at = left / pace.max(1e-300);
            if at < real_of(horizon) {
                ends.push((self.now + rounded(at), *weight));
            }
        }
        ends.sort_by_key(|(at, _)| *at);
        ends.into_iter().map(|(at, weight)| (Timestamp::from_millis(at), weight)).collect()
    }

    /// Percent used in a story up to so many steps after its beginning.
    fn used(&self, begin: usize, steps: f64) -> f64 {
        let place = begin + whole(steps.floor());
        let at = |place: usize| self.sums.get(place).or(self.sums.last()).copied().unwrap_or(0.0);
        at(place) + (at(place + 1) - at(place)) * steps.fract() - at(begin)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of steps are small")]
fn real(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "spans of time are below 2^53 milliseconds")]
fn real_of(millis: i64) -> f64 {
    millis as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(steps: f64) -> usize {
    steps as usize
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn rounded(millis: f64) -> i64 {
    millis as i64
}
