//! Owns where every file is: one resolution at start, then values that are handed down.
//!
//! The rules for the root are the predecessor's, so that both programs open the same files.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{IdentityKey, RecordId};

use crate::{fs::os, hash::sha256_hex};

/// Name of the accounts document of the predecessor's command line.
pub const ACCOUNTS: &str = "openai-codex-accounts.json";
/// A name that only marks a directory as the root; nothing reads its content here.
const FOREIGN_ACCOUNTS: &str = "codex-accounts.json";
const SIGNALS: [&str; 6] =
    [ACCOUNTS, FOREIGN_ACCOUNTS, "settings.json", "config.json", "dashboard-settings.json", "projects"];

/// What the environment says about places. Values are trimmed; a blank one counts as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayoutInputs {
    /// Home directory of the user.
    pub home: String,
    /// `CODEX_HOME`.
    pub codex_home: Option<String>,
    /// `CODEX_MULTI_AUTH_DIR`.
    pub multi_auth_dir: Option<String>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<String>,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: Utf8PathBuf,
    codex_home: Utf8PathBuf,
    refresh_locks: Utf8PathBuf,
}

impl LayoutInputs {
    /// Picks the variables that matter; `os_home` stands in where `HOME` is unset.
    pub fn from_values(lookup: impl Fn(&str) -> Option<String>, os_home: Option<String>) -> Self {
        let value = |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Self {
            home: value("HOME").or(os_home).unwrap_or_else(|| "/".to_owned()),
            codex_home: value("CODEX_HOME"),
            multi_auth_dir: value("CODEX_MULTI_AUTH_DIR"),
            xdg_state_home: value("XDG_STATE_HOME"),
        }
    }

    /// The official client's home where no variable names another.
    pub fn default_codex_home(&self) -> Utf8PathBuf {
        Utf8Path::new(self.home.trim()).join(".codex")
    }

    fn codex_home(&self) -> Utf8PathBuf {
        set(self.codex_home.as_ref()).map_or_else(|| self.default_codex_home(), Utf8PathBuf::from)
    }
}

impl Layout {
    /// Resolves against the disk as it is now.
    pub fn resolve(inputs: &LayoutInputs) -> Self {
        Self::resolve_with(inputs, &|dir| os::names_in(dir).unwrap_or_default())
    }

    /// Resolves with `names_in`, which lists the names in a directory and nothing for one that is not there.
    pub fn resolve_with(inputs: &LayoutInputs, names_in: &dyn Fn(&Utf8Path) -> Vec<String>) -> Self {
        let state = set(inputs.xdg_state_home.as_ref())
            .map_or_else(|| Utf8Path::new(inputs.home.trim()).join(".local/state"), Utf8PathBuf::from);
        Self {
            root: root_of(inputs, names_in),
            codex_home: inputs.codex_home(),
            refresh_locks: state.join("codex-auth/refresh"),
        }
    }

    /// Directory of the pool in effect: accounts, sidecar, journal, log, agent.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Directory of what all pools of the user share: settings, policies, quotas, the ledger. The pool's own, unless a
    /// project has a pool of its own.
    pub fn base(&self) -> &Utf8Path {
        &self.root
    }

    /// The official client's home.
    pub fn codex_home(&self) -> &Utf8Path {
        &self.codex_home
    }

    /// The accounts document.
    pub fn accounts(&self) -> Utf8PathBuf {
        self.root.join(ACCOUNTS)
    }

    /// The predecessor's mark that the pool was cleared on purpose.
    pub fn reset_intent(&self) -> Utf8PathBuf {
        self.root.join(format!("{ACCOUNTS}.reset-intent"))
    }

    /// What the predecessor's documents have no room for.
    pub fn sidecar(&self) -> Utf8PathBuf {
        self.root.join("codex-auth.json")
    }

    /// Settings of the predecessor's format.
    pub fn settings(&self) -> Utf8PathBuf {
        self.base().join("settings.json")
    }

    /// The official client's login.
    pub fn auth_json(&self) -> Utf8PathBuf {
        auth_json_of(&self.codex_home)
    }

    /// Directory of the refresh journal.
    pub fn journal_dir(&self) -> Utf8PathBuf {
        self.root.join("journal")
    }

    /// The journal of one account's refresh.
    pub fn refresh_journal(&self, record: &RecordId) -> Utf8PathBuf {
        self.journal_dir().join(format!("refresh-{}.json", &sha256_hex(record.as_str())[..16]))
    }

    /// Directory of the agent's own files.
    pub fn agent_dir(&self) -> Utf8PathBuf {
        self.root.join("agent")
    }

    /// The log of changes a person made.
    pub fn oplog(&self) -> Utf8PathBuf {
        self.root.join("oplog/ops.jsonl")
    }

    /// Directory of files that could not be used.
    pub fn quarantine_dir(&self) -> Utf8PathBuf {
        self.root.join("quarantine")
    }

    /// Lock of everything under the root.
    pub fn root_lock(&self) -> Utf8PathBuf {
        self.root.join(".lock")
    }

    /// The predecessor's refresh lease of a token, by the token's hash; waited for, never created.
    pub fn refresh_lease(&self, token_hash: &str) -> Utf8PathBuf {
        self.root.join("refresh-leases").join(format!("{token_hash}.lock"))
    }

