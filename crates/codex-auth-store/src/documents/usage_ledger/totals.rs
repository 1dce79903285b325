//! `usage/usage-totals.json`: the ledger summed by hour, with how far it has been read, so that nothing is read twice.

use std::collections::BTreeMap;

use codex_auth_core::{Spent, SpentAt, Timestamp};
use serde_json::{Value, json};

use super::row::{AccountMark, UsageOutcome, UsageRow};
use crate::{
    hash::sha256_hex,
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
const SUMS: [&str; 7] =
    ["requests", "inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens", "totalTokens", "costE8"];

/// The ledger in sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageTotals {
    pub(super) current: Covered,
    /// Archives and how long each was.
    pub(super) archives: BTreeMap<String, u64>,
    hours: BTreeMap<i64, BTreeMap<Cell, Sums>>,
}

/// How far the current file has been read, and the last line there, which tells whether it is still the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) bytes: u64,
    pub(super) tail_length: u64,
    pub(super) tail_hash: String,
}

/// What requests have in common that are summed together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    model: Option<String>,
    account: Option<String>,
    project: Option<String>,
    outcome: UsageOutcome,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    fn add(&mut self, other: &Self) {
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

    fn numbers(&self) -> [u64; 7] {
        [self.requests, self.input, self.output, self.cached_input, self.reasoning, self.total, self.cost_e8]
    }

    fn of(numbers: [u64; 7], outcome: UsageOutcome) -> Self {
        let [requests, input, output, cached_input, reasoning, total, cost_e8] = numbers;
        let sums = Self { requests, input, output, cached_input, reasoning, total, cost_e8, ..Self::default() };
        match outcome {
            UsageOutcome::Success => Self { successes: requests, ..sums },
            UsageOutcome::Failure => Self { failures: requests, ..sums },
            UsageOutcome::Blocked => Self { blocked: requests, ..sums },
            UsageOutcome::Cancelled => Self { cancelled: requests, ..sums },
        }
    }
}

impl UsageTotals {
    /// Everything from the hour of `since` on; of one project, where named.
    pub fn since(&self, since: Timestamp, project: Option<&str>) -> Sums {
        let mut sums = Sums::default();
        for (cell, part) in self.hours.range(hour_of(since)..).flat_map(|(_, cells)| cells) {
            if project.is_none() || cell.project.as_deref() == project {
                sums.add(part);
            }
        }
        sums
    }

    /// What was spent from the hour of `since` on, by hour and project, as budgets count it.
    pub fn spent(&self, since: Timestamp) -> Vec<SpentAt> {
        let hours = self.hours.range(hour_of(since)..);
        let cells = hours.flat_map(|(hour, cells)| cells.iter().map(move |(cell, sums)| (hour, cell, sums)));
        let spent = cells.map(|(hour, cell, sums)| SpentAt {
            at: Timestamp::from_millis(hour.saturating_mul(HOUR_MS)),
            project: cell.project.clone(),
            spent: Spent {
                requests: sums.successes.saturating_add(sums.cancelled),
                tokens: sums.total,
                cost_e8: sums.cost_e8,
            },
        });
        spent.collect()
    }

    /// Sums by group over the hours of both instants and those between.
    pub fn by(&self, group: UsageGroup, since: Timestamp, until: Timestamp) -> BTreeMap<String, Sums> {
        let mut groups: BTreeMap<String, Sums> = BTreeMap::new();
        for (hour, cells) in self.hours.range(hour_of(since)..=hour_of(until).max(hour_of(since))) {
            for (cell, part) in cells {
                let name = match group {
                    UsageGroup::Model => cell.model.clone().unwrap_or_else(|| "unknown".to_owned()),
                    UsageGroup::Account => cell.account.clone().unwrap_or_else(|| "unknown".to_owned()),
                    UsageGroup::Project => cell.project.clone().unwrap_or_else(|| "global".to_owned()),
                    UsageGroup::Outcome => cell.outcome.as_str().to_owned(),
                    UsageGroup::Day => day_of(*hour),
                };
                groups.entry(name).or_default().add(part);
            }
        }
        groups
    }

