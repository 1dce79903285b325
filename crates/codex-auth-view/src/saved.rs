//! The pool in a file of its own: `export`, `backup`.

use codex_auth_core::Timestamp;
use serde::Serialize;

use crate::{screen::Screen, wait::age, words::Lines};

/// By which command the pool was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedAs {
    /// `export`
    Export,
    /// `backup`
    Backup,
}

/// A file that holds the accounts now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    #[serde(skip)]
    by: SavedAs,
    ok: bool,
    path: String,
    account_count: usize,
    notes: Vec<String>,
}

impl Saved {
    /// What was saved by which command.
    pub fn new(by: SavedAs, path: String, account_count: usize) -> Self {
        let warning = "The file holds live tokens: whoever reads it can act as these accounts. Two programs cannot \
                       share a refresh token for long; whoever renews it second is signed out.";
        Self { by, ok: true, path, account_count, notes: vec![warning.to_owned()] }
    }

    /// What the person should know; talk, not data.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Screen for Saved {
    fn command(&self) -> &'static str {
        match self.by {
            SavedAs::Export => "export",
            SavedAs::Backup => "backup",
        }
    }

    fn text(&self, width: usize) -> String {
        let Self { path, account_count, .. } = self;
        let mut lines = Lines::new(width);
        match self.by {
            SavedAs::Export => lines.line(&format!("Exported {account_count} account(s) to {path}")),
            SavedAs::Backup => lines.line(&format!("Saved backup to {path} ({account_count} account(s))")),
        };
        lines.finish()
    }
}

/// One backup of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupRow {
    /// The file.
    pub path: String,
    /// Its name.
    pub file_name: String,
    /// How many accounts it holds.
    pub account_count: usize,
    /// When it was written, in milliseconds since the epoch.
    pub mtime_ms: i64,
}

/// What is kept under a name, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupList {
    #[serde(skip)]
    now: Timestamp,
    ok: bool,
    directory: String,
    backups: Vec<BackupRow>,
}

impl BackupList {
    /// The backups in a directory.
    pub fn new(directory: String, backups: Vec<BackupRow>, now: Timestamp) -> Self {
        Self { now, ok: true, directory, backups }
    }
}

impl Screen for BackupList {
    fn command(&self) -> &'static str {
        "backup"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.backups.is_empty() {
            lines.line(&format!("No named backups in {}", self.directory));
            lines.line("`codex-multi-auth backup <name>` makes one.");
            return lines.finish();
        }
        lines.line(&format!("Named backups ({}) in {}", self.backups.len(), self.directory));
        for BackupRow { file_name, account_count, mtime_ms, .. } in &self.backups {
            let saved = age(Timestamp::from_millis(*mtime_ms), self.now);
            lines.line(&format!("  {file_name} | {account_count} account(s) | saved {saved} ago"));
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn what_was_saved() {
        let saved = Saved::new(SavedAs::Export, "/tmp/pool.json".to_owned(), 2);
        let backup = Saved::new(SavedAs::Backup, "/r/backups/daily.json".to_owned(), 2);
        insta::assert_snapshot!(format!("{}{}{}", saved.text(80), backup.text(80), document(&saved)));
    }

    #[test]
    fn what_is_kept() {
        let row = |name: &str, age: i64| BackupRow {
            path: format!("/r/backups/{name}"),
            file_name: name.to_owned(),
            account_count: 2,
            mtime_ms: NOW.as_millis() - age,
        };
        let list = |rows| BackupList::new("/r/backups".to_owned(), rows, NOW);
        let two = list(vec![row("b.json", 5000), row("a.json", 3_600_000)]);
        insta::assert_snapshot!(format!("{}{}{}", list(Vec::new()).text(80), two.text(80), document(&two)));
    }
}
