//! What the forecaster must beat: predictors that know a pace and nothing of chance.

use super::{
    families::HOUR,
    judge::{Forecaster, Says},
    world::{LENGTHS, Told},
};

/// The pace since the window began holds on.
#[derive(Debug, Default)]
pub(super) struct ConstantRate {
    last: [Option<Told>; 2],
}

/// The pace of late holds on: older hours count half as much each.
#[derive(Debug, Default)]
pub(super) struct Smoothed {
    last: [Option<Told>; 2],
    /// Percent a millisecond, and since when.
    pace: [(f64, i64); 2],
}

#[expect(clippy::cast_precision_loss, reason = "a few weeks")]
fn span(millis: i64) -> f64 {
    millis as f64
}

/// Whether a window that was told so serves at an instant under a pace.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn serves(told: Option<Told>, pace: f64, at: i64, now: i64) -> bool {
    let Some(told) = told else { return true };
    let (mut full_at, mut resets_at) = (told.at + ((100.0 - told.used) / pace.max(1e-12)) as i64, told.resets_at);
    if resets_at <= now {
        (full_at, resets_at) = (now + (100.0 / pace.max(1e-12)) as i64, now + LENGTHS[told.window]);
    }
    while resets_at <= at {
        full_at = resets_at + (100.0 / pace.max(1e-12)) as i64;
        resets_at += LENGTHS[told.window];
    }
    at < full_at
}

impl ConstantRate {
    fn pace(told: Option<Told>) -> f64 {
        told.map_or(0.0, |told| told.used / span((told.at - (told.resets_at - LENGTHS[told.window])).max(60_000)))
    }
}

impl Forecaster for ConstantRate {
    fn saw(&mut self, told: Told) {
        self.last[told.window] = Some(told);
    }

    fn runs_out(&mut self, _window: usize, _now: i64) -> Says {
        Says::Nothing
    }

    fn usable(&mut self, at: i64, now: i64) -> f64 {
        let all = self.last.iter().all(|told| serves(*told, Self::pace(*told), at, now));
        f64::from(u8::from(all))
    }
}

impl Forecaster for Smoothed {
    fn saw(&mut self, told: Told) {
        let before = self.last[told.window].filter(|last| last.resets_at == told.resets_at);
        let rise = told.used - before.map_or(0.0, |last| last.used);
        let (pace, since) = self.pace[told.window];
        let kept = 0.5_f64.powf(span(told.at - since) / span(HOUR));
        // The mean of a pace that forgets by half each hour.
        self.pace[told.window] = (pace * kept + rise * std::f64::consts::LN_2 / span(HOUR), told.at);
        self.last[told.window] = Some(told);
    }

    fn runs_out(&mut self, _window: usize, _now: i64) -> Says {
        Says::Nothing
    }

    fn usable(&mut self, at: i64, now: i64) -> f64 {
        let pace = |window: usize| {
            let (pace, since) = self.pace[window];
            pace * 0.5_f64.powf(span(now - since) / span(HOUR))
        };
        let all = self.last.iter().enumerate().all(|(window, told)| serves(*told, pace(window), at, now));
        f64::from(u8::from(all))
    }
}
