//! How an account is chosen: the six names, and what the predecessors called them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How an account is chosen; the names are those of the setting `schedulingStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A session stays while that is cheaper; a new one goes where its beginning is cached and enough is left.
    #[default]
    Hybrid,
    /// The account in use until it cannot, then the next in the user's order.
    Sequential,
    /// Every request goes to the next account in the user's order.
    RoundRobin,
    /// A session stays while its account can serve; new ones go to the next account, or to the selected one.
    Sticky,
    /// What expires first is used first, in proportion to the size of the plan.
    DrainFirst,
    /// Never moves by itself: the selected account or nobody.
    Manual,
}

impl Strategy {
    /// All of them, the default first.
    pub const ALL: [Self; 6] =
        [Self::Hybrid, Self::Sequential, Self::RoundRobin, Self::Sticky, Self::DrainFirst, Self::Manual];

    /// The name in settings and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Sequential => "sequential",
            Self::RoundRobin => "round_robin",
            Self::Sticky => "sticky",
            Self::DrainFirst => "drain_first",
            Self::Manual => "manual",
        }
    }

    /// One line for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Hybrid => "a session stays while that is cheaper than a move",
            Self::Sequential => "one account until it cannot, then the next",
            Self::RoundRobin => "every request goes to the next account",
            Self::Sticky => "a session stays, new ones go to the next account",
            Self::DrainFirst => "what expires first is used first",
            Self::Manual => "the selected account or nobody",
        }
    }

    /// The strategy that OpenCode's setting `rotationStrategy` names: sticky where nothing is set, and as its users know
    /// it, a name nobody knows goes round.
    pub fn of_opencode(name: Option<&str>) -> Self {
        name.map_or(Self::Sticky, |name| name.parse().unwrap_or(Self::RoundRobin))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A strategy name nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy; known are hybrid, sequential, round_robin, sticky, drain_first and manual")]
pub struct UnknownStrategy;

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    /// Reads a name in any of the spellings in use: `round_robin`, `round-robin`, `roundRobin`, `Round Robin`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
        let is_named = |strategy: &Self| strategy.as_str().replace('_', "") == letters;
        Self::ALL.into_iter().find(is_named).ok_or(UnknownStrategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.as_str().parse(), Ok(strategy));
        }
        for spelling in ["round-robin", "roundRobin", " ROUND_ROBIN "] {
            assert_eq!(spelling.parse(), Ok(Strategy::RoundRobin));
        }
        assert_eq!("magic".parse::<Strategy>(), Err(UnknownStrategy));
        let of_opencode = [None, Some("hybrid"), Some("lottery")].map(Strategy::of_opencode);
        assert_eq!(of_opencode, [Strategy::Sticky, Strategy::Hybrid, Strategy::RoundRobin]);
    }
}
