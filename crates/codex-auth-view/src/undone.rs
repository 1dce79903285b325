//! `undo`: what was taken back, and what could be.

use codex_auth_core::Timestamp;
use serde::Serialize;

use crate::{screen::Screen, wait::age, words::Lines};

/// An operation as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationRow {
    /// Its number, for `undo <number>`.
    pub number: u64,
    /// When it was done.
    #[serde(serialize_with = "millis")]
    pub at: Timestamp,
    /// The command.
    pub command: String,
    /// What it did.
    pub change: String,
    /// Whether it was taken back since.
    pub undone: bool,
}

/// How many operations a screen shows; a document has them all.
const SHOWN: usize = 20;

/// The operations one can take back, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationList {
    operations: Vec<OperationRow>,
    #[serde(skip)]
    now: Timestamp,
}

impl OperationList {
    /// The list at `now`.
    pub fn new(operations: Vec<OperationRow>, now: Timestamp) -> Self {
        Self { operations, now }
    }
}

impl Screen for OperationList {
    fn command(&self) -> &'static str {
        "undo"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.operations.is_empty() {
            lines.line("Nothing was done yet.");
            return lines.finish();
        }
        for row in self.operations.iter().take(SHOWN) {
            let undone = if row.undone { " (taken back)" } else { "" };
            let ago = age(row.at, self.now);
            lines.hang(6, &format!("{:>4}  {}: {}, {ago} ago{undone}", row.number, row.command, row.change));
        }
        lines.gap();
        if let Some(older) = self.operations.len().checked_sub(SHOWN).filter(|older| *older > 0) {
            lines.line(&format!("{older} older ones: `codex-multi-auth undo --list --json` shows them all."));
        }
        lines.line("`codex-multi-auth undo <number>` takes one back; without a number, the last one.");
        lines.finish()
    }
}

/// Whose login codex has again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginAgain {
    /// The operation did not touch it, or it stays as it is.
    Stays,
    /// That of this account, by label.
    Of(String),
    /// Nobody's, as before.
    Nobodys,
}

/// An operation was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TakenBack {
    ok: bool,
    operation: OperationRow,
    account_count: usize,
    login_restored: bool,
    login: Option<String>,
    remarks: Vec<String>,
}

impl TakenBack {
    /// The operation, how many accounts there are now, whose login codex has again, and what of it stays.
    pub fn new(operation: OperationRow, account_count: usize, login: LoginAgain, remarks: Vec<String>) -> Self {
        let (login_restored, login) = match login {
            LoginAgain::Stays => (false, None),
            LoginAgain::Of(label) => (true, Some(label)),
            LoginAgain::Nobodys => (true, None),
        };
        Self { ok: true, operation, account_count, login_restored, login, remarks }
    }
}

impl Screen for TakenBack {
    fn command(&self) -> &'static str {
        "undo"
    }

    fn text(&self, width: usize) -> String {
        let OperationRow { number, command, change, .. } = &self.operation;
        let mut lines = Lines::new(width);
        let far = if self.remarks.is_empty() { "" } else { ", as far as it goes" };
        lines.line(&format!(
            "Took back operation {number}, {command}: {change}{far}. Accounts: {}.",
            self.account_count
        ));
        match &self.login {
            Some(label) => drop(lines.line(&format!("Codex's own login is {label} again."))),
            None if self.login_restored => drop(lines.line("Codex has no login of its own again, as before.")),
            None => {}
        }
        for remark in &self.remarks {
            lines.line(remark);
        }
        lines.finish()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn millis<S: serde::Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(at.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn row(number: u64, undone: bool) -> OperationRow {
        let change = "removed account 2".to_owned();
        OperationRow { number, at: Timestamp::from_secs(1_799_999_000), command: "remove".to_owned(), change, undone }
    }

    #[test]
    fn the_list_says_what_can_be_taken_back() {
        let list = OperationList::new(vec![row(12, false), row(3, true)], NOW);
        insta::assert_snapshot!(format!("{}{}", list.text(80), document(&list)));
        assert_eq!(OperationList::new(Vec::new(), NOW).text(80), "Nothing was done yet.\n");
    }

    #[test]
    fn a_screen_shows_the_newest_and_how_many_there_are() {
        let list = OperationList::new((1..=23).rev().map(|number| row(number, false)).collect(), NOW);
        let text = list.text(200);
        assert_eq!((text.matches("removed").count(), text.matches("\n3 older ones: ").count()), (20, 1), "{text}");
        assert_eq!(document(&list).matches("\"number\"").count(), 23);
    }

    #[test]
    fn what_was_taken_back_and_what_stays() {
        let remarks = vec!["The alias of work was changed since and stays.".to_owned()];
        let taken = TakenBack::new(row(12, true), 3, LoginAgain::Of("Account 1 (a@b.co)".to_owned()), remarks);
        let nobodys = TakenBack::new(row(12, true), 3, LoginAgain::Nobodys, Vec::new());
        insta::assert_snapshot!(format!("{}{}{}", taken.text(80), nobodys.text(80), document(&taken)));
    }
}
