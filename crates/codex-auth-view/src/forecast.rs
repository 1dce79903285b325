//! `forecast`: how much speaks against each account, how long what is left will last, and when one can work again.

use codex_auth_core::{Decision, Prospect, Recommendation, RecordId, SavedPool, Timestamp};
use serde::Serialize;

use crate::{named::Named, screen::Screen, wait::left, words::Lines};

mod reasons;
mod rows;
mod window;

pub use reasons::{masked, recommendation_text};
pub use rows::{ForecastRow, LiveQuota, RefreshFailure};
pub use window::{RunsOut, WindowForecast};

/// How the forecast was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastAsk {
    /// For which model, as it was typed.
    pub model: String,
    /// Whether the backend was asked just now.
    pub is_live: bool,
    /// Whether a running agent may decide.
    pub asks_agent: bool,
    /// Whether the reasons are told once more, account by account.
    pub explains: bool,
}

/// What is known of one account beside the evaluator's word.
#[derive(Debug, Clone, Default)]
pub struct AccountForecast {
    /// How long its windows last.
    pub windows: Vec<WindowForecast>,
    /// What the backend said just now.
    pub live: Option<LiveQuota>,
    /// Why it could not be asked.
    pub failure: Option<RefreshFailure>,
}

/// The forecast of a pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    #[serde(skip)]
    now: Timestamp,
    model: String,
    live_probe: bool,
    runtime_overlay: bool,
    summary: Summary,
    recommendation: Recommended,
    /// When one can work again, and on which account.
    next: Next,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    probe_errors: Vec<String>,
    accounts: Vec<ForecastRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    total: usize,
    ready: usize,
    delayed: usize,
    unavailable: usize,
    high_risk: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Recommended {
    #[serde(rename = "recommendedIndex")]
    index: Option<usize>,
    #[serde(rename = "recommendedNumber")]
    number: Option<usize>,
    reason: String,
}

/// When one can work again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    /// In milliseconds since the epoch; `None` where waiting does not help.
    ready_at: Option<i64>,
    wait_ms: Option<i64>,
    /// The account's number, from 1.
    number: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    recommended_index: Option<usize>,
    recommendation_reason: String,
    considered: Vec<ForecastRow>,
}

impl Forecast {
    /// The forecast of a pool under the evaluator's decision; `known` in pool order.
    pub fn new(
        ask: ForecastAsk,
        pool: &SavedPool,
        (decision, prospects): (&Decision, &[Prospect]),
        known: Vec<AccountForecast>,
        now: Timestamp,
    ) -> Self {
        let recommendation = Recommendation::of(decision, prospects);
        let number = |record: Option<&RecordId>| record.and_then(|record| pool.number_of(record));
        let recommended = number(recommendation.record());
        let reason = recommendation_text(&recommendation, prospects, now);
        let rows: Vec<_> = pool
            .accounts
            .iter()
            .enumerate()
            .zip(prospects)
            .zip(known)
            .map(|(((index, held), prospect), known)| {
                let is_current = pool.active.as_ref() == Some(&held.account.record);
                let named = Named::at(index, &held.account);
                ForecastRow::new(named, prospect, known, (is_current, recommended == Some(index + 1)), now)
            })
            .collect();
        let count = |word: &str| rows.iter().filter(|row| row.availability == word).count();
        let summary = Summary {
            total: rows.len(),
            ready: count("ready"),
            delayed: count("delayed"),
            unavailable: count("unavailable"),
            high_risk: rows.iter().filter(|row| row.risk_level == "high").count(),
        };
        let waits = decision.standings.iter().filter_map(|standing| Some((standing.ready_at()?, &standing.record)));
        let next = match &decision.choice {
            Some((record, _)) => Some((now, record)),
            None => waits.min(),
        };
        let next = (next.map(|(at, _)| at), next.and_then(|(_, record)| number(Some(record))));
        let millis = |at: Timestamp| i64::try_from(at.since(now).as_millis()).unwrap_or(i64::MAX);
        let next = Next { ready_at: next.0.map(Timestamp::as_millis), wait_ms: next.0.map(millis), number: next.1 };
        let index = recommended.map(|number| number - 1);
        let explanation = ask.explains.then(|| Explanation {
            recommended_index: index,
            recommendation_reason: reason.clone(),
            considered: rows.clone(),
        });
        let probe_errors = rows.iter().filter_map(ForecastRow::probe_error).collect();
        Self {
            now,
            model: ask.model,
            live_probe: ask.is_live,
            runtime_overlay: ask.asks_agent,
            summary,
            recommendation: Recommended { index, number: recommended, reason },
            next,
            explanation,
            probe_errors,
            accounts: rows,
        }
    }

    fn end(&self, lines: &mut Lines) {
        let Recommended { index, reason, .. } = &self.recommendation;
        let chosen = index.and_then(|index| self.accounts.get(index));
        lines.gap();
        match chosen {
            Some(row) => {
                let number = row.number;
                lines.line(&format!("Best next account: {number} ({})", row.label));
                lines.line(&format!("Why: {reason}"));
                if row.is_current {
                    lines.line("Note: it is the current account.");
                } else {
                    lines.whole(&format!("Switch now with: codex-multi-auth switch {number}"));
                }
            }
            None => {
                lines.line(&format!("Note: {reason}"));
            }
        }
        let Next { ready_at, number, .. } = &self.next;
        match (ready_at.map(Timestamp::from_millis), number) {
            (Some(at), Some(number)) if at <= self.now => lines.line(&format!("Work: now, on account {number}.")),
            (Some(at), Some(number)) => {
                lines.line(&format!("Work: again in {}, on account {number}.", left(at, self.now)))
            }
            (_, _) => lines.line("Work: waiting does not help; see the reasons above."),
        };
    }
}

impl Screen for Forecast {
    fn command(&self) -> &'static str {
        "forecast"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.accounts.is_empty() {
            lines.line("No accounts configured.");
            return lines.finish();
        }
        let live = if self.live_probe { "on" } else { "off" };
        let Summary { total, ready, delayed, unavailable, high_risk } = self.summary;
        lines.line(&format!("Best-account preview ({total} account(s), model {}, live check {live})", self.model));
        lines.line(&format!(
            "Result: {ready} ready now | {delayed} waiting | {unavailable} unavailable | {high_risk} high risk"
        ));
        lines.gap();
        for row in &self.accounts {
            row.write(&mut lines, self.now);
        }
        self.end(&mut lines);
        if let Some(Explanation { recommendation_reason, considered, .. }) = &self.explanation {
            lines.gap().line(&format!("Explain: {recommendation_reason}"));
            for row in considered {
                lines.line(&row.bullet());
            }
        }
        notes(&mut lines, &self.probe_errors);
        lines.finish()
    }
}

/// What could not be asked, as `forecast` and `best` say it.
pub(crate) fn notes(lines: &mut Lines, errors: &[String]) {
    if !errors.is_empty() {
        lines.gap().line(&format!("Live check notes ({}):", errors.len()));
        for error in errors {
            lines.hang(4, &format!("  - {error}"));
        }
    }
}
