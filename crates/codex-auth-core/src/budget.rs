//! Budgets: how much may be spent in a calendar window, what was spent, and room that is reserved before it is used.
//!
//! What counts as spent is decided here once: a request that was answered, and one its client gave up, is a request; one
//! that failed or that a rule refused is none. Tokens and cost count wherever they were told.

mod limit;
mod meter;
mod window;

pub use limit::{Budget, BudgetLimit};
pub use meter::{Meter, Reservation};
pub use window::Window;

use crate::Timestamp;

/// An amount of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Requests.
    pub requests: u64,
    /// Tokens, each counted once.
    pub tokens: u64,
    /// Estimated cost in 10⁻⁸ dollars.
    pub cost_e8: u64,
}

/// Use at an instant, by a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpentAt {
    /// When it ended.
    pub at: Timestamp,
    /// Where, if known.
    pub project: Option<String>,
    /// How much.
    pub spent: Spent,
}

impl Spent {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            cost_e8: self.cost_e8.saturating_add(other.cost_e8),
        }
    }

    /// What is left when the other is taken away.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            cost_e8: self.cost_e8.saturating_sub(other.cost_e8),
        }
    }
}