    /// Adds the whole lines of `bytes`; returns how many bytes those are. Lines nobody understands are passed over.
    pub(super) fn fold(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for row in bytes[..end].split(|byte| *byte == b'\n').filter_map(UsageRow::parse) {
            self.count(&row);
        }
        end
    }

    /// Remembers the last of these lines as the end of what was read.
    pub(super) fn cover(&mut self, read: &[u8]) {
        let body = read.strip_suffix(b"\n").unwrap_or(read);
        let start = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let tail = &read[start..];
        self.current.tail_length = tail.len() as u64;
        self.current.tail_hash = sha256_hex(tail);
    }

    fn count(&mut self, row: &UsageRow) {
        let cell = Cell {
            model: row.model.clone(),
            account: row.account.as_ref().and_then(AccountMark::name).map(str::to_owned),
            project: row.project.clone(),
            outcome: row.outcome,
        };
        let super::row::Tokens { input, output, cached_input, reasoning, total } = row.tokens;
        let numbers = [1, input, output, cached_input, reasoning, total, row.cost_e8.unwrap_or_default()];
        let hour = self.hours.entry(hour_of(row.created_at)).or_default();
        hour.entry(cell).or_default().add(&Sums::of(numbers, row.outcome));
    }
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(HOUR_MS)
}

fn day_of(hour: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(hour.div_euclid(DAY_HOURS) * DAY_HOURS * HOUR_MS);
    at.map_or_else(|_| "unknown".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

impl Document for UsageTotals {
    const NAME: &'static str = "usage/usage-totals.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let blank = Object::new();
        let current = json::object(object, "current").unwrap_or(&blank);
        let archives = json::object(object, "archives").unwrap_or(&blank);
        let hours = json::object(object, "hours").unwrap_or(&blank);
        let hour = |(hour, cells): (&String, &Value)| {
            let cells = cells.as_array()?.iter().filter_map(|cell| decode(cell.as_object()?));
            Some((hour.parse().ok()?, cells.collect()))
        };
        Self {
            current: Covered {
                bytes: json::count(current, "bytes").unwrap_or_default(),
                tail_length: json::count(current, "tailLength").unwrap_or_default(),
                tail_hash: json::text(current, "tailHash").unwrap_or_default().to_owned(),
            },
            archives: archives.keys().filter_map(|name| Some((name.clone(), json::count(archives, name)?))).collect(),
            hours: hours.iter().filter_map(hour).collect(),
        }
    }

    fn encode(&self, object: &mut Object) {
        let Covered { bytes, tail_length, tail_hash } = &self.current;
        let current = json!({ "bytes": bytes, "tailLength": tail_length, "tailHash": tail_hash });
        json::set(object, "current", Some(current));
        json::set(object, "archives", Some(json!(self.archives)));
        let hours = self.hours.iter().map(|(hour, cells)| {
            let cells: Vec<Object> = cells.iter().map(|(cell, sums)| encode(cell, sums)).collect();
            (hour.to_string(), json!(cells))
        });
        json::set(object, "hours", Some(Value::Object(hours.collect())));
    }
}

fn decode(cell: &Object) -> Option<(Cell, Sums)> {
    let text = |key: &str| json::text(cell, key).map(str::to_owned);
    let outcome = UsageOutcome::parse(json::text(cell, "outcome")?);
    let numbers = SUMS.map(|key| json::count(cell, key).unwrap_or_default());
    let cell = Cell { model: text("model"), account: text("account"), project: text("project"), outcome };
    Some((cell, Sums::of(numbers, outcome)))
}

fn encode(cell: &Cell, sums: &Sums) -> Object {
    let mut out = Object::new();
    for (key, text) in [("model", &cell.model), ("account", &cell.account), ("project", &cell.project)] {
        json::set(&mut out, key, text.as_ref().map(|text| json!(text)));
    }
    out.insert("outcome".to_owned(), json!(cell.outcome.as_str()));
    out.extend(SUMS.into_iter().zip(sums.numbers()).map(|(key, number)| (key.to_owned(), json!(number))));
    out
}
