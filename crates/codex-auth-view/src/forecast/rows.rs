//! One account of a forecast.

use codex_auth_core::{Prospect, Timestamp};
use serde::Serialize;

use super::{
    AccountForecast,
    reasons::{availability, level, masked, words},
    window::WindowForecast,
};
use crate::{check::QuotaView, named::Named, wait::left, words::Lines};

/// What the backend said just now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveQuota {
    /// HTTP status.
    pub status: u16,
    /// Plan as the backend spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_type: Option<String>,
    /// The model asked for; none was asked.
    pub model: String,
    /// What is left, in short.
    pub summary: String,
    /// The windows.
    #[serde(flatten)]
    pub quota: Option<QuotaView>,
}

/// Why an account could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshFailure {
    /// `failed`, the predecessor's only word.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// `hard` where only a new sign-in helps.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastRow {
    pub(super) index: usize,
    pub(super) number: usize,
    record_id: String,
    pub(super) label: String,
    pub(super) is_current: bool,
    selected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_reason: Option<String>,
    pub(super) availability: &'static str,
    risk_score: u8,
    pub(super) risk_level: &'static str,
    wait_ms: i64,
    reasons: Vec<String>,
    windows: Vec<WindowForecast>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_quota: Option<LiveQuota>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_failure: Option<RefreshFailure>,
}

impl ForecastRow {
    pub(super) fn new(
        named: Named,
        prospect: &Prospect,
        known: AccountForecast,
        (is_current, selected): (bool, bool),
        now: Timestamp,
    ) -> Self {
        let reasons: Vec<_> = prospect.concerns.iter().flat_map(|concern| words(concern, now)).collect();
        let wait = prospect.ready_at.map_or(0, |at| i64::try_from(at.since(now).as_millis()).unwrap_or(i64::MAX));
        Self {
            index: named.index,
            number: named.number,
            record_id: named.record_id,
            label: masked(&named.label),
            is_current,
            selected,
            primary_reason: reasons.first().cloned(),
            availability: availability(prospect.availability),
            risk_score: prospect.risk,
            risk_level: level(prospect.level()),
            wait_ms: wait,
            reasons,
            windows: known.windows,
            live_quota: known.live,
            refresh_failure: known.failure,
        }
    }

    pub(super) fn probe_error(&self) -> Option<String> {
        let failure = self.refresh_failure.as_ref()?;
        Some(format!("{}: {}", self.label, failure.message))
    }

    pub(super) fn write(&self, lines: &mut Lines, now: Timestamp) {
        let Self { number, label, availability, risk_level, risk_score, .. } = self;
        let current = if self.is_current { " [current]" } else { "" };
        let waits = (self.wait_ms > 0).then(|| {
            let until = Timestamp::from_millis(now.as_millis().saturating_add(self.wait_ms));
            format!(" | wait {}", left(until, now))
        });
        let waits = waits.unwrap_or_default();
        lines
            .hang(3, &format!("{number}. {label}{current} | {availability} | {risk_level} risk ({risk_score}){waits}"));
        if !self.reasons.is_empty() {
            let told: Vec<_> = self.reasons.iter().take(3).cloned().collect();
            lines.hang(3, &format!("   {}", told.join("; ")));
        }
        for window in &self.windows {
            lines.hang(5, &format!("   {}", window.words(now)));
        }
        if let Some(live) = &self.live_quota {
            lines.hang(5, &format!("   quota: {}", live.summary));
        }
    }

    pub(super) fn bullet(&self) -> String {
        let Self { number, label, availability, risk_level, risk_score, reasons, .. } = self;
        let mark = if self.selected { '*' } else { '-' };
        let told = if reasons.is_empty() { "nothing speaks against it".to_owned() } else { reasons.join("; ") };
        format!("{mark} {number}. {label}: {availability}, {risk_level} risk ({risk_score}); {told}")
    }
}
