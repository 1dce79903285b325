//! The pool as a whole: when one can work again, and how long all accounts together last.

use codex_auth_core::{Again, PoolRunOut, RecordId, Timestamp};
use serde::Serialize;

use super::window::RunsOut;
use crate::wait::left;

/// When one can work again. Instants are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Next {
    /// `None` where waiting does not help.
    ready_at: Option<i64>,
    /// At the latest; `ready_at` itself where somebody named that end.
    latest_at: Option<i64>,
    wait_ms: Option<i64>,
    /// The account's number, from 1.
    number: Option<usize>,
}

impl Next {
    pub(super) fn new(again: Option<Again>, number: impl Fn(&RecordId) -> Option<usize>, now: Timestamp) -> Self {
        let Some(Again { record, at, latest }) = again else {
            return Self { ready_at: None, latest_at: None, wait_ms: None, number: None };
        };
        Self {
            ready_at: Some(at.as_millis()),
            latest_at: Some(latest.as_millis()),
            wait_ms: Some(i64::try_from(at.since(now).as_millis()).unwrap_or(i64::MAX)),
            number: number(&record),
        }
    }

    /// `Work: again in 59m 0s, on account 1.`
    pub(super) fn words(&self, now: Timestamp) -> String {
        let (Some(at), Some(latest), Some(number)) = (self.ready_at, self.latest_at, self.number) else {
            return "Work: waiting does not help; see the reasons above.".to_owned();
        };
        let (at, latest) = (Timestamp::from_millis(at), Timestamp::from_millis(latest));
        if at <= now {
            format!("Work: now, on account {number}.")
        } else if at == latest {
            format!("Work: again in {}, on account {number}.", left(at, now))
        } else {
            let (at, latest) = (left(at, now), left(latest, now));
            format!("Work: again in {at}, on account {number}; a guess, {latest} at the latest.")
        }
    }
}

/// How long all accounts together last.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Together {
    /// When nobody can serve any more; `None` while nothing is known.
    runs_out: Option<RunsOut>,
    /// How far was looked ahead, in milliseconds since the epoch.
    until: Option<i64>,
}

impl Together {
    pub(super) fn new(told: Option<PoolRunOut>) -> Self {
        Self { runs_out: told.map(|told| told.says.into()), until: told.map(|told| told.until.as_millis()) }
    }

    /// `Pool: spent in 3h 20m (90%: 1h 5m to 9h 0m).` Nothing is said of a pool that is spent: its wait is.
    pub(super) fn words(&self, now: Timestamp) -> Option<String> {
        let span = |at: i64| left(Timestamp::from_millis(at), now);
        let until = span(self.until?);
        let said = match self.runs_out.as_ref()? {
            RunsOut::Spent => return None,
            RunsOut::Lasts { surely } => format!("lasts the next {until} ({:.0}% sure)", surely * 100.0),
            RunsOut::Between { from, likely: Some(likely), to: Some(to) } => {
                format!("spent in {} (90%: {} to {})", span(*likely), span(*from), span(*to))
            }
            RunsOut::Between { from, likely: Some(likely), to: None } => {
                format!("spent in {}, or not in the next {until} (90%: not before {})", span(*likely), span(*from))
            }
            RunsOut::Between { from, likely: None, .. } => {
                format!("rather lasts the next {until} (90%: not spent before {})", span(*from))
            }
        };
        Some(format!("Pool: {said}."))
    }
}
