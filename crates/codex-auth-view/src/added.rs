//! Sign-ins that came into the pool, or would: `login`, `import-current`, `import`.

use serde::Serialize;

use crate::{named::Named, screen::Screen, words::Lines};

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
}

impl Added {
    /// What `command` added, and how many accounts there are now.
    pub fn new(command: &'static str, addition: Addition, account_count: usize) -> Self {
        Self { command, ok: true, addition, account_count }
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
        lines.finish()
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
}

impl Imports {
    /// A preview of importing `files`: what each sign-in would be, and how many accounts there would be.
    pub fn preview(files: Vec<String>, accounts: Vec<Addition>, account_count: usize) -> Self {
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

    /// Whether anything would change.
    pub fn is_news(&self) -> bool {
        self.imported + self.updated > 0
    }
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
        Imports::preview(vec!["/tmp/pool.json".to_owned()], accounts, 3)
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
}
