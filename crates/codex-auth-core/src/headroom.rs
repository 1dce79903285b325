//! What the orderings know of an account's quota at one instant, whatever told it.

use crate::Timestamp;

/// How much an account can still give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Headroom {
    /// Percent left in its tightest window; 100 when nothing is known.
    pub left_percent: f64,
    /// Until when a window is spent by measurement; an answer that said so is a rest of the account instead.
    pub spent_until: Option<Timestamp>,
    /// What is lost unless it is used in time: the window that starts anew first.
    pub expiring: Option<Expiring>,
    /// How much the plan gives, as a multiple of the smallest paid one.
    pub plan_size: f64,
    /// How much one of the percent left is, as a multiple of one of a five-hour window.
    pub percent_size: f64,
}

/// A share that is lost at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expiring {
    /// Percent of the window that is left.
    pub left_percent: f64,
    /// When the window starts anew.
    pub at: Timestamp,
}

impl Headroom {
    /// Nothing is known, so nothing speaks against the account.
    pub const UNKNOWN: Self =
        Self { left_percent: 100.0, spent_until: None, expiring: None, plan_size: 1.0, percent_size: 1.0 };

    /// Until when the account has nothing to give, if it has nothing at `now`.
    pub fn spent_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.spent_until.filter(|until| now < *until)
    }
}

impl Default for Headroom {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_window_ends_with_its_reset() {
        let until = Timestamp::from_millis(10);
        let headroom = Headroom { spent_until: Some(until), ..Headroom::UNKNOWN };
        assert_eq!(headroom.spent_at(Timestamp::from_millis(9)), Some(until));
        assert_eq!(headroom.spent_at(until), None);
    }
}
