//! `budget-guards.json`: how many requests, tokens and dollars may be spent in an hour, a day, a week, a month.

use std::collections::BTreeMap;

use codex_auth_core::{BudgetLimit, Timestamp, Window, budget_key};
use serde_json::{Value, json};

use super::rows::{self, Row};
use crate::{
    json::{self, Object},
    rule_files::RuleTable,
    state_file::{Document, Recovery, Schema, no_object},
};

const TABLE: &str = "limits";
const MAXIMA: [&str; 3] = ["maxRequests", "maxTokens", "maxCostUsd"];

/// All budgets. Broken, they are an error, never an absence of limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BudgetGuards {
    /// By budget key.
    pub limits: BTreeMap<String, BudgetGuard>,
}

/// One budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetGuard {
    /// How much, over which window.
    pub limit: BudgetLimit,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl RuleTable for BudgetGuards {
    const TABLE: &'static str = TABLE;
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

fn window(limit: &Object) -> Option<Window> {
    Window::parse(json::text(limit, "window")?)
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
        let limit = BudgetLimit { window: window(row)?, max_requests, max_tokens, max_cost_usd };
        Some(Self { limit, updated_at })
    }

    fn encode(&self, key: &str, row: &mut Object) {
        json::set(row, "key", Some(json!(key)));
        json::set(row, "window", Some(json!(self.limit.window.as_str())));
        let BudgetLimit { max_requests, max_tokens, max_cost_usd, .. } = self.limit;
        for (key, most) in MAXIMA.into_iter().zip([max_requests, max_tokens, max_cost_usd]) {
            match most {
                Some(most) => json::set_real(row, key, most),
                None => json::set(row, key, None),
            }
        }
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}
