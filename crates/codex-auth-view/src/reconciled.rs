//! `usage reconcile`: the ledger beside the official client's session logs and the server's own numbers, every
//! difference under its name.

use std::collections::BTreeMap;

use codex_auth_core::{Day, Difference, DifferenceKind, Reconciliation, Side, Timestamp, TokenUse};
use serde::Serialize;

use crate::{
    screen::Screen,
    wait::age,
    words::{Lines, plain},
};

/// How many differences of one kind a person is shown; documents have all.
const SHOWN: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    #[serde(rename = "inputTokens")]
    input: u64,
    #[serde(rename = "cachedInputTokens")]
    cached_input: u64,
    #[serde(rename = "outputTokens")]
    output: u64,
    #[serde(rename = "reasoningTokens")]
    reasoning: u64,
    #[serde(rename = "totalTokens")]
    total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Part {
    answers: u64,
    tokens: Tokens,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    kind: &'static str,
    at: i64,
    thread: Option<String>,
    request: Option<String>,
    here: Tokens,
    there: Tokens,
}

/// What the server said of one window of one account, and what the ledger has of the same time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerWindow {
    /// Number on screen, from 1.
    pub number: usize,
    /// How the account is called.
    pub label: String,
    /// Length of the window in minutes.
    pub window_minutes: u64,
    /// When it began.
    pub began_at: i64,
    /// What the server says is used, in per cent.
    pub used_percent: f64,
    /// When it said so.
    pub seen_at: i64,
    /// Tokens of the ledger between both instants.
    pub tokens_here: u64,
    /// Requests of the ledger between both instants.
    pub requests_here: u64,
}

/// The logs that were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogsRead {
    /// How many.
    pub files: usize,
    /// Those nobody could read.
    pub unreadable: Vec<String>,
    /// Lines that are torn.
    pub torn: usize,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReconciled {
    #[serde(skip)]
    now: Timestamp,
    since: Option<i64>,
    until: Option<i64>,
    logs: LogsRead,
    here: Part,
    there: Part,
    agreed: Part,
    by_kind: BTreeMap<&'static str, usize>,
    differences: Vec<Row>,
    unclear: Vec<String>,
    incomplete: Vec<String>,
    server: Vec<ServerWindow>,
}

impl From<TokenUse> for Tokens {
    fn from(took: TokenUse) -> Self {
        Self {
            input: took.input,
            cached_input: took.cached_input,
            output: took.output,
            reasoning: took.reasoning,
            total: took.total(),
        }
    }
}

impl From<Side> for Part {
    fn from(side: Side) -> Self {
        Self { answers: side.answers, tokens: side.tokens.into() }
    }
}

impl From<&Difference> for Row {
    fn from(one: &Difference) -> Self {
        Self {
            kind: one.kind.as_str(),
            at: one.at.as_millis(),
            thread: one.thread.clone(),
            request: one.request.clone(),
            here: one.here.into(),
            there: one.there.into(),
        }
    }
}

impl UsageReconciled {
    /// The view of a comparison.
    pub fn new(
        told: &Reconciliation,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        (logs, unclear, incomplete): (LogsRead, Vec<String>, Vec<String>),
        server: Vec<ServerWindow>,
        now: Timestamp,
    ) -> Self {
        let mut by_kind = BTreeMap::new();
        told.differences.iter().for_each(|one| *by_kind.entry(one.kind.as_str()).or_default() += 1);
        Self {
            now,
            since: since.map(Timestamp::as_millis),
            until: until.map(Timestamp::as_millis),
            logs,
            here: told.here.into(),
            there: told.there.into(),
            agreed: told.agreed.into(),
            by_kind,
            differences: told.differences.iter().map(Row::from).collect(),
            unclear,
            incomplete,
            server,
        }
    }

    fn differences(&self, lines: &mut Lines) {
        for kind in DifferenceKind::ALL {
            let rows: Vec<&Row> = self.differences.iter().filter(|row| row.kind == kind.as_str()).collect();
            if rows.is_empty() {
                continue;
            }
            lines.gap().line(&format!("{} ({}): {}", kind.as_str(), rows.len(), meaning(kind)));
            for row in rows.iter().take(SHOWN) {
                lines.hang(4, &format!("  {}", one(row)));
            }
            if rows.len() > SHOWN {
                lines.line(&format!("  and {} more; `--json` has them all", rows.len() - SHOWN));
            }
        }
    }

    fn server(&self, lines: &mut Lines) {
        if self.server.is_empty() {
            lines.line("The server's numbers: none are known. `codex-multi-auth check` asks for them.");
            return;
        }
        lines.line("The server tells per cents, of all programs and machines together; they are no tokens to compare.");
        for window in &self.server {
            let ServerWindow { label, window_minutes, used_percent, requests_here, tokens_here, .. } = window;
            let said = age(Timestamp::from_millis(window.seen_at), self.now);
            lines.hang(
                4,
                &format!(
                    "  {}, {}: {used_percent} % used, told {said} ago; here {requests_here} request(s), {tokens_here} token(s)",
                    plain(label),
                    length(*window_minutes),
                ),
            );
        }
    }
}

