//! A limit, whose use it counts, and in which words it refuses.

use super::{Spent, Window};
use crate::{Denial, DeniedBy, Timestamp};

/// How much may be spent in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BudgetLimit {
    /// Over which calendar window it counts.
    pub window: Window,
    /// Most requests.
    pub max_requests: Option<f64>,
    /// Most tokens.
    pub max_tokens: Option<f64>,
    /// Highest estimated cost in dollars.
    pub max_cost_usd: Option<f64>,
}

/// A limit under its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Normalised; see [`budget_key`](crate::budget_key).
    pub key: String,
    /// How much.
    pub limit: BudgetLimit,
    /// The projects whose use counts; all use where it is `None`.
    pub projects: Option<Vec<String>>,
}

impl BudgetLimit {
    /// Which of its maxima these sums have reached, in the predecessor's words; nothing while there is room.
    pub fn reached(&self, spent: Spent) -> Vec<String> {
        #[expect(clippy::cast_precision_loss, reason = "limits are no exact counts")]
        let [tokens, cost] = [spent.tokens as f64, spent.cost_e8 as f64 / 1e8];
        #[expect(clippy::cast_precision_loss, reason = "limits are no exact counts")]
        let requests = spent.requests as f64;
        let counted = |name: &str, value: f64, most: Option<f64>| {
            most.filter(|most| value >= *most).map(|most| format!("{name} limit reached ({value}/{most})"))
        };
        let priced = self.max_cost_usd.filter(|most| cost >= *most);
        let priced = priced.map(|most| format!("cost limit reached ({cost:.6}/{most:.6})"));
        let all = [counted("request", requests, self.max_requests), counted("token", tokens, self.max_tokens), priced];
        all.into_iter().flatten().collect()
    }
}

impl Budget {
    /// Why a request is refused after so much was spent and reserved; `None` while there is room.
    pub fn refuses(&self, spent: Spent, now: Timestamp) -> Option<Denial> {
        let reached = self.limit.reached(spent);
        let reason = format!("budget {} blocked request: {}", self.key, reached.join("; "));
        let until = Some(self.limit.window.ends(now));
        (!reached.is_empty()).then_some(Denial { by: DeniedBy::Budget, reason, until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: BudgetLimit, (requests, tokens, cost_e8): (u64, u64, u64), expect: &[&str]) {
        assert_eq!(limit.reached(Spent { requests, tokens, cost_e8 }), expect);
    }

    #[test]
    fn a_reached_limit_says_both_numbers() {
        let none = BudgetLimit { window: Window::Day, max_requests: None, max_tokens: None, max_cost_usd: None };
        check(none, (9, 9, 9), &[]);
        let requests = BudgetLimit { max_requests: Some(3.0), ..none };
        check(requests, (2, 0, 0), &[]);
        check(requests, (3, 0, 0), &["request limit reached (3/3)"]);
        let all = BudgetLimit { max_tokens: Some(1000.0), max_cost_usd: Some(0.01), ..requests };
        let every = ["request limit reached (4/3)", "token limit reached (1000/1000)"];
        check(all, (4, 1000, 2_000_000), &[every[0], every[1], "cost limit reached (0.020000/0.010000)"]);
    }
}
