//! Accounts with two quota windows each, and what really came of the requests: the judge's truth.

use super::{
    chance::Chance,
    families::{DAY, Family, HOUR, Request},
};

pub(super) const SHORT: i64 = 5 * HOUR;
pub(super) const LONG: i64 = 7 * DAY;
/// Both windows of an account, in this order everywhere.
pub(super) const LENGTHS: [i64; 2] = [SHORT, LONG];
/// How long each seed lives.
pub(super) const DAYS: i64 = 42;

/// What an answer told of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    pub(super) window: usize,
    pub(super) at: i64,
    /// Whole percents, as the backend tells them.
    pub(super) used: f64,
    pub(super) resets_at: i64,
}

/// One run of a window: from its first request to its reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begins: i64,
    pub(super) resets_at: i64,
    pub(super) runs_out: Option<i64>,
}

/// One account's life.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) told: Vec<Told>,
    /// By window.
    pub(super) spans: [Vec<Span>; 2],
}

impl Life {
    /// The run of a window that is on at an instant.
    pub(super) fn span(&self, window: usize, at: i64) -> Option<Span> {
        let spans = &self.spans[window];
        let place = spans.partition_point(|span| span.begins <= at);
        spans[..place].last().copied().filter(|span| at < span.resets_at)
    }

    /// Whether no window is spent at an instant.
    pub(super) fn is_usable(&self, at: i64) -> bool {
        (0..2).all(|window| self.span(window, at).is_none_or(|span| span.runs_out.is_none_or(|out| at < out)))
    }
}

#[derive(Debug)]
struct Account {
    life: Life,
    /// Percent used of each window, unrounded.
    used: [f64; 2],
    /// How much of the short window's percent makes a percent of the long one.
    scale: f64,
}

impl Account {
    /// Serves a request, or says with its answer that a window is spent.
    fn serve(&mut self, request: Request) -> bool {
        let Request { at, cost } = request;
        let is_served = self.life.is_usable(at);
        for (window, length) in LENGTHS.into_iter().enumerate() {
            if is_served && self.life.span(window, at).is_none() {
                self.used[window] = 0.0;
                self.life.spans[window].push(Span { begins: at, resets_at: at + length, runs_out: None });
            }
            if is_served {
                self.used[window] += if window == 0 { cost } else { cost / self.scale };
                if self.used[window] >= 100.0
                    && let Some(span) = self.life.spans[window].last_mut()
                {
                    span.runs_out = Some(at);
                }
            }
            if let Some(span) = self.life.span(window, at) {
                let used = self.used[window].floor().min(100.0);
                self.life.told.push(Told { window, at, used, resets_at: span.resets_at });
            }
        }
        is_served
    }
}

/// What became of the accounts of a seed.
pub(super) fn lives(family: Family, seed: u64) -> Vec<Life> {
    let mut chance = Chance::of_seed(seed);
    let requests = family.requests(&mut chance, DAYS);
    live(&requests, family.accounts(), family == Family::Spread, &mut chance)
}

/// Lets accounts live through requests; each request goes to the first account, or to any.
pub(super) fn live(requests: &[Request], count: usize, is_spread: bool, chance: &mut Chance) -> Vec<Life> {
    let all: f64 = requests.iter().map(|request| request.cost).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few weeks")]
    let weekly = all / (DAYS as f64 / 7.0);
    // From a week that is spent on its fifth day to one that never is.
    let scale = weekly * chance.between(0.7, 1.6) / 100.0;
    let mut accounts: Vec<_> = (0..count).map(|_| Account { life: Life::default(), used: [0.0; 2], scale }).collect();
    for request in requests {
        let first = if is_spread { chance.below(2) } else { 0 };
        let _nobody_could = (0..count).any(|turn| accounts[(first + turn) % count].serve(*request));
    }
    accounts.into_iter().map(|account| account.life).collect()
}
