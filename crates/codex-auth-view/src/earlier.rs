//! `restore` and `reset`: the copies one can go back to, what came back, and what was emptied.

use codex_auth_core::Timestamp;
use serde::Serialize;

use crate::{screen::Screen, wait::age, words::Lines};

/// A copy as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyRow {
    /// Its file.
    pub path: String,
    /// When it was made, in milliseconds since the epoch.
    pub at: i64,
    /// How many accounts it has.
    pub account_count: usize,
}

/// The copies, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyList {
    copies: Vec<CopyRow>,
    #[serde(skip)]
    now: Timestamp,
}

impl CopyList {
    /// The list at `now`.
    pub fn new(copies: Vec<CopyRow>, now: Timestamp) -> Self {
        Self { copies, now }
    }
}

impl Screen for CopyList {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.copies.is_empty() {
            lines.line("There are no copies yet.");
            return lines.finish();
        }
        for copy in &self.copies {
            let accounts = accounts(copy.account_count);
            lines.line(&format!("{} ago, {accounts}:", age(Timestamp::from_millis(copy.at), self.now)));
            lines.whole(&format!("  {}", copy.path));
        }
        lines.gap();
        lines.line("`codex-multi-auth restore <file>` goes back to one of them; `--dry-run` shows what that would do.");
        lines.finish()
    }
}

/// The pool went back to a copy, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    ok: bool,
    dry_run: bool,
    #[serde(flatten)]
    copy: CopyRow,
    /// Accounts that come in, by label.
    added: Vec<String>,
    /// Accounts that go, by label.
    removed: Vec<String>,
    kept: usize,
    #[serde(skip)]
    now: Timestamp,
}

impl Restored {
    /// What going back to `copy` changes: who comes, who goes, and how many stay.
    pub fn new(copy: CopyRow, (added, removed): (Vec<String>, Vec<String>), kept: usize, now: Timestamp) -> Self {
        Self { ok: true, dry_run: false, copy, added, removed, kept, now }
    }

    /// The same, only shown.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }
}

impl Screen for Restored {
    fn command(&self) -> &'static str {
        "restore"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        let verb = if self.dry_run { "Would restore" } else { "Restored" };
        let ago = age(Timestamp::from_millis(self.copy.at), self.now);
        let count = self.copy.account_count;
        let them = if count == 1 { "it was" } else { "they were" };
        lines.line(&format!("{verb} {} as {them} until {ago} ago:", accounts(count)));
        lines.whole(&format!("  {}", self.copy.path));
        for label in &self.added {
            lines.line(&format!("  + {label}"));
        }
        for label in &self.removed {
            lines.line(&format!("  - {label}"));
        }
        if self.kept > 0 {
            lines.line(&format!("  {} as before, with today's tokens.", accounts(self.kept)));
        }
        if !self.dry_run {
            lines.line("`codex-multi-auth undo` takes this back.");
        }
        lines.finish()
    }
}

/// The pool was emptied on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WasReset {
    ok: bool,
    removed_count: usize,
    quarantined: Option<String>,
}

impl WasReset {
    /// How many accounts there were, and where a file went that could not be read.
    pub fn new(removed_count: usize, quarantined: Option<String>) -> Self {
        Self { ok: true, removed_count, quarantined }
    }
}

impl Screen for WasReset {
    fn command(&self) -> &'static str {
        "reset"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if let Some(path) = &self.quarantined {
            lines.line("The pool begins anew. The file that could not be read is kept as");
            lines.whole(&format!("  {path}"));
            lines.line("Mend it and run `codex-multi-auth restore` with its path to go back to it.");
        } else {
            lines
                .line(&format!("The pool is empty; {} left it. No sign-in was revoked.", accounts(self.removed_count)));
            lines.line("`codex-multi-auth undo` brings them back.");
        }
        lines.finish()
    }
}

fn accounts(count: usize) -> String {
    if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn copy(account_count: usize) -> CopyRow {
        CopyRow { path: "/r/history/accounts-1799990000000.json".to_owned(), at: 1_799_990_000_000, account_count }
    }

    #[test]
    fn copies_are_listed_with_age_and_size() {
        let list = CopyList::new(vec![copy(2), copy(1)], NOW);
        insta::assert_snapshot!(format!("{}{}", list.text(80), document(&list)));
        assert_eq!(CopyList::new(Vec::new(), NOW).text(80), "There are no copies yet.\n");
    }

    #[test]
    fn going_back_says_who_comes_and_who_goes() {
        let change = (vec!["Account 2 (b@x.test)".to_owned()], vec!["Account 3 (c@x.test)".to_owned()]);
        let restored = Restored::new(copy(2), change, 1, NOW);
        insta::assert_snapshot!(format!("{}{}", restored.text(80), restored.clone().dry_run().text(80)));
    }

    #[test]
    fn a_reset_says_how_to_go_back() {
        let unread = WasReset::new(0, Some("/r/quarantine/x.json.7.quarantine.json".to_owned()));
        insta::assert_snapshot!(format!("{}{}", WasReset::new(2, None).text(80), unread.text(80)));
    }
}
