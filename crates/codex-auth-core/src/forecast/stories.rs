//! The moments of the past that were like this one: what was used after each is one story of what may follow.

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

/// What may follow a moment, as weighted stories; all of them together with the guesses count 1.
#[derive(Debug, Clone)]
pub(super) struct Stories {
    /// Milliseconds of a step.
    pub(super) step: i64,
    /// Percent used up to each step of the known past, told twice over so that every story is long enough.
    pub(super) sums: Vec<f64>,
    /// Steps of the known past.
    known: usize,
    /// Where in the past a story begins, and how much it counts.
    pub(super) found: Vec<(usize, f64)>,
    /// Percent a millisecond, and how much that guess counts.
    pub(super) guesses: Vec<(f64, f64)>,
}

impl Stories {
    /// Looks through a past of steps, each with its place since the epoch, for moments like `now`; `pace` is what is used
    /// in a millisecond of late. Steps of which nobody knows are left out.
    pub(super) fn of(steps: impl Iterator<Item = (i64, Option<f64>)>, step: i64, pace: f64, now: Timestamp) -> Self {
        let (places, used): (Vec<i64>, Vec<f64>) = steps.filter_map(|(place, used)| Some((place, used?))).unzip();
        let known = used.len();
        let mut sums = Vec::with_capacity(2 * known + 1);
        let mut sum = 0.0;
        sums.push(sum);
        for used in used.iter().chain(&used) {
            sum += used;
            sums.push(sum);
        }
        let mut stories = Self { step, sums, known, found: Vec::new(), guesses: Vec::new() };
        stories.find(&places, pace, now.as_millis());
        stories
    }

    fn find(&mut self, places: &[i64], pace: f64, now: i64) {
        let known = self.known;
        let (mut recent, fades) = (1.0, 0.5_f64.powf(real(STRIDE) / HALF_LIFE));
        let spans = [1, 6, if self.step * 24 < 86_400_000 { 36 } else { 24 }];
        let mean = self.sums.get(known).copied().unwrap_or(0.0) / real(known.max(1));
        let feature = |place: usize, span: usize| {
            let used = self.sums[place] - self.sums[place.saturating_sub(span)];
            if used > 0.0 { (1.0 + used / (mean * real(span)).max(0.01)).ln() } else { 0.0 }
        };
        let here = spans.map(|span| feature(known, span));
        let hour = |place: i64| real_of(place * self.step % 86_400_000) / 3_600_000.0;
        let now_hour = hour(now / self.step);
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
        self.found = stories;
        self.guesses = GUESSES.map(|share| (pace * share, guessed / real(GUESSES.len()))).to_vec();
    }

    /// Percent used in a story up to so many steps after its beginning.
    pub(super) fn used(&self, begin: usize, steps: f64) -> f64 {
        let place = begin + whole(steps.floor());
        let at = |place: usize| self.sums.get(place).or(self.sums.last()).copied().unwrap_or(0.0);
        at(place) + (at(place + 1) - at(place)) * steps.fract() - at(begin)
    }

    /// Percent used in one step of a story, however long it goes on: after the present it begins again at the oldest.
    pub(super) fn used_in(&self, begin: usize, step: usize) -> f64 {
        let place = (begin + step) % self.known.max(1);
        self.sums.get(place + 1).map_or(0.0, |sum| sum - self.sums[place])
    }

    /// Percent used in the first steps of a story.
    pub(super) fn used_until(&self, begin: usize, steps: usize) -> f64 {
        let known = self.known.max(1);
        let round = self.sums.get(known).copied().unwrap_or(0.0);
        let place = |place: usize| real(place / known) * round + self.sums.get(place % known).copied().unwrap_or(0.0);
        place(begin + steps) - place(begin)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of steps are small")]
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "spans of time are below 2^53 milliseconds")]
pub(super) fn real_of(millis: i64) -> f64 {
    millis as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn whole(steps: f64) -> usize {
    steps as usize
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
pub(super) fn rounded(millis: f64) -> i64 {
    millis as i64
}