fn meaning(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::BeforeTheLedger => "logged before the ledger has its first row",
        DifferenceKind::ThreadNotHere => "logged, but nothing of the thread came through this agent",
        DifferenceKind::RowNotHere => "logged, and missing among the ledger's rows of the thread",
        DifferenceKind::NoThread => "in the ledger, by a client that names no conversation",
        DifferenceKind::ThreadNotThere => {
            "in the ledger, but this CODEX_HOME has no log of the thread: another home or machine, or it is gone"
        }
        DifferenceKind::AnswerNotThere => "in the ledger, and missing in the log of the thread",
        DifferenceKind::OtherTokens => "in both, with other numbers",
    }
}

fn one(row: &Row) -> String {
    let day = Day::of(Timestamp::from_millis(row.at));
    let thread = row.thread.as_deref().map(|thread| format!(" thread {}", plain(thread)));
    let request = row.request.as_deref().map(|request| format!(" request {}", plain(request)));
    let (here, there) = (row.here.total, row.there.total);
    format!("{day}{}{}: {here} token(s) here, {there} there", thread.unwrap_or_default(), request.unwrap_or_default())
}

fn length(minutes: u64) -> String {
    match minutes {
        0 => "quota".to_owned(),
        _ if minutes.is_multiple_of(1440) => format!("{}d", minutes / 1440),
        _ if minutes.is_multiple_of(60) => format!("{}h", minutes / 60),
        _ => format!("{minutes}m"),
    }
}

impl Screen for UsageReconciled {
    fn command(&self) -> &'static str {
        "usage reconcile"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        let part = |part: Part| format!("{} answer(s), {} token(s)", part.answers, part.tokens.total);
        lines.line("Usage ledger against codex's session logs");
        lines.line(&format!("Ledger: {}", part(self.here)));
        lines.line(&format!("Logs: {}, in {} file(s)", part(self.there), self.logs.files));
        lines.line(&format!("In both, the same: {}", part(self.agreed)));
        if self.differences.is_empty() {
            lines.line("No differences.");
        }
        self.differences(&mut lines);
        if !self.unclear.is_empty() {
            lines.gap().line(&format!(
                "Not compared: {} thread(s) that began with the history of a log that is gone.",
                self.unclear.len()
            ));
        }
        if !self.incomplete.is_empty() {
            let shown: Vec<String> = self.incomplete.iter().take(SHOWN).map(|thread| plain(thread)).collect();
            let more = self.incomplete.len() - shown.len();
            let more = if more > 0 { format!(" and {more} more; `--json` has them all") } else { String::new() };
            lines.hang(
                4,
                &format!(
                    "Incomplete: {} thread(s) whose log lost a line that may have told an answer: {}{more}",
                    self.incomplete.len(),
                    shown.join(", "),
                ),
            );
        }
        if self.logs.torn > 0 || !self.logs.unreadable.is_empty() {
            let (torn, files) = (self.logs.torn, self.logs.unreadable.len());
            lines.line(&format!("Not read: {torn} torn line(s), {files} file(s) of another form."));
        }
        lines.gap();
        self.server(&mut lines);
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn reconciled() -> UsageReconciled {
        let took = |input| TokenUse { input, ..TokenUse::default() };
        let difference = |kind, thread: Option<&str>, request: Option<&str>, here, there| Difference {
            kind,
            at: Timestamp::from_millis(1_789_948_800_000),
            thread: thread.map(str::to_owned),
            request: request.map(str::to_owned),
            here: took(here),
            there: took(there),
        };
        let told = Reconciliation {
            here: Side { answers: 3, tokens: took(30) },
            there: Side { answers: 12, tokens: took(120) },
            agreed: Side { answers: 1, tokens: took(10) },
            differences: (0..10)
                .map(|_| difference(DifferenceKind::ThreadNotHere, Some("t-1"), None, 0, 10))
                .chain([difference(DifferenceKind::OtherTokens, Some("t-2"), Some("r-1"), 11, 10)])
                .collect(),
        };
        let logs = LogsRead { files: 4, unreadable: vec!["/h/rollout-1.zst".into()], torn: 1 };
        let server = ServerWindow {
            number: 1,
            label: "Account 1".into(),
            window_minutes: 300,
            began_at: 1,
            used_percent: 12.5,
            seen_at: 1_789_948_740_000,
            tokens_here: 30,
            requests_here: 3,
        };
        let now = Timestamp::from_millis(1_789_948_800_000);
        UsageReconciled::new(&told, (None, None), (logs, vec!["t-3".into()], vec!["t-4".into()]), vec![server], now)
    }

    #[test]
    fn every_difference_under_its_name() {
        insta::assert_snapshot!(reconciled().text(80));
    }

    #[test]
    fn the_same_as_a_document() {
        insta::assert_snapshot!(document(&reconciled()));
    }

    #[test]
    fn nothing_to_compare() {
        let nothing = UsageReconciled::new(
            &Reconciliation::default(),
            (None, None),
            (LogsRead::default(), Vec::new(), Vec::new()),
            Vec::new(),
            Timestamp::default(),
        );
        assert!(nothing.text(200).contains("No differences.\n\nThe server's numbers: none are known."));
    }
}
