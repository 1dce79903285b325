//! Owns the count of recorded decisions that would have been others. Each is made anew from the state recorded with it;
//! what another choice would have led to afterwards is not known, and not guessed.

use std::collections::BTreeMap;

use super::Recorded;
use crate::{RecordId, Strategy, Timestamp};

/// What is supposed to have been otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supposition {
    /// Another strategy.
    pub strategy: Option<Strategy>,
    /// This account, or nobody.
    pub pin: Option<RecordId>,
    /// Everybody but this account.
    pub without: Option<RecordId>,
}

/// How often somebody was chosen, and would have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Then.
    pub was: u64,
    /// Under the supposition.
    pub would: u64,
}

/// The count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WhatIf {
    supposed: Supposition,
    /// Decisions made anew.
    pub decisions: u64,
    /// Those with another choice.
    pub differ: u64,
    /// By account; nobody stands for a refusal.
    pub served: BTreeMap<Option<RecordId>, Served>,
    /// Requests that were refused and would not have been.
    pub avoided: u64,
    /// Requests that were served and would have been refused.
    pub new_refusals: u64,
    /// Decisions that the log lacks between those it has.
    pub lost: u64,
    /// When the first and the last of them were made.
    pub between: Option<(Timestamp, Timestamp)>,
}

impl WhatIf {
    /// Nothing counted yet.
    pub fn supposing(supposed: Supposition) -> Self {
        Self { supposed, ..Self::default() }
    }

    /// Counts one decision.
    pub fn take(&mut self, recorded: &Recorded<'_>) {
        let (was, would) = (recorded.choice(), recorded.choice_if(&self.supposed));
        let (was, would) = (was.map(|(record, _)| record), would.map(|(record, _)| record));
        self.decisions += 1;
        self.lost += u64::from(recorded.lost());
        self.differ += u64::from(was != would);
        self.avoided += u64::from(was.is_none() && would.is_some());
        self.new_refusals += u64::from(was.is_some() && would.is_none());
        self.served.entry(was.cloned()).or_default().was += 1;
        self.served.entry(would.cloned()).or_default().would += 1;
        let first = self.between.map_or(recorded.at(), |(first, _)| first);
        self.between = Some((first, recorded.at()));
    }
}
