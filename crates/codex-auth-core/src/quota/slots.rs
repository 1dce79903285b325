//! A quota as the predecessors' formats and the screens know it: a first and a second window of the account.

use crate::{
    Timestamp,
    quota::{Limit, Quota, Reading, Report, Source, Span},
};

/// One quota window of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaWindow {
    /// Share used, in percent; 100 or more means exhausted.
    pub used_percent: f64,
    /// Length of the window in minutes, where told.
    pub window_minutes: Option<u64>,
    /// When the window starts anew, where told.
    pub resets_at: Option<Timestamp>,
}

/// The windows of an account as of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaSnapshot {
    /// The shortest window (five hours for most plans).
    pub primary: Option<QuotaWindow>,
    /// The longest other window (a week for most plans).
    pub secondary: Option<QuotaWindow>,
    /// When the answer came.
    pub seen_at: Timestamp,
}

impl QuotaWindow {
    /// Whether the window is spent at `now`.
    pub fn is_exhausted(&self, now: Timestamp) -> bool {
        self.used_percent >= 100.0 && self.resets_at.is_none_or(|reset| now < reset)
    }

    /// Percent left at `now`; a window past its reset is full again.
    pub fn left_percent(&self, now: Timestamp) -> f64 {
        if self.resets_at.is_some_and(|reset| reset <= now) {
            return 100.0;
        }
        (100.0 - self.used_percent).clamp(0.0, 100.0)
    }
}

impl QuotaSnapshot {
    /// Percent left in the tightest window.
    pub fn left_percent(&self, now: Timestamp) -> f64 {
        self.windows().map(|window| window.left_percent(now)).fold(100.0, f64::min)
    }

    fn windows(&self) -> impl Iterator<Item = &QuotaWindow> {
        self.primary.iter().chain(self.secondary.iter())
    }

    /// The same as a report, told by this source.
    pub fn report(&self, source: Source, plan: Option<&str>) -> Report {
        let mut report = Report { plan: plan.and_then(super::report::plan_of), ..Report::at(self.seen_at) };
        for (place, window) in [(0, self.primary), (1, self.secondary)] {
            let Some(QuotaWindow { used_percent, window_minutes, resets_at }) = window else { continue };
            let reading = Reading { used_percent, resets_at, window_minutes, seen_at: self.seen_at, source };
            report.windows.push((Limit::Account, Span::of_minutes(window_minutes, place), reading));
        }
        report
    }
}

impl Quota {
    /// The account's own windows as they stand, the shortest first; `None` when none is known.
    pub fn snapshot(&self, now: Timestamp) -> Option<QuotaSnapshot> {
        let mut own: Vec<_> = self.windows(now).filter(|state| *state.limit == Limit::Account).collect();
        own.sort_by_key(|state| state.span.length().unwrap_or_default());
        let (first, rest) = own.split_first()?;
        let slot = |reading: Reading| {
            let Reading { used_percent, window_minutes, resets_at, .. } = reading;
            QuotaWindow { used_percent, window_minutes, resets_at }
        };
        let seen_at = own.iter().map(|state| state.reading.seen_at).max()?;
        Some(QuotaSnapshot {
            primary: Some(slot(first.reading)),
            secondary: rest.last().map(|state| slot(state.reading)),
            seen_at,
        })
    }
}
