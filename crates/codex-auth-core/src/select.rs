//! Who should serve, among those who may: one ordering per strategy.

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Headroom, RecordId, Terms, Timestamp};

/// How an account is chosen; the names are those of the setting `schedulingStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A session stays; a new one goes where most is left and least is going on.
    #[default]
    Hybrid,
    /// Pool order: the first account that can serve, until it cannot.
    Sequential,
    /// Never moves by itself: the selected account or nobody.
    Manual,
}

impl Strategy {
    /// The name in settings and on screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Sequential => "sequential",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// A strategy name nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown strategy; known are hybrid, sequential and manual")]
pub struct UnknownStrategy;

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim() {
            "hybrid" => Ok(Self::Hybrid),
            "sequential" => Ok(Self::Sequential),
            "manual" => Ok(Self::Manual),
            _ => Err(UnknownStrategy),
        }
    }
}

/// An account that may serve, with what the orderings look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Its place in the pool.
    pub position: usize,
    /// Requests it is serving now.
    pub in_flight: u32,
    /// What is known of its quota.
    pub headroom: Headroom,
    /// What the user wants of it.
    pub terms: Terms,
    /// When it was last chosen.
    pub last_used_at: Timestamp,
}

/// Why the chosen account was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The user pinned it.
    Pinned,
    /// The session stays where it was.
    SameSession,
    /// It is the first in pool order that can serve.
    FirstInOrder,
    /// It has most quota left and least to do.
    MostHeadroom,
    /// The user selected it and the strategy never moves by itself.
    Selected,
}

impl Reason {
    /// One sentence part for `why-selected` and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned by switch",
            Self::SameSession => "the session stays on its account",
            Self::FirstInOrder => "first account in order that can serve",
            Self::MostHeadroom => "most quota left and least in use",
            Self::Selected => "selected account; the strategy is manual",
        }
    }
}

impl Strategy {
    /// The account that serves whatever the others are like, if it may: the session's own, or the selected one.
    pub fn favourite<'a>(
        self,
        bound: Option<&'a RecordId>,
        active: Option<&'a RecordId>,
    ) -> Option<(&'a RecordId, Reason)> {
        match self {
            Self::Hybrid => Some((bound?, Reason::SameSession)),
            Self::Manual => Some((active?, Reason::Selected)),
            Self::Sequential => None,
        }
    }
}

/// Picks one of the candidates, none of which is the favourite; all of them may serve. `None` when nobody qualifies.
pub fn choose(strategy: Strategy, candidates: impl Iterator<Item = Candidate>) -> Option<(Candidate, Reason)> {
    match strategy {
        Strategy::Sequential => Some((candidates.min_by_key(|candidate| candidate.position)?, Reason::FirstInOrder)),
        Strategy::Manual => None,
        Strategy::Hybrid => Some((candidates.min_by(by_headroom)?, Reason::MostHeadroom)),
    }
}

/// Least busy first, then most left (in steps of ten percent, so that noise does not decide), then longest rested.
fn by_headroom(a: &Candidate, b: &Candidate) -> Ordering {
    let decile = |left: f64| (left / 10.0).ceil();
    a.in_flight
        .cmp(&b.in_flight)
        .then_with(|| decile(b.headroom.left_percent).total_cmp(&decile(a.headroom.left_percent)))
        .then_with(|| a.last_used_at.cmp(&b.last_used_at))
        .then_with(|| a.position.cmp(&b.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(position: usize) -> Candidate {
        Candidate {
            position,
            in_flight: 0,
            headroom: Headroom::UNKNOWN,
            terms: Terms::default(),
            last_used_at: Timestamp::default(),
        }
    }

    #[track_caller]
    fn check(strategy: Strategy, candidates: &[Candidate], expect: Option<(usize, Reason)>) {
        let chosen = choose(strategy, candidates.iter().copied());
        assert_eq!(chosen.map(|(chosen, reason)| (chosen.position, reason)), expect);
    }

    #[track_caller]
    fn check_favourite(strategy: Strategy, expect: Option<(&str, Reason)>) {
        let (bound, active) = ("bound", "active");
        let (bound, active) = (RecordId::parse(bound), RecordId::parse(active));
        let favourite = strategy.favourite(bound.as_ref(), active.as_ref());
        assert_eq!(favourite.map(|(record, reason)| (record.as_str(), reason)), expect);
    }

    #[test]
    fn sequential_takes_the_first() {
        check_favourite(Strategy::Sequential, None);
        check(Strategy::Sequential, &[candidate(2), candidate(1)], Some((1, Reason::FirstInOrder)));
    }

    #[test]
    fn hybrid_keeps_the_session() {
        check_favourite(Strategy::Hybrid, Some(("bound", Reason::SameSession)));
    }

    #[test]
    fn hybrid_prefers_the_idle_then_the_full_then_the_rested() {
        let busy = Candidate { in_flight: 1, ..candidate(0) };
        check(Strategy::Hybrid, &[busy, candidate(1)], Some((1, Reason::MostHeadroom)));
        let drained = Candidate { headroom: Headroom { left_percent: 20.0, ..Headroom::UNKNOWN }, ..candidate(0) };
        check(Strategy::Hybrid, &[drained, candidate(1)], Some((1, Reason::MostHeadroom)));
        let recent = Candidate { last_used_at: Timestamp::from_millis(5), ..candidate(0) };
        check(Strategy::Hybrid, &[recent, candidate(1)], Some((1, Reason::MostHeadroom)));
    }

    #[test]
    fn manual_never_moves() {
        check_favourite(Strategy::Manual, Some(("active", Reason::Selected)));
        check(Strategy::Manual, &[candidate(0)], None);
    }

    #[test]
    fn names_read_back() {
        for strategy in [Strategy::Hybrid, Strategy::Sequential, Strategy::Manual] {
            assert_eq!(strategy.as_str().parse(), Ok(strategy));
        }
        assert_eq!("magic".parse::<Strategy>(), Err(UnknownStrategy));
    }
}
