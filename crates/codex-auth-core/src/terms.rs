//! What the user wants of one account, as the evaluator needs it; where it is written down is the store's business.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The terms on which an account serves one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// How large its share of new work is, against a usual 1; 0 to 10, and 0 means only when nobody else can.
    pub weight: f64,
    /// How much the project likes it: 1 with a tag it prefers, less 1 with a tag it avoids.
    pub preference: i32,
    /// Percent of every window that is left alone while another account can serve.
    pub reserve_percent: f64,
    /// Set while the user keeps it out of routing.
    pub hold: Option<Hold>,
}

/// How the user keeps an account out of routing without disabling it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// For a while; sessions it has move at once.
    Paused,
    /// On its way out: it goes on with the sessions it has, and gets no others. sessions it has may stay, new ones go elsewhere.
    Drained,
}

impl Default for Terms {
    fn default() -> Self {
        Self { weight: 1.0, preference: 0, reserve_percent: 0.0, hold: None }
    }
}

/// A request that the user's own rules refuse, whatever account would serve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Denial {
    /// Which kind of rule.
    pub by: DeniedBy,
    /// The rule in words, with its numbers.
    pub reason: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// The kind of rule that refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeniedBy {
    /// A project's list of models.
    Policy,
    /// A limit of requests, tokens or cost in a window.
    Budget,
}

impl DeniedBy {
    /// The code of the answer.
    pub fn code(self) -> &'static str {
        match self {
            Self::Policy => "policy_blocked",
            Self::Budget => "budget_blocked",
        }
    }
}
