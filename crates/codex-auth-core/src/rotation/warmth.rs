//! What accounts' caches hold of prompts that are not a session's own: the beginning that many sessions share; and how
//! many sessions came to an account lately.

use crate::{
    Bond, Prompt, Timestamp,
    cache::{Life, blocks},
};

/// Before anything was learnt: instructions and tools are longer than this in every known client.
const SHARED: u64 = 4096;
const TYPICAL: u64 = 30_000;
/// A new word counts for one in so many.
const SLOWLY: u64 = 8;

/// What this process learnt about prompts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prompts {
    /// How much of a new session's prompt an account in use has in its cache.
    shared: u64,
    /// How long prompts are.
    typical: u64,
}

impl Default for Prompts {
    fn default() -> Self {
        Self { shared: SHARED, typical: TYPICAL }
    }
}

impl Prompts {
    /// An answer told how much of a new session's prompt was cached on an account in use.
    pub(super) fn saw_new(&mut self, cached: u64) {
        self.shared = towards(self.shared, cached);
    }

    /// An answer told the size of a prompt.
    pub(super) fn saw(&mut self, tokens: u64) {
        self.typical = towards(self.typical, tokens);
    }

    /// A request's prompt, as its price is made of.
    pub(super) fn prompt(self, tokens: u64) -> Prompt {
        Prompt { tokens, later_tokens: if tokens == 0 { 0 } else { tokens.max(self.typical) } }
    }

    /// How much of a prompt an account that has no bond with its session is expected to find.
    pub(super) fn shared(self, tokens: u64) -> u64 {
        blocks(self.shared.min(tokens) / 1024 * 1024)
    }

    /// The same, on the account that answers the session's parent: a fork carries the parent's conversation along.
    pub(super) fn of_child(self, tokens: u64, parent: &Bond, now: Timestamp) -> u64 {
        let is_fork = tokens.saturating_mul(8) >= parent.tokens.saturating_mul(7);
        if is_fork { parent.cached(tokens, now).max(self.shared(tokens)) } else { self.shared(tokens) }
    }
}

fn towards(known: u64, told: u64) -> u64 {
    (known * (SLOWLY - 1) + told) / SLOWLY
}

/// Whether an account's cache is warm: with what all prompts begin with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Warmth(Option<Life>);

impl Warmth {
    pub(super) fn is_warm(self, now: Timestamp) -> bool {
        self.0.is_some_and(|life| life.lasts(now))
    }

    /// It begins to answer.
    pub(super) fn used(&mut self, now: Timestamp) {
        self.0 = Some(self.0.map_or(Life::new(now), |life| life.used(now)));
    }

    /// An answer found next to nothing, so the beginning was written with it.
    pub(super) fn was_cold(&mut self) {
        if let Some(life) = &mut self.0 {
            life.since = life.used_at;
        }
    }
}

/// Sessions that came lately; what is fifteen minutes old counts for half.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Crowd {
    sessions: f64,
    at: Timestamp,
}

impl Crowd {
    /// In tenths: a record of decisions grows with every number that changes.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as many sessions as there are")]
    pub(super) fn tenths(self, now: Timestamp) -> u32 {
        if self.sessions > 0.0 { (self.at(now) * 10.0).round() as u32 } else { 0 }
    }

    fn at(self, now: Timestamp) -> f64 {
        const HALF_LIFE: f64 = 15.0 * 60.0;
        self.sessions * (-now.since(self.at).as_secs_f64() / HALF_LIFE).exp2()
    }

    /// One more.
    pub(super) fn with_one(self, now: Timestamp) -> Self {
        Self { sessions: self.at(now) + 1.0, at: now.max(self.at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_long_ago_counts_for_little() {
        let crowd = Crowd::default().with_one(Timestamp::from_secs(1000)).with_one(Timestamp::from_secs(1900));
        assert!((crowd.at(Timestamp::from_secs(1900)) - 1.5).abs() < 1e-9);
        assert!(crowd.at(Timestamp::from_secs(19_000)) < 0.01);
    }
}
