//! `what-if`: recorded decisions under another strategy, counted.

use codex_auth_core::{RecordId, SavedPool, Timestamp, record};
use serde::Serialize;

use crate::{
    named::Named,
    screen::Screen,
    wait::age,
    words::{Lines, plain},
};

/// What such a count cannot know; said with every one.
const LIMITS: &str = "Each decision is made anew from the state recorded with it: quotas, rests and requests in flight \
    are those of the choices that were really made. What other choices would have led to afterwards, in spent quotas or \
    lost prompt caches, is not in these numbers.";

/// One account, or nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    number: Option<usize>,
    record_id: Option<String>,
    label: String,
    was: u64,
    would: u64,
}

/// The count on screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    ok: bool,
    supposed: String,
    decisions: u64,
    same: u64,
    different: u64,
    refusals_avoided: u64,
    refusals_new: u64,
    missing: u64,
    first_at: Option<i64>,
    last_at: Option<i64>,
    accounts: Vec<Row>,
    limits: &'static str,
    #[serde(skip)]
    now: Timestamp,
}

impl WhatIf {
    /// The count; `supposed` says in words what was supposed.
    pub fn new(supposed: String, counted: &record::WhatIf, pool: &SavedPool, now: Timestamp) -> Self {
        let record::WhatIf { decisions, differ, served, avoided, new_refusals, lost, between, .. } = counted;
        let mut accounts: Vec<Row> =
            served.iter().map(|(record, served)| row(record.as_ref(), *served, pool)).collect();
        accounts.sort_by_key(|row| (row.number.is_none(), row.number, row.record_id.is_none()));
        Self {
            ok: true,
            supposed,
            decisions: *decisions,
            same: decisions - differ,
            different: *differ,
            refusals_avoided: *avoided,
            refusals_new: *new_refusals,
            missing: *lost,
            first_at: between.map(|(first, _)| first.as_millis()),
            last_at: between.map(|(_, last)| last.as_millis()),
            accounts,
            limits: LIMITS,
            now,
        }
    }
}

fn row(record: Option<&RecordId>, record::Served { was, would }: record::Served, pool: &SavedPool) -> Row {
    let named = record.and_then(|record| Named::of(pool, record));
    let label = match (&named, record) {
        (Some(named), _) => named.label.clone(),
        (None, Some(record)) => format!("an account that is gone ({record})"),
        (None, None) => "nobody (refused)".to_owned(),
    };
    Row { number: named.map(|named| named.number), record_id: record.map(ToString::to_string), label, was, would }
}

impl Screen for WhatIf {
    fn command(&self) -> &'static str {
        "what-if"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("what-if: {}", plain(&self.supposed)));
        let Some(first) = self.first_at.map(Timestamp::from_millis) else {
            lines.line("No decisions are recorded for that time.");
            return lines.finish();
        };
        let last = self.last_at.map_or(first, Timestamp::from_millis);
        let span = format!("from {} to {} ago", age(first, self.now), age(last, self.now));
        lines.line(&format!("Decisions made anew: {}, {span}", self.decisions));
        if self.missing > 0 {
            lines.line(&format!("Not recorded in between: {}", self.missing));
        }
        lines.line(&format!("The same choice: {}", self.same));
        lines.line(&format!("Another choice: {}", self.different));
        lines.line(&format!("Refusals: {} avoided, {} new", self.refusals_avoided, self.refusals_new)).gap();
        lines.line("Chosen, then and so:");
        for Row { label, was, would, .. } in &self.accounts {
            lines.hang(4, &format!("  {label}: {was} -> {would}"));
        }
        lines.gap().line(LIMITS);
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing;

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn nothing_recorded_says_so() {
        let why = WhatIf::new("strategy sequential".to_owned(), &record::WhatIf::default(), &testing::pool(1), NOW);
        assert_eq!(why.text(80), "what-if: strategy sequential\nNo decisions are recorded for that time.\n");
    }

    #[test]
    fn every_account_then_and_so() {
        let name = |name: &str| RecordId::parse(name);
        let mut counted = record::WhatIf::default();
        (counted.decisions, counted.differ, counted.avoided, counted.lost) = (10, 4, 1, 2);
        counted.between = Some((Timestamp::from_secs(1_799_990_000), Timestamp::from_secs(1_799_999_990)));
        let rows = [(name("record:1"), 7, 3), (name("record:2"), 1, 6), (name("record:9"), 1, 1), (None, 1, 0)];
        counted.served = rows.into_iter().map(|(record, was, would)| (record, record::Served { was, would })).collect();
        let view = WhatIf::new("strategy sequential".to_owned(), &counted, &testing::pool(2), NOW);
        insta::assert_snapshot!(format!("{}\n{}", view.text(80), document(&view)));
    }
}