    /// Lock of one identity's refresh token, shared by all products of this user; by record while the identity is
    /// unknown.
    pub fn refresh_lock(&self, identity: Option<&IdentityKey>, record: &RecordId) -> Utf8PathBuf {
        let name = identity
            .map_or_else(|| sha256_hex(record.as_str()), |key| sha256_hex(format!("{}\0{}", key.user, key.workspace)));
        self.refresh_locks.join(format!("{name}.lock"))
    }
}

/// The login file of an official client's home.
pub fn auth_json_of(codex_home: &Utf8Path) -> Utf8PathBuf {
    codex_home.join("auth.json")
}

fn set(value: Option<&String>) -> Option<&str> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn root_of(inputs: &LayoutInputs, names_in: &dyn Fn(&Utf8Path) -> Vec<String>) -> Utf8PathBuf {
    if let Some(dir) = set(inputs.multi_auth_dir.as_ref()) {
        return dir.into();
    }
    let primary = inputs.codex_home().join("multi-auth");
    if lexically(&inputs.codex_home()) != lexically(&inputs.default_codex_home()) {
        return primary;
    }
    let home = Utf8Path::new(inputs.home.trim());
    let candidates = [
        primary.clone(),
        home.join("DevTools/config/codex/multi-auth"),
        home.join(".codex/multi-auth"),
        home.join(".codex"),
    ];
    let found =
        |test: fn(&str) -> bool| candidates.iter().find(|dir| names_in(dir).iter().any(|name| test(name))).cloned();
    found(is_account_storage).or_else(|| found(|name| SIGNALS.contains(&name))).unwrap_or(primary)
}

fn is_account_storage(name: &str) -> bool {
    [ACCOUNTS, FOREIGN_ACCOUNTS].iter().any(|stem| match name.strip_prefix(stem) {
        Some("") => true,
        Some(rest) => {
            let is_passing = rest.strip_suffix(".tmp").is_some() || rest.contains(".rotate.");
            rest.len() > 1 && rest.starts_with('.') && !is_passing
        }
        None => false,
    })
}

/// The path with `.` and `..` resolved by text and without trailing separators.
fn lexically(path: &Utf8Path) -> Utf8PathBuf {
    path.components().fold(Utf8PathBuf::new(), |mut out, part| {
        match part.as_str() {
            "." => {}
            ".." => drop(out.pop()),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> LayoutInputs {
        LayoutInputs { home: "/home/a".into(), ..LayoutInputs::default() }
    }

    #[track_caller]
    fn check(inputs: &LayoutInputs, files: &[&str], root: &str) {
        let names_in = |dir: &Utf8Path| {
            let under = |file: &&str| Utf8Path::new(file).parent() == Some(dir);
            files
                .iter()
                .filter(|file| under(file))
                .filter_map(|file| Utf8Path::new(file).file_name())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(Layout::resolve_with(inputs, &names_in).root(), root);
    }

    #[test]
    fn an_explicit_directory_wins() {
        let explicit =
            LayoutInputs { multi_auth_dir: Some(" /srv/pool ".into()), codex_home: Some("/c".into()), ..inputs() };
        check(&explicit, &[], "/srv/pool");
    }

    #[test]
    fn another_codex_home_is_not_searched() {
        let custom = LayoutInputs { codex_home: Some("/c".into()), ..inputs() };
        check(&custom, &["/home/a/.codex/openai-codex-accounts.json"], "/c/multi-auth");
        let same = LayoutInputs { codex_home: Some("/home/a/x/../.codex/".into()), ..inputs() };
        check(&same, &["/home/a/.codex/openai-codex-accounts.json"], "/home/a/.codex");
    }

    #[test]
    fn accounts_win_over_signals_and_signals_over_nothing() {
        check(&inputs(), &[], "/home/a/.codex/multi-auth");
        check(&inputs(), &["/home/a/.codex/settings.json"], "/home/a/.codex");
        let both = ["/home/a/.codex/multi-auth/settings.json", "/home/a/.codex/openai-codex-accounts.json.wal"];
        check(&inputs(), &both, "/home/a/.codex");
        check(&inputs(), &["/home/a/.codex/openai-codex-accounts.json.1.tmp"], "/home/a/.codex/multi-auth");
    }

    #[test]
    fn blank_means_unset() {
        let found =
            LayoutInputs::from_values(|name| (name == "CODEX_HOME").then(|| "  ".into()), Some("/home/a".into()));
        assert_eq!(found, inputs());
    }

    #[test]
    fn one_identity_has_one_lock_in_every_product() {
        let layout = Layout::resolve_with(&inputs(), &|_| Vec::new());
        let record = RecordId::parse("record:1").expect("not blank");
        let key = IdentityKey {
            user: codex_auth_core::UserId::parse("user-1").expect("not blank"),
            workspace: codex_auth_core::WorkspaceId::parse("ws-1").expect("not blank"),
        };
        let name = sha256_hex("user-1\0ws-1");
        assert_eq!(
            layout.refresh_lock(Some(&key), &record),
            format!("/home/a/.local/state/codex-auth/refresh/{name}.lock")
        );
        assert_ne!(layout.refresh_lock(None, &record), layout.refresh_lock(Some(&key), &record));
    }
}
