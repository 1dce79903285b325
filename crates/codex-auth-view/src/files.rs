//! `files`: every known file that is there, whose it is and how it is. Nothing of what it holds is shown.

use codex_auth_core::Timestamp;
use serde::Serialize;

use crate::{
    screen::Screen,
    wait::age,
    words::{Lines, plain},
};

/// Permissions that let others in.
const OTHERS: u32 = 0o077;

/// Whether a file can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum FileHealth {
    /// It can.
    Ok,
    /// It cannot.
    Broken {
        /// Why, and what helps.
        why: String,
    },
    /// It is of a version this program does not know.
    UnknownVersion,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileRow {
    /// Where.
    pub path: String,
    /// Who writes it.
    pub owner: String,
    /// What is in it.
    pub holds: String,
    /// The version it names.
    pub version: Option<String>,
    /// Whether it can be used.
    pub health: FileHealth,
    /// Copies of its broken bytes that are kept.
    pub quarantined: usize,
    /// Its length in bytes.
    pub size: u64,
    /// Its permissions, as `0600`.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// When it was last written, in milliseconds since the epoch.
    pub modified_at: i64,
}

/// The files under a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Files {
    #[serde(skip)]
    now: Timestamp,
    root: String,
    ok: bool,
    #[serde(rename = "files")]
    rows: Vec<FileRow>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn octal<S: serde::Serializer>(mode: &u32, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("{mode:04o}"))
}

impl Files {
    /// The view of these files.
    pub fn new(root: impl Into<String>, rows: Vec<FileRow>, now: Timestamp) -> Self {
        let ok = rows.iter().all(|file| file.health == FileHealth::Ok);
        Self { now, root: root.into(), ok, rows }
    }

    /// Whether every file can be used.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    fn summary(&self) -> String {
        let broken = self.rows.iter().filter(|file| file.health != FileHealth::Ok).count();
        match (self.rows.len(), broken) {
            (0, _) => "No files yet.".to_owned(),
            (count, 0) => format!("Files ({count}), all of them sound"),
            (count, broken) => format!("Files ({count}), {broken} of them cannot be used"),
        }
    }
}

impl FileRow {
    fn name(&self, root: &str) -> String {
        let below = self.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
        plain(below.unwrap_or(&self.path))
    }

    fn write(&self, lines: &mut Lines, root: &str, now: Timestamp) {
        let Self { owner, holds, version, health, quarantined, size, mode, modified_at, .. } = self;
        let mark = if *health == FileHealth::Ok { "✓" } else { "✗" };
        lines.hang(2, &format!("{mark} {}", self.name(root)));
        let version = version.as_deref().map(|version| format!(" · version {}", plain(version))).unwrap_or_default();
        let age = age(Timestamp::from_millis(*modified_at), now);
        lines.hang(4, &format!("  {holds} · {owner}{version} · {size} B · {mode:04o} · {age} old"));
        match health {
            FileHealth::Ok => {}
            FileHealth::Broken { why } => drop(lines.hang(4, &format!("  broken: {}", plain(why)))),
            FileHealth::UnknownVersion => {
                lines.hang(4, "  this program does not know that version; the file is left as it is");
            }
        }
        if *quarantined > 0 {
            lines.hang(4, &format!("  {quarantined} broken copies are kept in quarantine"));
        }
        if mode & OTHERS != 0 {
            lines.hang(4, "  other users may read it; the next change closes it");
        }
    }
}

impl Screen for Files {
    fn command(&self) -> &'static str {
        "files"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&self.summary()).whole(&format!("Root: {}", plain(&self.root)));
        if !self.rows.is_empty() {
            lines.gap();
        }
        for file in &self.rows {
            file.write(&mut lines, &self.root, self.now);
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn row(path: &str, health: FileHealth) -> FileRow {
        FileRow {
            path: path.to_owned(),
            owner: "codex-multi-auth".to_owned(),
            holds: "what is left of each quota".to_owned(),
            version: Some("1".to_owned()),
            health,
            quarantined: 0,
            size: 120,
            mode: 0o600,
            modified_at: 1_799_999_940_000,
        }
    }

    fn files() -> Files {
        let root = "/home/a/.codex/multi-auth";
        let why = "it ends in the middle (line 1, column 9); it was left as it is".to_owned();
        let loose = FileRow { mode: 0o644, version: None, ..row("/home/a/.codex/auth.json", FileHealth::Ok) };
        let rows = vec![
            FileRow { quarantined: 2, ..row(&format!("{root}/quota-cache.json"), FileHealth::Ok) },
            row(&format!("{root}/budget-guards.json"), FileHealth::Broken { why }),
            FileRow {
                version: Some("9".to_owned()),
                ..row(&format!("{root}/account-policies.json"), FileHealth::UnknownVersion)
            },
            loose,
        ];
        Files::new(root, rows, Timestamp::from_secs(1_800_000_000))
    }

    #[test]
    fn every_sort_of_file() {
        insta::assert_snapshot!(files().text(80));
        assert!(!files().is_ok());
    }

    #[test]
    fn every_sort_of_file_as_a_document() {
        insta::assert_snapshot!(document(&files()));
    }

    #[test]
    fn nothing_is_there() {
        let files = Files::new("/r", Vec::new(), Timestamp::default());
        assert_eq!((files.text(80).as_str(), files.is_ok()), ("No files yet.\nRoot: /r\n", true));
    }
}
