//! `budget`: the limits, and how much of one is spent.

use codex_auth_core::{BudgetLimit, Spent, Timestamp};
use serde::Serialize;

use crate::{screen::Screen, wait::left, words::Lines};

/// A limit under its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetRow {
    key: String,
    window: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_requests: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cost_usd: Option<f64>,
    updated_at: i64,
}

impl BudgetRow {
    /// This limit, set at that time.
    pub fn new(key: String, limit: &BudgetLimit, updated_at: Timestamp) -> Self {
        let BudgetLimit { window, max_requests, max_tokens, max_cost_usd } = *limit;
        let window = window.as_str();
        Self { key, window, max_requests, max_tokens, max_cost_usd, updated_at: updated_at.as_millis() }
    }
}

/// How much a limit allows, in words.
pub fn limit_words(limit: &BudgetLimit) -> String {
    let BudgetLimit { window, max_requests, max_tokens, max_cost_usd } = limit;
    let words = [
        max_requests.map(|most| format!("{most} requests")),
        max_tokens.map(|most| format!("{most} tokens")),
        max_cost_usd.map(|most| format!("${most} of estimated cost")),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    format!("{} per {}", words.join(", "), window.as_str())
}

/// `budget list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetList {
    limits: Vec<BudgetRow>,
    #[serde(skip)]
    words: Vec<String>,
}

impl BudgetList {
    /// All limits, by key, with when each was set.
    pub fn new(limits: Vec<(String, BudgetLimit, Timestamp)>) -> Self {
        let words = limits.iter().map(|(key, limit, _)| format!("{key}: {}", limit_words(limit))).collect();
        let limits = limits.into_iter().map(|(key, limit, set)| BudgetRow::new(key, &limit, set)).collect();
        Self { limits, words }
    }
}

impl Screen for BudgetList {
    fn command(&self) -> &'static str {
        "budget list"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.words.is_empty() {
            lines.line("No budget limits configured. `codex-multi-auth budget limit <key>` sets one.");
            return lines.finish();
        }
        for words in &self.words {
            lines.line(words);
        }
        lines.gap().line("`codex-multi-auth budget check <key>` shows what is spent of one.");
        lines.finish()
    }
}

/// `budget check`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetCheck {
    evaluation: Evaluation,
    #[serde(skip)]
    words: String,
    #[serde(skip)]
    now: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    key: String,
    window: &'static str,
    allowed: bool,
    reasons: Vec<String>,
    usage: Usage,
    limits: Limits,
    resets_at: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    requests: u64,
    total_tokens: u64,
    cost_usd: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the predecessor's keys")]
struct Limits {
    max_requests: Option<f64>,
    max_tokens: Option<f64>,
    max_cost_usd: Option<f64>,
}

impl BudgetCheck {
    /// What is spent of a limit at `now`.
    pub fn new(key: String, limit: &BudgetLimit, spent: Spent, now: Timestamp) -> Self {
        let BudgetLimit { window, max_requests, max_tokens, max_cost_usd } = *limit;
        let reasons = limit.reached(spent);
        #[expect(clippy::cast_precision_loss, reason = "a cost of more than 90 million dollars may be rounded")]
        let cost_usd = spent.cost_e8 as f64 / 1e8;
        let evaluation = Evaluation {
            key,
            window: window.as_str(),
            allowed: reasons.is_empty(),
            reasons,
            usage: Usage { requests: spent.requests, total_tokens: spent.tokens, cost_usd },
            limits: Limits { max_requests, max_tokens, max_cost_usd },
            resets_at: window.ends(now).as_millis(),
        };
        Self { evaluation, words: limit_words(limit), now }
    }

    /// Whether a request would be let through.
    pub fn is_allowed(&self) -> bool {
        self.evaluation.allowed
    }
}

impl Screen for BudgetCheck {
    fn command(&self) -> &'static str {
        "budget check"
    }

    fn text(&self, width: usize) -> String {
        let Evaluation { key, window, allowed, reasons, usage, resets_at, .. } = &self.evaluation;
        let mut lines = Lines::new(width);
        let state = if *allowed { "allowed".to_owned() } else { format!("blocked: {}", reasons.join("; ")) };
        lines.line(&format!("Budget {key} ({}): {state}", self.words));
        let ends = left(Timestamp::from_millis(*resets_at), self.now);
        lines.line(&format!(
            "Spent: {} requests, {} tokens, ${:.6} of estimated cost; the {window} ends in {ends}.",
            usage.requests, usage.total_tokens, usage.cost_usd
        ));
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::Window;

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn limit() -> BudgetLimit {
        BudgetLimit { window: Window::Day, max_requests: Some(3.0), max_tokens: None, max_cost_usd: Some(0.5) }
    }

    #[test]
    fn limits_and_what_is_spent_of_them() {
        let list = BudgetList::new(vec![("global".to_owned(), limit(), NOW)]);
        insta::assert_snapshot!("budgets", format!("{}{}", list.text(80), document(&list)));
        let spent = Spent { requests: 4, tokens: 1200, cost_e8: 2_000_000 };
        let check = BudgetCheck::new("global".to_owned(), &limit(), spent, NOW);
        assert!(!check.is_allowed());
        insta::assert_snapshot!("a_budget_checked", format!("{}{}", check.text(80), document(&check)));
        assert!(BudgetCheck::new("global".to_owned(), &limit(), Spent::default(), NOW).is_allowed());
        assert!(BudgetList::new(Vec::new()).text(80).starts_with("No budget limits configured."));
    }
}
