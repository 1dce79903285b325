//! What the user set about choosing, and what one process brings to it.

use std::time::Duration;

use crate::{Fallback, Memory, Strategy};

/// How accounts are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The ordering (`schedulingStrategy`).
    pub strategy: Strategy,
    /// Whether processes and sessions begin at different accounts (`pidOffsetEnabled`).
    pub spread: bool,
    /// How long a session stays after a move, whatever that costs (`minRotationIntervalMs`).
    pub settles_for: Duration,
    /// How long sessions are remembered; `None` when they are not (`sessionAffinity`).
    pub memory: Option<Memory>,
    /// What is asked for in place of a model that nobody has (`unsupportedCodexPolicy`).
    pub fallback: Fallback,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            spread: true,
            settles_for: Duration::from_mins(1),
            memory: Some(Memory::default()),
            fallback: Fallback::strict(),
        }
    }
}

impl From<Strategy> for Routing {
    fn from(strategy: Strategy) -> Self {
        Self { strategy, ..Self::default() }
    }
}
