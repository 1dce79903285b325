//! `forecast`: how much speaks against each account, how long what is left will last, and when one can work again.

use codex_auth_core::{Again, Decision, PoolRunOut, Prospect, Recommendation, RecordId, SavedPool, Timestamp};
use serde::Serialize;

use self::together::{Next, Together};
use crate::{named::Named, screen::Screen, words::Lines};

mod reasons;
mod rows;
mod together;
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
    /// How long all accounts together last.
    pool: Together,
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

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    recommended_index: Option<usize>,
    recommendation_reason: String,
    considered: Vec<ForecastRow>,
}

impl Forecast {
    /// The forecast of a pool under the evaluator's decision; `known` in pool order, and how long all of them last.
    pub fn new(
        ask: ForecastAsk,
        pool: &SavedPool,
        (decision, prospects): (&Decision, &[Prospect]),
        (known, together): (Vec<AccountForecast>, Option<PoolRunOut>),
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
        let next = Next::new(Again::of(decision, prospects, now), |record| number(Some(record)), now);
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
            pool: Together::new(together),
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
        lines.line(&self.next.words(self.now));
        if let Some(words) = self.pool.words(self.now) {
            lines.line(&words);
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codex_auth_core::{Query, Rest, RestPolicy, RestReason, Rotation, RunOut, Strategy, testing};

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn minutes(minutes: u64) -> Timestamp {
        NOW.after(Duration::from_mins(minutes))
    }

    /// Accounts by what keeps each of them, and how long they last together.
    fn forecast(kept: &[Option<(RestReason, u64)>], says: Option<RunOut>) -> Forecast {
        let mut pool = testing::pool(kept.len());
        for (held, kept) in pool.accounts.iter_mut().zip(kept) {
            let rest = kept.map(|(reason, secs)| Rest::of_account(reason, NOW.after(Duration::from_secs(secs)), NOW));
            held.account.rests.extend(rest);
        }
        let decision =
            Rotation::new(pool.clone(), Strategy::Sequential, RestPolicy::default()).decide(&Query::default(), NOW);
        let look = |(held, standing): (&codex_auth_core::Held, _)| {
            Prospect::of(&held.account, standing, &[], None, (false, NOW))
        };
        let prospects: Vec<_> = pool.accounts.iter().zip(&decision.standings).map(look).collect();
        let known = vec![AccountForecast::default(); kept.len()];
        let ask = ForecastAsk { model: "gpt-5.6-sol".to_owned(), is_live: false, asks_agent: true, explains: false };
        let together = says.map(|says| PoolRunOut { says, until: minutes(1440) });
        Forecast::new(ask, &pool, (&decision, &prospects), (known, together), NOW)
    }

    /// The last lines: when one can work, and for how long.
    fn ends(forecast: &Forecast) -> String {
        let text = forecast.text(200);
        let place = text.find("Work: ").expect("it is always said");
        text[place..].to_owned()
    }

    #[test]
    fn a_pool_says_when_nobody_can_serve_any_more() {
        let between = |likely, to| RunOut::Between { from: minutes(65), likely, to };
        let says = [
            Some(between(Some(minutes(200)), Some(minutes(540)))),
            Some(between(Some(minutes(200)), None)),
            Some(between(None, None)),
            Some(RunOut::Lasts { surely: 0.97 }),
            None,
        ];
        let told: Vec<_> = says.map(|says| ends(&forecast(&[None, None], says))).into();
        insta::assert_snapshot!(told.concat());
    }

    #[test]
    fn a_pool_that_waits_says_when_it_serves_and_how_sure_that_is() {
        let usage = |secs| Some((RestReason::UsageLimit, secs));
        let spent = Some(RunOut::Spent);
        let told: Vec<_> = [
            forecast(&[usage(3540), usage(7200)], spent),
            forecast(&[usage(40), usage(7200)], spent),
            forecast(&[Some((RestReason::Server, 4))], None),
        ]
        .iter()
        .map(ends)
        .collect();
        insta::assert_snapshot!(told.concat());
    }

    #[test]
    fn the_same_as_documents() {
        let says = RunOut::Between { from: minutes(65), likely: Some(minutes(200)), to: None };
        let of = |forecast: &Forecast| {
            let all: serde_json::Value = serde_json::from_str(&document(forecast)).expect("JSON");
            serde_json::json!({ "next": all["next"], "pool": all["pool"], "recommendation": all["recommendation"] })
        };
        let told = [
            of(&forecast(&[None, None], Some(says))),
            of(&forecast(&[Some((RestReason::UsageLimit, 40))], Some(RunOut::Spent))),
            of(&forecast(&[None], None)),
        ];
        insta::assert_snapshot!(serde_json::to_string_pretty(&told).expect("JSON"));
    }
}
