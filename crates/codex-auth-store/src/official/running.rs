//! Owns which official clients run on a home without us: they keep the login they began with, and renew it themselves.
//!
//! Linux tells; where there is no `/proc`, nothing is said.

use camino::{Utf8Path, Utf8PathBuf};

use crate::fs::{Fs, os, os::OsFs};

/// What the system tells of a process.
#[derive(Debug, Clone, Copy)]
struct Seen<'a> {
    /// The file it runs.
    program: &'a str,
    /// Its environment, as it was started with: `NAME=value`, each ended by a zero byte.
    environment: &'a [u8],
}

/// The processes of official clients on this home that do not renew their login through us, in order.
pub fn plain_clients(codex_home: &Utf8Path) -> Vec<u32> {
    let proc = Utf8Path::new("/proc");
    let daemon = OsFs.read(&codex_home.join("app-server-daemon/daemon.pid")).ok().and_then(|bytes| pid_in(&bytes));
    let named = os::names_in(proc).unwrap_or_default();
    let mut found: Vec<u32> = named
        .iter()
        .filter_map(|name| name.parse::<u32>().ok())
        .filter(|pid| {
            let dir = proc.join(pid.to_string());
            // Processes of other users, and those that have ended meanwhile, tell nothing.
            let Ok(program) = dir.join("exe").read_link_utf8() else { return false };
            let Ok(environment) = OsFs.read(&dir.join("environ")) else { return false };
            let seen = Seen { program: program.as_str(), environment: &environment };
            seen.is_plain_client()
                && (daemon == Some(*pid) || seen.codex_home().is_some_and(|home| is_same(&home, codex_home)))
        })
        .collect();
    found.sort_unstable();
    found
}

fn is_same(left: &Utf8Path, right: &Utf8Path) -> bool {
    let real = |path: &Utf8Path| path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    left == right || real(left) == real(right)
}

impl Seen<'_> {
    /// Whether it is an official client whose refreshes do not come to an agent of ours.
    fn is_plain_client(self) -> bool {
        // A program that was replaced while it runs is called so by the system.
        let program = self.program.strip_suffix(" (deleted)").unwrap_or(self.program);
        let name = Utf8Path::new(program).file_name().unwrap_or_default();
        let is_client = name == "codex" || ["codex-x86_64-", "codex-aarch64-"].iter().any(|by| name.starts_with(by));
        let is_ours = |url: &str| url.starts_with("http://127.0.0.1:");
        is_client && !self.variable("CODEX_REFRESH_TOKEN_URL_OVERRIDE").is_some_and(is_ours)
    }

    /// Its home, by the client's own rule.
    fn codex_home(self) -> Option<Utf8PathBuf> {
        let told = self.variable("CODEX_HOME").filter(|told| !told.is_empty()).map(Utf8PathBuf::from);
        told.or_else(|| Some(Utf8Path::new(self.variable("HOME")?).join(".codex")))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let all = self.environment.split(|byte| *byte == 0);
        let mut values = all.filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(name)?.strip_prefix('='));
        values.next()
    }
}

/// The process in the daemon's own file, which is a number or a document with one.
fn pid_in(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let told = || serde_json::from_str::<serde_json::Value>(text).ok()?.get("pid")?.as_u64();
    text.parse().ok().or_else(|| told().and_then(|pid| u32::try_from(pid).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: &str, environment: &str, expect: Option<&str>) {
        let environment = environment.replace(' ', "\0");
        let seen = Seen { program, environment: environment.as_bytes() };
        let home = seen.is_plain_client().then(|| seen.codex_home()).flatten();
        assert_eq!(home.as_deref().map(Utf8Path::as_str), expect, "{program} {environment}");
    }

    #[test]
    fn a_client_is_told_by_its_program_and_its_home() {
        check("/usr/lib/codex", "HOME=/home/a", Some("/home/a/.codex"));
        check("/usr/lib/codex", "HOME=/home/a CODEX_HOME=/c", Some("/c"));
        check("/usr/lib/codex", "CODEX_HOME= HOME=/home/a", Some("/home/a/.codex"));
        check("/x/codex-x86_64-unknown-linux-musl (deleted)", "CODEX_HOME=/c", Some("/c"));
        check("/usr/lib/codex", "OTHER=1", None);
        for other in ["/usr/bin/codex-multi-auth", "/x/codex-code-mode-host", "/usr/bin/node", "/x/mycodex", ""] {
            check(other, "CODEX_HOME=/c", None);
        }
    }

    #[test]
    fn a_client_whose_refreshes_come_to_us_is_not_plain() {
        check("/x/codex", "CODEX_HOME=/c CODEX_REFRESH_TOKEN_URL_OVERRIDE=http://127.0.0.1:9/oauth/token", None);
        check("/x/codex", "CODEX_HOME=/c CODEX_REFRESH_TOKEN_URL_OVERRIDE=https://else.test/token", Some("/c"));
        check("/x/codex", "CODEX_HOME=/c MY_CODEX_HOME=/d", Some("/c"));
    }

    #[test]
    fn the_daemons_file_names_it() {
        assert_eq!(pid_in(b"17\n"), Some(17));
        assert_eq!(pid_in(br#"{"pid":17,"version":"x"}"#), Some(17));
        assert_eq!(pid_in(b"soon"), None);
        assert_eq!(pid_in(b"\xff"), None);
    }

    #[test]
    fn nobody_runs_on_a_home_that_is_not_there() {
        assert!(plain_clients(Utf8Path::new("/nowhere/at/all")).is_empty());
    }
}
