//! Sign-ins that came into the pool, or would: `login`, `import-current`, `import`.

use serde::Serialize;

use crate::{named::Named, row::owner_of, screen::Screen, words::Lines, workspace::OtherWorkspace};

/// What a sign-in was to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AdditionOutcome {
    /// A new account.
    Added,
    /// Newer tokens, or something we did not know, for an account.
    Updated,
    /// Nothing new.
    Unchanged,
}

/// One sign-in and its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Addition {
    /// What it was to the pool.
    pub outcome: AdditionOutcome,
    /// The account, under its number in the pool as it is afterwards.
    #[serde(flatten)]
    pub account: Named,
}

/// One sign-in came into the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    #[serde(skip)]
    command: &'static str,
    ok: bool,
    #[serde(flatten)]
    addition: Addition,
    account_count: usize,
    other_workspaces: Vec<OtherWorkspace>,
}

impl Added {
    /// What `command` added, and how many accounts there are now.
    pub fn new(command: &'static str, addition: Addition, account_count: usize) -> Self {
        Self { command, ok: true, addition, account_count, other_workspaces: Vec::new() }
    }

    /// The same, with workspaces of this person that are no account yet.
    #[must_use]
    pub fn beside(self, other_workspaces: Vec<OtherWorkspace>) -> Self {
        Self { other_workspaces, ..self }
    }
}

impl Screen for Added {
    fn command(&self) -> &'static str {
        self.command
    }

    fn text(&self, width: usize) -> String {
        let Self { addition: Addition { outcome, account }, account_count, .. } = self;
        let mut lines = Lines::new(width);
        match outcome {
            AdditionOutcome::Added => lines.line(&format!("Added account. Total: {account_count}")),
            AdditionOutcome::Updated => lines.line(&format!("Updated existing account. Total: {account_count}")),
            AdditionOutcome::Unchanged => {
                lines.line(&format!("Already in the pool; nothing changed. Total: {account_count}"))
            }
        };
        lines.line(&format!("  {}", account.label));
        if *outcome != AdditionOutcome::Unchanged {
            lines.gap().line("Next steps:");
            lines.whole("  codex-multi-auth status     see the accounts");
            lines.whole("  codex-multi-auth check      ask the backend about each of them");
            lines.whole("  codex-multi-auth run        start codex through the pool");
        }
        if !self.other_workspaces.is_empty() {
            lines.gap().line("Other workspaces of this sign-in, not in the pool yet:");
            for workspace in &self.other_workspaces {
                lines.whole(&workspace.line());
            }
        }
        lines.finish()
    }
}

/// A sign-in that the person ended themselves. That is no failure, and nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cancelled {
    #[serde(skip)]
    command: &'static str,
    ok: bool,
    outcome: &'static str,
}

impl Cancelled {
    /// `command` was ended.
    pub fn of(command: &'static str) -> Self {
        Self { command, ok: false, outcome: "cancelled" }
    }
}

impl Screen for Cancelled {
    fn command(&self) -> &'static str {
        self.command
    }

    fn text(&self, _width: usize) -> String {
        "Cancelled.\n".to_owned()
    }
}

/// Sign-ins of files, before or after they came into the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imports {
    ok: bool,
    applied: bool,
    dry_run: bool,
    imported: usize,
    updated: usize,
    unchanged: usize,
    account_count: usize,
    files: Vec<String>,
    accounts: Vec<Addition>,
    notes: Vec<String>,
}

/// More accounts than this and the predecessor drops the rest.
pub(crate) const PREDECESSOR_STOPS_AT: usize = 20;

impl Imports {
    /// A preview of importing `files`: what each sign-in would be, and how many accounts there would be.
    ///
    /// `shared` are the numbers of the accounts whose sign-in would be that of a file, each with the file's format.
    pub fn preview(
        files: Vec<String>,
        accounts: Vec<Addition>,
        account_count: usize,
        shared: &[(usize, String)],
    ) -> Self {
        let mut notes = still_owned(shared);
        if account_count > PREDECESSOR_STOPS_AT {
            notes.push(format!(
                "There is no limit here, but codex-multi-auth 2.x stops at {PREDECESSOR_STOPS_AT} accounts: opened \
                 there, this pool of {account_count} would lose some."
            ));
        }
        let count = |wanted| accounts.iter().filter(|addition| addition.outcome == wanted).count();
        Self {
            ok: true,
            applied: false,
            dry_run: false,
            imported: count(AdditionOutcome::Added),
            updated: count(AdditionOutcome::Updated),
            unchanged: count(AdditionOutcome::Unchanged),
            account_count,
            files,
            accounts,
            notes,
        }
    }

