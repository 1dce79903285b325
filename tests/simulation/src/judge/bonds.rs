//! Which account serves which session, as clients saw it; and what of that the next agent must know.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_core::{RecordId, Timestamp};

/// How long what is remembered may be missing on disk, and a little more.
const LATE: Duration = Duration::from_secs(6);

/// Sessions with the accounts that answered them lately, newest last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bonds {
    sessions: BTreeMap<String, Vec<(RecordId, Timestamp)>>,
    /// The user's decisions that the agent knows of.
    generation: u64,
    /// Until when it lived.
    until: Timestamp,
}

impl Bonds {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// An account began to answer.
    pub(super) fn bind(&mut self, session: &str, record: &RecordId, now: Timestamp) {
        let answered = self.sessions.entry(session.to_owned()).or_default();
        // What was written down since counts for the one after it.
        let last = answered.iter().rposition(|(_, at)| at.after(LATE) < now).unwrap_or(0);
        answered.drain(..last);
        answered.push((record.clone(), now));
    }

    /// The account of a session, and when it last answered.
    pub(super) fn of(&self, session: &str) -> Option<(RecordId, Timestamp)> {
        self.sessions.get(session)?.last().cloned()
    }

    /// A decision of the user ends all of it.
    pub(super) fn decided(&mut self, generation: u64) {
        if generation > self.generation {
            self.sessions.clear();
        }
        self.generation = generation;
    }

    /// The agent is dead.
    #[must_use]
    pub(crate) fn ended(self, until: Timestamp) -> Self {
        Self { until, ..self }
    }

    /// The sessions that were written down for certain, with the accounts that may have been written down for them.
    pub(super) fn must_be_known(
        &self,
        generation: u64,
        now: Timestamp,
        stays: Duration,
    ) -> impl Iterator<Item = (&str, &[(RecordId, Timestamp)])> {
        let is_same = generation == self.generation;
        self.sessions.iter().filter(move |_| is_same).filter_map(move |(session, answered)| {
            let certain = answered.iter().rposition(|(_, at)| at.after(LATE) < self.until)?;
            let may_be = &answered[certain..];
            may_be.iter().all(|(_, at)| now.since(*at) < stays).then_some((session.as_str(), may_be))
        })
    }
}
