//! `budget-guards.json`: how many requests, tokens and dollars may be spent in an hour, a day, a week, a month.

use std::collections::BTreeMap;

use codex_auth_core::Timestamp;
use serde_json::{Value, json};

use super::{
    rows::{self, Row},
    usage_ledger::Sums,
    words::{plain_or, slug},
};
use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema, no_object},
};

const TABLE: &str = "limits";
const MAXIMA: [&str; 3] = ["maxRequests", "maxTokens", "maxCostUsd"];

/// All budgets. Broken, they are an error, never an absence of limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetGuards {
    /// By budget key; see [`budget_key`].
    pub limits: BTreeMap<String, BudgetGuard>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetGuard {
    /// Over which calendar window, in UTC, it counts.
    pub window: BudgetWindow,
    /// Most requests.
    pub max_requests: Option<f64>,
    /// Most tokens.
    pub max_tokens: Option<f64>,
    /// Highest estimated cost in dollars.
    pub max_cost_usd: Option<f64>,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// A calendar window in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetWindow {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first of the month.
    Month,
}

impl BudgetGuard {
    /// What of it is used up by these sums, as `requests 10/10`; nothing while it holds.
    pub fn exceeded(&self, spent: &Sums) -> Vec<String> {
        #[expect(clippy::cast_precision_loss, reason = "limits are no exact counts")]
        let values = [
            ("requests", (spent.requests - spent.blocked) as f64, self.max_requests),
            ("tokens", spent.total as f64, self.max_tokens),
            ("costUsd", spent.cost_e8 as f64 / 1e8, self.max_cost_usd),
        ];
        let full = values.into_iter().filter_map(|(name, value, most)| Some((name, value, most?)));
        full.filter(|(_, value, most)| value >= most)
            .map(|(name, value, most)| format!("{name} {value}/{most}"))
            .collect()
    }
}

impl BudgetWindow {
    const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The window of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == word)
    }

    /// When the window that holds at `now` began.
    pub fn begins(self, now: Timestamp) -> Timestamp {
        const HOUR: i64 = 3_600_000;
        const DAY: i64 = 24 * HOUR;
        let floor = |unit: i64| now.as_millis().div_euclid(unit) * unit;
        let today = floor(DAY).div_euclid(DAY);
        Timestamp::from_millis(match self {
            Self::Hour => floor(HOUR),
            Self::Day => floor(DAY),
            // The epoch was a Thursday, three days after a Monday.
            Self::Week => (today - (today + 3).rem_euclid(7)) * DAY,
            Self::Month => (today - i64::from(day_of_month(now)) + 1) * DAY,
        })
    }
}

fn day_of_month(now: Timestamp) -> i8 {
    jiff::Timestamp::from_millisecond(now.as_millis()).map_or(1, |at| at.to_zoned(jiff::tz::TimeZone::UTC).day())
}

/// A budget's key as it is kept: lower case, `[a-z0-9._:-]`, at most 100 letters.
pub fn budget_key(text: &str) -> String {
    slug(text, 100, |letter| plain_or(letter, "._:-"))
}

impl Document for BudgetGuards {
    const NAME: &'static str = "budget-guards.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        Self { limits: rows::decode(object, TABLE) }
    }

    fn encode(&self, object: &mut Object) {
        rows::encode(object, TABLE, &self.limits);
    }

    /// A limit that cannot be read must not be taken for none.
    fn flaw(object: &Object) -> Option<String> {
        let limits = json::object(object, TABLE).into_iter().flatten();
        let broken = |limit: &Value| limit.as_object().is_none_or(|limit| !is_whole(limit));
        let broken = limits.filter(|(_, limit)| broken(limit)).map(|(key, _)| budget_key(key)).next();
        no_object(object, TABLE).or_else(|| broken.map(|key| format!("its limit `{key}` cannot be read")))
    }
}

fn is_whole(limit: &Object) -> bool {
    let is_fine = |key| limit.get(key).is_none_or(Value::is_null) || maximum(limit, key).is_some();
    window(limit).is_some() && MAXIMA.into_iter().all(is_fine)
}

fn window(limit: &Object) -> Option<BudgetWindow> {
    BudgetWindow::parse(json::text(limit, "window")?)
}

fn maximum(limit: &Object, key: &str) -> Option<f64> {
    json::number(limit, key).filter(|most| *most > 0.0)
}

impl Row for BudgetGuard {
    fn key(raw: &str) -> Option<String> {
        Some(budget_key(raw)).filter(|key| !key.is_empty())
    }

    fn decode(row: &Object) -> Option<Self> {
        let [max_requests, max_tokens, max_cost_usd] = MAXIMA.map(|key| maximum(row, key));
        let updated_at = json::millis(row, "updatedAt").unwrap_or_default();
        Some(Self { window: window(row)?, max_requests, max_tokens, max_cost_usd, updated_at })
    }

    fn encode(&self, key: &str, row: &mut Object) {
        json::set(row, "key", Some(json!(key)));
        json::set(row, "window", Some(json!(self.window.as_str())));
        for (key, most) in MAXIMA.into_iter().zip([self.max_requests, self.max_tokens, self.max_cost_usd]) {
            match most {
                Some(most) => json::set_real(row, key, most),
                None => json::set(row, key, None),
            }
        }
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_normalised() {
        for (text, expect) in [("Project:My App", "project:my-app"), ("A/B:c", "a-b:c"), (" global ", "global")] {
            assert_eq!(budget_key(text), expect);
        }
        assert_eq!(budget_key(&"k".repeat(200)).len(), 100);
    }

    #[test]
    fn windows_begin_with_the_calendar() {
        // 2026-09-21 14:13:20 UTC, a Monday.
        let now = Timestamp::from_secs(1_790_000_000);
        let begin = |window: BudgetWindow| window.begins(now).as_millis() / 1000;
        assert_eq!(begin(BudgetWindow::Hour), 1_789_999_200);
        assert_eq!(begin(BudgetWindow::Day), 1_789_948_800);
        assert_eq!(begin(BudgetWindow::Week), 1_789_948_800, "a Monday");
        assert_eq!(begin(BudgetWindow::Month), 1_788_220_800);
    }
}