    /// The same, never to be applied.
    #[must_use]
    pub fn dry_run(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// The same, once it was done.
    #[must_use]
    pub fn applied(self) -> Self {
        Self { applied: true, ..self }
    }

    /// What else the person should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether anything would change.
    pub fn is_news(&self) -> bool {
        self.imported + self.updated > 0
    }
}

/// Two programs with one refresh token: whoever renews second is signed out. One sentence per program.
fn still_owned(shared: &[(usize, String)]) -> Vec<String> {
    let mut programs: Vec<&str> = shared.iter().map(|(_, format)| owner_of(format)).collect();
    programs.sort_unstable();
    programs.dedup();
    let notes = programs.into_iter().map(|program| {
        let mut numbers: Vec<usize> =
            shared.iter().filter(|(_, format)| owner_of(format) == program).map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let first = numbers[0];
        let all: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let (who, each) = if all.len() == 1 {
            (format!("Account {first} is"), "it")
        } else {
            (format!("Accounts {} are", all.join(", ")), "the first of them")
        };
        format!(
            "{who} shared: {program} may still own the refresh token, and whoever renews it second is signed out. \
             `codex-multi-auth login --account {first}` gives {each} a sign-in of its own."
        )
    });
    notes.collect()
}

impl Screen for Imports {
    fn command(&self) -> &'static str {
        "import"
    }

    fn text(&self, width: usize) -> String {
        let Self { imported, updated, unchanged, account_count, .. } = self;
        let mut lines = Lines::new(width);
        if self.applied {
            lines.line(&format!(
                "Imported {imported} account(s), updated {updated}, left {unchanged} as it was. Total: {account_count}"
            ));
        } else {
            lines.line(&format!("Import of {}:", self.files.join(", ")));
        }
        for Addition { outcome, account } in &self.accounts {
            let mark = match outcome {
                AdditionOutcome::Added => "+",
                AdditionOutcome::Updated => "~",
                AdditionOutcome::Unchanged => "=",
            };
            let what = match outcome {
                AdditionOutcome::Added => "new",
                AdditionOutcome::Updated => "newer tokens or details",
                AdditionOutcome::Unchanged => "nothing new",
            };
            lines.hang(4, &format!("  {mark} {}: {what}", account.label));
        }
        for note in &self.notes {
            lines.line(&format!("Note: {note}"));
        }
        if self.dry_run {
            lines.line("Preview only: no changes were saved.");
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing;

    use super::*;
    use crate::document;

    fn addition(number: usize, outcome: AdditionOutcome) -> Addition {
        Addition { outcome, account: Named::at(number - 1, &testing::account(number)) }
    }

    fn three() -> Imports {
        use AdditionOutcome::{Added, Unchanged, Updated};
        let accounts = vec![addition(3, Added), addition(1, Updated), addition(2, Unchanged)];
        Imports::preview(vec!["/tmp/pool.json".to_owned()], accounts, 3, &[(3, "opencode".to_owned())])
    }

    #[test]
    fn a_preview_and_its_outcome() {
        let applied = three().applied();
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}",
            three().dry_run().text(80),
            applied.text(80),
            document(&applied)
        ));
    }

    #[test]
    fn a_sign_in_names_the_next_steps() {
        insta::assert_snapshot!(Added::new("login", addition(2, AdditionOutcome::Added), 2).text(80));
    }

    #[test]
    fn workspaces_that_are_no_account_yet_are_named_with_their_command() {
        let others = vec![
            OtherWorkspace::new("ws-7", Some("Acme\u{1b}[2J"), Some("team")),
            OtherWorkspace::new("ws-8", Some(" "), None),
        ];
        let added = Added::new("login", addition(2, AdditionOutcome::Unchanged), 2).beside(others);
        insta::assert_snapshot!(format!("{}{}", added.text(80), document(&added)));
    }
}
