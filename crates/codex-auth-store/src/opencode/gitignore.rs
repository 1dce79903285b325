//! Owns the lines that keep tokens and caches out of a repository somebody keeps the directory in.
#![allow(
    clippy::disallowed_methods,
    reason = "this file is the repository's, so it has the usual mode and holds no secret"
)]

use std::{fs::OpenOptions, io::Write as _};

use camino::Utf8Path;

/// The lines, in the order they are appended.
pub const MANAGED: [&str; 15] = [
    ".gitignore",
    "codex-accounts.json",
    "codex-accounts.json.tmp.*",
    "codex-accounts.json.*.tmp",
    "quarantine/",
    "cache/codex-session-affinity.json",
    "cache/codex-snapshots.json",
    "logs/codex-plugin/",
    "*.lock",
    "cache/codex-*",
    "cache/*.lock",
    "logs/",
    "codex-auth.json",
    "codex-auth.json.*.tmp",
    "codex-auth/",
];

/// What has to be appended to `prior`; empty when every line is there.
pub fn missing_lines(prior: &str) -> String {
    let has = |line: &str| prior.lines().any(|known| known.trim() == line);
    let missing: Vec<&str> = MANAGED.into_iter().filter(|line| !has(line)).collect();
    if missing.is_empty() {
        return String::new();
    }
    let gap = if prior.is_empty() || prior.ends_with('\n') { "" } else { "\n" };
    format!("{gap}{}\n", missing.join("\n"))
}

/// Appends what is missing to the `.gitignore` of `dir`. A courtesy: when it cannot be done, nothing else fails.
pub(crate) fn ensure(dir: &Utf8Path) {
    let path = dir.join(".gitignore");
    let prior = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(_) => return,
    };
    let lines = missing_lines(&prior);
    if !lines.is_empty()
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(&path)
    {
        let _ = file.write_all(lines.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prior: &str, begins: &str, appended: usize) {
        let lines = missing_lines(prior);
        assert!(lines.starts_with(begins), "{lines:?}");
        assert_eq!(lines.lines().filter(|line| !line.is_empty()).count(), appended);
        assert_eq!(missing_lines(&format!("{prior}{lines}")), "");
    }

    #[test]
    fn only_missing_lines_are_appended_on_lines_of_their_own_defect_29() {
        check("", ".gitignore\n", 15);
        check("node_modules", "\n.gitignore\n", 15);
        check(" codex-accounts.json \r\nquarantine/\r\n", ".gitignore\n", 13);
    }
}
