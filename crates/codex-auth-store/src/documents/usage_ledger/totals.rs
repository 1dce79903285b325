//! `usage/usage-totals.json`: the ledger summed by hour, with how far it has been read, so that nothing is read twice.

use std::collections::BTreeMap;

use codex_auth_core::{Cell, Rollup, Spent, SpentAt, Sums, Timestamp, UsageGroup, UsageOutcome};
use serde_json::{Value, json};

use super::row::UsageRow;
use crate::{
    hash::sha256_hex,
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

const SUMS: [&str; 7] =
    ["requests", "inputTokens", "outputTokens", "cachedInputTokens", "reasoningTokens", "totalTokens", "costE8"];

/// What is summed. Sums of anything else, as they were kept before, are made anew.
const OF: &str = "requests of models";

/// The ledger in sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageTotals {
    pub(super) current: Covered,
    /// Archives and how long each was.
    pub(super) archives: BTreeMap<String, u64>,
    sums: Rollup,
}

/// How far the current file has been read, and the last line there, which tells whether it is still the same file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) bytes: u64,
    pub(super) tail_length: u64,
    pub(super) tail_hash: String,
}

/// Sums as budgets count them.
pub(super) fn spent_of(at: Timestamp, cell: &Cell, sums: &Sums) -> SpentAt {
    let requests = sums.successes.saturating_add(sums.cancelled);
    let spent = Spent { requests, tokens: sums.total, cost_e8: sums.cost_e8 };
    SpentAt { at, project: cell.project.clone(), spent }
}

impl UsageTotals {
    /// Everything from the hour of `since` on; of one project, where named.
    pub fn since(&self, since: Timestamp, project: Option<&str>) -> Sums {
        self.sums.since(since, project)
    }

    /// What was spent from the hour of `since` on, by hour and project, as budgets count it.
    pub fn spent(&self, since: Timestamp) -> Vec<SpentAt> {
        let hours = self.sums.from(since);
        let cells = hours.flat_map(|(at, cells)| cells.iter().map(move |(cell, sums)| (at, cell, sums)));
        cells.map(|(at, cell, sums)| spent_of(at, cell, sums)).collect()
    }

    /// Sums by group over the hours of both instants and those between.
    pub fn by(&self, group: UsageGroup, since: Timestamp, until: Timestamp) -> BTreeMap<String, Sums> {
        self.sums.by(group, since, until)
    }

    /// The sums, hour by hour.
    pub fn rollup(&self) -> &Rollup {
        &self.sums
    }

    /// Adds the whole lines of `bytes`; returns how many bytes those are. Lines nobody understands are passed over.
    pub(super) fn fold(&mut self, bytes: &[u8]) -> usize {
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for row in bytes[..end].split(|byte| *byte == b'\n').filter_map(UsageRow::parse) {
            if !row.is_question() {
                self.sums.count(row.entry());
            }
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
}

impl Document for UsageTotals {
    const NAME: &'static str = "usage/usage-totals.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        if json::text(object, "of") != Some(OF) {
            return Self::default();
        }
        let blank = Object::new();
        let current = json::object(object, "current").unwrap_or(&blank);
        let archives = json::object(object, "archives").unwrap_or(&blank);
        let hours = json::object(object, "hours").unwrap_or(&blank);
        let mut sums = Rollup::default();
        for (hour, cells) in hours {
            let (Ok(hour), Some(cells)) = (hour.parse(), cells.as_array()) else { continue };
            for (cell, part) in cells.iter().filter_map(|cell| decode(cell.as_object()?)) {
                sums.add(hour, cell, &part);
            }
        }
        Self {
            current: Covered {
                bytes: json::count(current, "bytes").unwrap_or_default(),
                tail_length: json::count(current, "tailLength").unwrap_or_default(),
                tail_hash: json::text(current, "tailHash").unwrap_or_default().to_owned(),
            },
            archives: archives.keys().filter_map(|name| Some((name.clone(), json::count(archives, name)?))).collect(),
            sums,
        }
    }

    fn encode(&self, object: &mut Object) {
        let Covered { bytes, tail_length, tail_hash } = &self.current;
        let current = json!({ "bytes": bytes, "tailLength": tail_length, "tailHash": tail_hash });
        json::set(object, "of", Some(json!(OF)));
        json::set(object, "current", Some(current));
        json::set(object, "archives", Some(json!(self.archives)));
        let hours = self.sums.hours().map(|(hour, cells)| {
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
