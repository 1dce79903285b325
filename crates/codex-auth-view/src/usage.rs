//! `usage`: what the agent's requests took, by model, account, project, outcome or day; and the ledger's own upkeep.

use std::{collections::BTreeMap, fmt::Write as _};

use codex_auth_core::{Sums, Timestamp, UsageGroup};
use serde::Serialize;
use serde_json::Value;

use crate::{
    screen::Screen,
    words::{Lines, plain},
};

const E8: f64 = 1e8;
const HEADER: &str = "key,requests,successes,failures,blocked,cancelled,inputTokens,outputTokens,cachedInputTokens,\
                      reasoningTokens,totalTokens,costUsd";

/// What one group comes to, in the predecessor's keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    requests: u64,
    successes: u64,
    failures: u64,
    blocked: u64,
    cancelled: u64,
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    reasoning_tokens: u64,
    total_tokens: u64,
    cost_usd: f64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bucket {
    key: String,
    /// How a person knows it, where that differs.
    label: Option<String>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Summary {
    since: Option<i64>,
    until: Option<i64>,
    by: &'static str,
    totals: Told,
    buckets: Vec<Bucket>,
}

/// The usage of a span of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    summary: Summary,
    /// Always `estimate`: subscriptions are not billed by the token.
    cost_is: &'static str,
    prices_as_of: &'static str,
    rows: Vec<Value>,
    attempts: Vec<Value>,
    /// Whatever asked no model, in no sum.
    questions: Vec<Value>,
    notes: Vec<String>,
}

/// A ledger that was archived, or was not large enough to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageRotated {
    rotated: bool,
    path: Option<String>,
}

impl From<&Sums> for Told {
    fn from(sums: &Sums) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a cost of more than 90 million dollars may be rounded")]
        let cost_usd = sums.cost_e8 as f64 / E8;
        Self {
            requests: sums.requests,
            successes: sums.successes,
            failures: sums.failures,
            blocked: sums.blocked,
            cancelled: sums.cancelled,
            input_tokens: sums.input,
            output_tokens: sums.output,
            cached_input_tokens: sums.cached_input,
            reasoning_tokens: sums.reasoning,
            total_tokens: sums.total,
            cost_usd,
        }
    }
}

impl Usage {
    /// The view of these groups. `label` says how a person knows a key.
    pub fn new(
        group: UsageGroup,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        groups: &BTreeMap<String, Sums>,
        label: impl Fn(&str) -> Option<String>,
        prices_as_of: &'static str,
    ) -> Self {
        let mut all = Sums::default();
        for sums in groups.values() {
            all.add(sums);
        }
        let bucket = |(key, sums): (&String, &Sums)| Bucket { key: key.clone(), label: label(key), told: sums.into() };
        let summary = Summary {
            since: since.map(Timestamp::as_millis),
            until: until.map(Timestamp::as_millis),
            by: group.as_str(),
            totals: (&all).into(),
            buckets: groups.iter().map(bucket).collect(),
        };
        let (rows, attempts, questions, notes) = Default::default();
        Self { summary, cost_is: "estimate", prices_as_of, rows, attempts, questions, notes }
    }

    /// The same with the rows it was summed from, for documents.
    #[must_use]
    pub fn with_rows(self, rows: Vec<Value>, attempts: Vec<Value>) -> Self {
        Self { rows, attempts, ..self }
    }

    /// The same with the questions of the span, for documents.
    #[must_use]
    pub fn with_questions(self, questions: Vec<Value>) -> Self {
        Self { questions, ..self }
    }

    /// The same with something a person should know of it.
    #[must_use]
    pub fn with_note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    /// The groups as a table for other programs; one row `total` when there are none.
    pub fn csv(&self) -> String {
        let mut text = format!("{HEADER}\n");
        let row = |text: &mut String, key: &str, told: &Told| {
            let Told { requests, successes, failures, blocked, cancelled, .. } = told;
            let Told { input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, total_tokens, .. } = told;
            let _never = writeln!(
                text,
                "{},{requests},{successes},{failures},{blocked},{cancelled},{input_tokens},{output_tokens},\
                 {cached_input_tokens},{reasoning_tokens},{total_tokens},{:.8}",
                quoted(key),
                told.cost_usd,
            );
        };
        for bucket in &self.summary.buckets {
            row(&mut text, &bucket.key, &bucket.told);
        }
        if self.summary.buckets.is_empty() {
            row(&mut text, "total", &self.summary.totals);
        }
        text
    }
}

