//! Owns the score: how often the interval held, and how far from the truth the probabilities were.

use std::{collections::BTreeMap, thread};

use super::{
    chance::Chance,
    families::{DAY, Family, HOUR, MINUTE},
    world::{DAYS, Life, Told, lives},
};

/// From now on questions are asked; before, there is only something to learn.
pub(super) const FIRST_QUESTION: i64 = 14 * DAY;
/// How far ahead "can I work then?" is asked.
const AHEAD: [i64; 6] = [30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR];

/// When a window runs out, as a forecaster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// With nine chances in ten it does not, before it starts anew.
    Lasts,
    /// In this time, nine times in ten; without an end where it may also last.
    Between(i64, Option<i64>),
    /// It has no opinion.
    Nothing,
}

/// What is judged.
pub(super) trait Forecaster {
    /// An answer told of a window.
    fn saw(&mut self, told: Told);
    /// When a window that is neither spent nor over runs out. A forecaster may note what it said.
    fn runs_out(&mut self, window: usize, now: i64) -> Says;
    /// How likely the account serves at an instant.
    fn usable(&mut self, at: i64, now: i64) -> f64;
}

/// What came of the questions of one family.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Score {
    /// Intervals said.
    pub(super) said: u32,
    /// Of those, the ones that held.
    pub(super) held: u32,
    /// Windows said to last.
    pub(super) lasting: u32,
    /// Of those, the ones that did.
    pub(super) lasted: u32,
    /// Sum of the widths of intervals with an end, in hours, and their number.
    pub(super) width: (f64, u32),
    /// Sum of squared errors, and how many.
    pub(super) errors: (f64, u32),
}

impl Score {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            said: self.said + other.said,
            held: self.held + other.held,
            lasting: self.lasting + other.lasting,
            lasted: self.lasted + other.lasted,
            width: (self.width.0 + other.width.0, self.width.1 + other.width.1),
            errors: (self.errors.0 + other.errors.0, self.errors.1 + other.errors.1),
        }
    }

    /// Percent of intervals that held.
    pub(super) fn coverage(&self) -> f64 {
        100.0 * f64::from(self.held) / f64::from(self.said.max(1))
    }

    /// The Brier score: 0 is always right and sure, 0.25 is a coin.
    pub(super) fn brier(&self) -> f64 {
        self.errors.0 / f64::from(self.errors.1.max(1))
    }

    pub(super) fn interval(&mut self, says: Says, truth: Option<i64>) {
        match says {
            Says::Nothing => {}
            Says::Lasts => {
                self.lasting += 1;
                self.lasted += u32::from(truth.is_none());
            }
            Says::Between(from, to) => {
                self.said += 1;
                let holds = match truth {
                    Some(out) => from <= out && to.is_none_or(|to| out <= to),
                    None => to.is_none(),
                };
                self.held += u32::from(holds);
                if let Some(to) = to {
                    #[expect(clippy::cast_precision_loss, reason = "hours")]
                    let hours = (to - from) as f64 / HOUR as f64;
                    self.width = (self.width.0 + hours, self.width.1 + 1);
                }
            }
        }
    }

    fn chance(&mut self, said: f64, truth: bool) {
        let error = said - f64::from(u8::from(truth));
        self.errors = (self.errors.0 + error * error, self.errors.1 + 1);
    }
}

/// Scores by what was asked: each window's interval, and whether one can work (under the last place).
pub(super) type Scores = [Score; 2];

/// One account's life, told to a forecaster that is asked in between.
pub(super) fn judge_life(life: &Life, forecaster: &mut dyn Forecaster, chance: &mut Chance, every: f64) -> Scores {
    let (mut scores, mut told) = (Scores::default(), life.told.iter().peekable());
    let mut now = FIRST_QUESTION;
    loop {
        now += chance.millis(every);
        if now >= (DAYS - 7) * DAY {
            return scores;
        }
        while let Some(news) = told.next_if(|news| news.at <= now) {
            forecaster.saw(*news);
        }
        for (window, score) in scores.iter_mut().enumerate() {
            let Some(span) = life.span(window, now).filter(|span| span.runs_out.is_none_or(|out| now < out)) else {
                continue;
            };
            score.interval(forecaster.runs_out(window, now), span.runs_out);
        }
        for ahead in AHEAD {
            let said = forecaster.usable(now + ahead, now);
            scores[0].chance(said, life.is_usable(now + ahead));
        }
    }
}

/// Both windows' scores.
#[derive(Debug, Default)]
struct Pair(Scores);

impl Sum for Pair {
    fn plus(self, other: Self) -> Self {
        Self([self.0[0].plus(other.0[0]), self.0[1].plus(other.0[1])])
    }
}

impl Sum for Score {
    fn plus(self, other: Self) -> Self {
        Self::plus(self, other)
    }
}

/// What is added up over seeds.
pub(super) trait Sum: Default + Send {
    fn plus(self, other: Self) -> Self;
}

/// Judges every seed of every family, the families side by side, and adds up what is found.
pub(super) fn in_parallel<K: Copy + Ord + Send + Sync, S: Sum>(
    seeds: &BTreeMap<K, Vec<u64>>,
    judged: impl Fn(K, u64) -> S + Sync,
) -> BTreeMap<K, S> {
    let of_family =
        |family: K, seeds: &[u64]| seeds.iter().fold(S::default(), |sum, seed| sum.plus(judged(family, *seed)));
    thread::scope(|scope| {
        let running = seeds.iter().map(|(family, seeds)| (*family, scope.spawn(move || of_family(*family, seeds))));
        let running: Vec<_> = running.collect();
        running.into_iter().map(|(family, judged)| (family, judged.join().expect("a family is judged"))).collect()
    })
}

/// All seeds of the families; a forecaster is made anew for each account.
pub(super) fn judge(
    seeds: &BTreeMap<Family, Vec<u64>>,
    every: f64,
    make: impl Fn() -> Box<dyn Forecaster> + Sync,
) -> BTreeMap<Family, Scores> {
    let sums = in_parallel(seeds, |family, seed| {
        let mut chance = Chance::of_seed(seed.wrapping_add(1_000_003));
        let lives = lives(family, seed);
        let judged = lives.iter().map(|life| judge_life(life, make().as_mut(), &mut chance, every));
        Pair(judged.fold(Scores::default(), |sum, scores| [sum[0].plus(scores[0]), sum[1].plus(scores[1])]))
    });
    sums.into_iter().map(|(family, Pair(scores))| (family, scores)).collect()
}
