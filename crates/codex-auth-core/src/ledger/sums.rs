//! Sums over requests, by hour and by what they have in common. A roll-up is only a faster way to the same sums.

use std::collections::BTreeMap;

use crate::{Day, Timestamp};

use super::UsageOutcome;

const HOUR_MS: i64 = 3_600_000;

/// What requests have in common that are summed together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The model.
    pub model: Option<String>,
    /// The account, by hash.
    pub account: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// How they ended.
    pub outcome: UsageOutcome,
}

/// One request as it is summed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it ended.
    pub at: Timestamp,
    /// What it has in common with others.
    pub cell: Cell,
    /// It alone, summed.
    pub sums: Sums,
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many, blocked ones included.
    pub requests: u64,
    /// Of these, how many a rule of ours refused.
    pub blocked: u64,
    /// Of these, how many ended well.
    pub successes: u64,
    /// Of these, how many did not.
    pub failures: u64,
    /// Of these, how many the client gave up.
    pub cancelled: u64,
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from a cache.
    pub cached_input: u64,
    /// Tokens of reasoning, part of those written.
    pub reasoning: u64,
    /// Tokens in all.
    pub total: u64,
    /// Estimated cost in 10⁻⁸ dollars.
    pub cost_e8: u64,
}

/// What a summary is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageGroup {
    /// The model.
    Model,
    /// The account, by hash.
    Account,
    /// The project.
    Project,
    /// How it ended.
    Outcome,
    /// The day in UTC.
    Day,
}

impl Sums {
    /// Requests of one outcome with these numbers: requests, tokens read, written, cached, of reasoning, in all, cost.
    pub fn of([requests, input, output, cached_input, reasoning, total, cost_e8]: [u64; 7], how: UsageOutcome) -> Self {
        let sums = Self { requests, input, output, cached_input, reasoning, total, cost_e8, ..Self::default() };
        match how {
            UsageOutcome::Success => Self { successes: requests, ..sums },
            UsageOutcome::Failure => Self { failures: requests, ..sums },
            UsageOutcome::Blocked => Self { blocked: requests, ..sums },
            UsageOutcome::Cancelled => Self { cancelled: requests, ..sums },
        }
    }

    /// The numbers, in the order of [`Sums::of`].
    pub fn numbers(&self) -> [u64; 7] {
        [self.requests, self.input, self.output, self.cached_input, self.reasoning, self.total, self.cost_e8]
    }

    /// Requests that somebody was asked for: what a rule of ours refused was not spent.
    pub fn spent_requests(&self) -> u64 {
        self.requests.saturating_sub(self.blocked)
    }

    /// Adds other requests.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.blocked, other.blocked),
            (&mut self.successes, other.successes),
            (&mut self.failures, other.failures),
            (&mut self.cancelled, other.cancelled),
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cached_input, other.cached_input),
            (&mut self.reasoning, other.reasoning),
            (&mut self.total, other.total),
            (&mut self.cost_e8, other.cost_e8),
        ];
        for (mine, theirs) in pairs {
            *mine = mine.saturating_add(theirs);
        }
    }
}

impl UsageGroup {
    /// Every group.
    pub const ALL: [Self; 5] = [Self::Model, Self::Account, Self::Project, Self::Outcome, Self::Day];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Account => "account",
            Self::Project => "project",
            Self::Outcome => "outcome",
            Self::Day => "day",
        }
    }

    /// The name under which a request is summed.
    fn name(self, cell: &Cell, at: Timestamp) -> String {
        match self {
            Self::Model => cell.model.clone().unwrap_or_else(|| "unknown".to_owned()),
            Self::Account => cell.account.clone().unwrap_or_else(|| "unknown".to_owned()),
            Self::Project => cell.project.clone().unwrap_or_else(|| "global".to_owned()),
            Self::Outcome => cell.outcome.as_str().to_owned(),
            Self::Day => Day::of(at).to_string(),
        }
    }
}

/// Requests summed one by one, by group. What every faster way has to come to.
pub fn summed<'e>(entries: impl IntoIterator<Item = &'e Entry>, group: UsageGroup) -> BTreeMap<String, Sums> {
    let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
    for Entry { at, cell, sums } in entries {
        groups.entry(group.name(cell, *at)).or_default().add(sums);
    }
    groups
}

/// Requests summed by hour. Two roll-ups add up, so that only what is new need be counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollup {
    hours: BTreeMap<i64, BTreeMap<Cell, Sums>>,
}

impl Rollup {
    /// Counts one request.
    pub fn count(&mut self, entry: Entry) {
        self.add(hour_of(entry.at), entry.cell, &entry.sums);
    }

    /// Adds what was summed before for an hour, counted from the epoch.
    pub fn add(&mut self, hour: i64, cell: Cell, sums: &Sums) {
        self.hours.entry(hour).or_default().entry(cell).or_default().add(sums);
    }

    /// What is summed, hour by hour.
    pub fn hours(&self) -> impl Iterator<Item = (i64, &BTreeMap<Cell, Sums>)> {
        self.hours.iter().map(|(hour, cells)| (*hour, cells))
    }

    /// What is summed from the hour of `since` on, by the instant at which each hour begins.
    pub fn from(&self, since: Timestamp) -> impl Iterator<Item = (Timestamp, &BTreeMap<Cell, Sums>)> {
        let hours = self.hours.range(hour_of(since)..);
        hours.map(|(hour, cells)| (Timestamp::from_millis(hour.saturating_mul(HOUR_MS)), cells))
    }

    /// Everything from the hour of `since` on; of one project, where named. What budgets ask for.
    pub fn since(&self, since: Timestamp, project: Option<&str>) -> Sums {
        let mut sums = Sums::default();
        for (cell, part) in self.hours.range(hour_of(since)..).flat_map(|(_, cells)| cells) {
            if project.is_none() || cell.project.as_deref() == project {
                sums.add(part);
            }
        }
        sums
    }

    /// Sums by group over the hours of both instants and those between.
    pub fn by(&self, group: UsageGroup, since: Timestamp, until: Timestamp) -> BTreeMap<String, Sums> {
        let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
        for (hour, cells) in self.hours.range(hour_of(since)..=hour_of(until).max(hour_of(since))) {
            let at = Timestamp::from_millis(hour.saturating_mul(HOUR_MS));
            for (cell, part) in cells {
                groups.entry(group.name(cell, at)).or_default().add(part);
            }
        }
        groups
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS)
}
