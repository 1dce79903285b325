//! What one answer, document or event tells of a quota, before it is merged with what is known.

use std::time::Duration;

use crate::{
    LONGEST_REST, Timestamp,
    quota::{Credits, Limit, Reading, Source, Span},
    wait::epoch,
};

/// All that one source told at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When.
    pub seen_at: Timestamp,
    /// Windows that were told.
    pub windows: Vec<(Limit, Span, Reading)>,
    /// Display names of limits.
    pub names: Vec<(Limit, String)>,
    /// What may be used beyond the windows.
    pub credits: Option<Credits>,
    /// The plan, as the backend spells it.
    pub plan: Option<String>,
    /// The limit that a refusal was about.
    pub active: Option<Limit>,
}

/// One window as a source tells it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) used_percent: Option<f64>,
    pub(super) minutes: Option<u64>,
    /// Epoch seconds or milliseconds.
    pub(super) reset_at: Option<i64>,
    pub(super) reset_after: Option<Duration>,
}

/// What a refusal for a spent quota says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refused<'a> {
    /// When the quota starts anew, as the refusal names it.
    pub until: Option<Timestamp>,
    /// `error.limit_window_minutes`.
    pub window_minutes: Option<u64>,
    /// `error.plan_type`.
    pub plan: Option<&'a str>,
    /// Header `x-codex-active-limit`.
    pub active_limit: Option<&'a str>,
}

impl Report {
    /// An empty one.
    pub fn at(seen_at: Timestamp) -> Self {
        Self { seen_at, windows: Vec::new(), names: Vec::new(), credits: None, plan: None, active: None }
    }

    /// What a refusal tells of the window that is spent. Without an end there is nothing that a rest does not say better.
    pub fn of_refusal(refused: Refused<'_>, seen_at: Timestamp) -> Option<Self> {
        let resets_at = Some(within(refused.until?, seen_at));
        let limit = refused.active_limit.map_or(Limit::Account, Limit::of_id);
        let window_minutes = refused.window_minutes.filter(|minutes| *minutes > 0);
        // Which window it was is told by its length only; without one nothing can be said of any.
        let span = Span::of_minutes(Some(window_minutes?), 0);
        let reading = Reading { used_percent: 100.0, resets_at, window_minutes, seen_at, source: Source::ErrorBody };
        let plan = refused.plan.and_then(plan_of);
        Some(Self { windows: vec![(limit.clone(), span, reading)], plan, active: Some(limit), ..Self::at(seen_at) })
    }

    /// When the last spent window of a limit starts anew; windows that are not spent do not matter.
    pub fn spent_until(&self, limit: &Limit) -> Option<Timestamp> {
        let spent = self.windows.iter().filter(|(known, _, reading)| known == limit && reading.is_spent());
        spent.filter_map(|(_, _, reading)| reading.resets_at).max()
    }

    /// Adds a window, if it tells anything.
    pub(super) fn add(&mut self, limit: &Limit, place: u8, told: Told, source: Source) {
        let Some(used) = told.used_percent.filter(|used| used.is_finite() && *used >= 0.0) else { return };
        let after = told.reset_after.filter(|after| !after.is_zero()).map(|after| self.seen_at.after(after));
        let at = told.reset_at.and_then(|at| epoch(&at.to_string()));
        let resets_at = after.or(at).map(|at| within(at, self.seen_at));
        let window_minutes = told.minutes.filter(|minutes| *minutes > 0);
        let span = Span::of_minutes(window_minutes, place);
        let seen_at = self.seen_at;
        let reading = Reading { used_percent: used.min(1000.0), resets_at, window_minutes, seen_at, source };
        self.windows.push((limit.clone(), span, reading));
    }

    /// The report, if it tells anything.
    pub(super) fn telling(self) -> Option<Self> {
        let tells = !self.windows.is_empty() || self.credits.is_some() || self.plan.is_some() || self.active.is_some();
        tells.then_some(self)
    }
}

/// An end that is further away than any window lasts is a wild number.
fn within(at: Timestamp, now: Timestamp) -> Timestamp {
    at.min(now.after(LONGEST_REST))
}

/// A plan's name, in the one spelling.
pub(super) fn plan_of(text: &str) -> Option<String> {
    let plan = text.trim().to_ascii_lowercase();
    (!plan.is_empty() && plan != "unknown" && plan.len() <= 64).then_some(plan)
}