/// A field that no table program takes apart, or for a formula.
fn quoted(key: &str) -> String {
    let key = plain(key);
    let key = if key.starts_with(['=', '+', '-', '@']) { format!("'{key}") } else { key };
    if key.contains([',', '"', '\n']) { format!("\"{}\"", key.replace('"', "\"\"")) } else { key }
}

impl Screen for Usage {
    fn command(&self) -> &'static str {
        "usage"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.summary.buckets.is_empty() {
            lines.line("No usage rows found.");
        } else {
            let Told { requests, successes, failures, blocked, cancelled, .. } = self.summary.totals;
            let Told {
                total_tokens, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, cost_usd, ..
            } = self.summary.totals;
            lines.line(&format!("Usage summary by {}", self.summary.by));
            lines.line(&format!(
                "Requests: {requests} ({successes} success, {failures} failed, {blocked} blocked, {cancelled} cancelled)"
            ));
            lines.line(&format!(
                "Tokens: {total_tokens} ({input_tokens} in, of these {cached_input_tokens} cached; {output_tokens} out, \
                 of these {reasoning_tokens} reasoning)"
            ));
            lines.line(&format!("Estimated cost: ${cost_usd:.6}")).gap();
            for Bucket { key, label, told } in &self.summary.buckets {
                let name = plain(label.as_deref().unwrap_or(key));
                let Told { requests, total_tokens, cost_usd, .. } = told;
                lines.line(&format!("{name}: {requests} request(s), {total_tokens} token(s), ${cost_usd:.6}"));
            }
        }
        for note in &self.notes {
            lines.line(&plain(note));
        }
        lines.finish()
    }
}

impl UsageRotated {
    /// The archive, where one was made.
    pub fn new(path: Option<String>) -> Self {
        Self { rotated: path.is_some(), path }
    }
}

impl Screen for UsageRotated {
    fn command(&self) -> &'static str {
        "usage rotate"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        match &self.path {
            Some(path) => lines.whole(&format!("Usage ledger rotated: {}", plain(path))),
            None => lines.line("Usage ledger rotation skipped."),
        };
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::UsageOutcome;

    use super::*;
    use crate::document;

    fn usage() -> Usage {
        let mut groups = BTreeMap::new();
        let mut both = Sums::of([2, 2000, 400, 800, 100, 2400, 736_000], UsageOutcome::Success);
        both.add(&Sums::of([1, 0, 0, 0, 0, 0, 0], UsageOutcome::Cancelled));
        groups.insert("gpt-5.5".to_owned(), both);
        groups.insert("=1,\"2\"".to_owned(), Sums::of([1, 10, 0, 0, 0, 10, 0], UsageOutcome::Blocked));
        let since = Some(Timestamp::from_millis(1_789_948_800_000));
        let label = |key: &str| key.starts_with('=').then(|| "odd".to_owned());
        Usage::new(UsageGroup::Model, (since, None), &groups, label, "2026-11-27")
    }

    #[test]
    fn groups_as_text() {
        insta::assert_snapshot!(usage().with_note(Some("A note.".to_owned())).text(80));
    }

    #[test]
    fn groups_as_a_document() {
        let rows = vec![serde_json::json!({ "id": "a" })];
        insta::assert_snapshot!(document(&usage().with_rows(rows, Vec::new())));
    }

    #[test]
    fn groups_as_a_table() {
        insta::assert_snapshot!(usage().csv());
        let nothing = Usage::new(UsageGroup::Day, (None, None), &BTreeMap::new(), |_| None, "2026-11-27");
        assert_eq!(nothing.csv(), format!("{HEADER}\ntotal,0,0,0,0,0,0,0,0,0,0,0.00000000\n"));
        assert_eq!(nothing.text(80), "No usage rows found.\n");
    }

    #[test]
    fn a_rotation() {
        assert_eq!(UsageRotated::new(Some("/r/a".into())).text(80), "Usage ledger rotated: /r/a\n");
        assert_eq!(UsageRotated::new(None).text(80), "Usage ledger rotation skipped.\n");
    }
}
