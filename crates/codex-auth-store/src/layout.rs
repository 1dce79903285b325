//! Owns where every file is: one resolution at start, then values that are handed down.
//!
//! The rules for the root are the predecessor's, so that both programs open the same files.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{IdentityKey, RecordId};

use crate::{fs::os, hash::sha256_hex, opencode::OPENCODE_ACCOUNTS, project::lexically};

mod opencode;

pub(crate) use opencode::PoolFormat;
pub use opencode::opencode_config_root;

/// Name of the accounts document of the predecessor's command line.
pub const ACCOUNTS: &str = "openai-codex-accounts.json";
const SIGNALS: [&str; 6] =
    [ACCOUNTS, OPENCODE_ACCOUNTS, "settings.json", "config.json", "dashboard-settings.json", "projects"];

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
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<String>,
    /// `CODEX_CLI_AUTH_PATH`: the login file of the default client, where it is not in its home.
    pub client_auth: Option<String>,
    /// `CODEX_CLI_ACCOUNTS_PATH`: likewise its list of logins.
    pub client_accounts: Option<String>,
    /// `CODEX_CLI_CONFIG_PATH`: likewise its configuration.
    pub client_config: Option<String>,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    base: Utf8PathBuf,
    root: Utf8PathBuf,
    home: Utf8PathBuf,
    client: ClientFiles,
    refresh_locks: Utf8PathBuf,
    opencode: Utf8PathBuf,
    format: PoolFormat,
}

/// The files of one official client that we read or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// Its home; the lock of the home lies there.
    pub home: Utf8PathBuf,
    /// Its login.
    pub auth: Utf8PathBuf,
    /// Its list of logins, which older clients and other tools keep.
    pub accounts: Utf8PathBuf,
    /// Its configuration.
    pub config: Utf8PathBuf,
}

impl ClientFiles {
    /// The files of the client whose home this is.
    pub fn of(home: impl Into<Utf8PathBuf>) -> Self {
        let home = home.into();
        let (accounts, config) = (home.join("accounts.json"), home.join("config.toml"));
        Self { auth: auth_json_of(&home), accounts, config, home }
    }
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
            xdg_config_home: value("XDG_CONFIG_HOME"),
            client_auth: value("CODEX_CLI_AUTH_PATH"),
            client_accounts: value("CODEX_CLI_ACCOUNTS_PATH"),
            client_config: value("CODEX_CLI_CONFIG_PATH"),
        }
    }

    fn client(&self) -> ClientFiles {
        let usual = ClientFiles::of(self.codex_home());
        let place = |told: &Option<String>, usual| set(told.as_ref()).map_or(usual, Utf8PathBuf::from);
        ClientFiles {
            auth: place(&self.client_auth, usual.auth),
            accounts: place(&self.client_accounts, usual.accounts),
            config: place(&self.client_config, usual.config),
            home: usual.home,
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
        let base = root_of(inputs, names_in);
        Self {
            root: base.clone(),
            base,
            home: inputs.home.trim().into(),
            client: inputs.client(),
            refresh_locks: state.join("codex-auth/refresh"),
            opencode: opencode_config_root(Utf8Path::new(inputs.home.trim()), inputs.xdg_config_home.as_deref()),
            format: PoolFormat::CommandLine,
        }
    }

    /// The same with the pool kept in `root`; what all pools share stays where it was.
    #[must_use]
    pub fn with_pool_in(self, root: Utf8PathBuf) -> Self {
        Self { root, ..self }
    }

    /// Directory of the pool of the project with this key.
    pub fn project_root(&self, key: &str) -> Utf8PathBuf {
        self.base.join("projects").join(key)
    }

    /// Directory of the pool in effect: accounts, sidecar, journal, log, agent.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Directory of what all pools of the user share: settings, policies, quotas, the ledger. The pool's own, unless a
    /// project has a pool of its own.
    pub fn base(&self) -> &Utf8Path {
        &self.base
    }

    /// The official client's home.
    pub fn codex_home(&self) -> &Utf8Path {
        &self.client.home
    }

    /// The user's home directory.
    pub fn home(&self) -> &Utf8Path {
        &self.home
    }

    /// The files of the client with this home; the default one's may lie elsewhere.
    pub fn client_files(&self, codex_home: &Utf8Path) -> ClientFiles {
        if codex_home == self.client.home { self.client.clone() } else { ClientFiles::of(codex_home) }
    }

    /// The accounts document.
    pub fn accounts(&self) -> Utf8PathBuf {
        self.document_dir().join(self.format.accounts())
    }

    /// The predecessor's mark that the pool was cleared on purpose.
    pub fn reset_intent(&self) -> Utf8PathBuf {
        self.root.join(format!("{ACCOUNTS}.reset-intent"))
    }

    /// What the predecessor's documents have no room for.
    pub fn sidecar(&self) -> Utf8PathBuf {
        self.sidecar_dir().join("codex-auth.json")
    }

    /// Settings of the predecessor's format.
    pub fn settings(&self) -> Utf8PathBuf {
        self.base().join("settings.json")
    }

    /// The official client's login.
    pub fn auth_json(&self) -> Utf8PathBuf {
        self.client.auth.clone()
    }

    /// The official client's configuration.
    pub fn config_toml(&self) -> Utf8PathBuf {
        self.client.config.clone()
    }

    /// Directory of the copies made before the official client's configuration is changed.
    pub fn config_copies_dir(&self) -> Utf8PathBuf {
        self.base().join("config-copies")
    }

    /// Directory of the named backups.
    pub fn backups_dir(&self) -> Utf8PathBuf {
        self.root.join("backups")
    }

    /// Directory of the refresh journal.
    pub fn journal_dir(&self) -> Utf8PathBuf {
        self.root.join("journal")
    }

    /// The journal of one account's refresh.
    pub fn refresh_journal(&self, record: &RecordId) -> Utf8PathBuf {
        self.journal_dir().join(format!("refresh-{}.json", &sha256_hex(record.as_str())[..16]))
    }

    /// A change of several files, from the moment it counts until all of them say so.
    pub fn change_journal(&self) -> Utf8PathBuf {
        self.journal_dir().join("change.bin")
    }

    /// The newest credential of an account, for the day its document goes back to an older one.
    pub fn kept_credential(&self, record: &RecordId) -> Utf8PathBuf {
        self.kept_credentials().join(format!("refresh-{}.json", &sha256_hex(record.as_str())[..16]))
    }

    /// Where the newest credential of each account is kept.
    pub fn kept_credentials(&self) -> Utf8PathBuf {
        self.journal_dir().join("kept")
    }

    /// What a renewal bought with the token of this hash, when the account had another one by then.
    pub fn spare_credential(&self, record: &RecordId, spent_hash: &str) -> Utf8PathBuf {
        let (dir, prefix) = self.spare_credentials(record);
        dir.join(format!("{prefix}{}.json", &sha256_hex(spent_hash)[..16]))
    }

    /// Where all of those of an account lie, and how their names begin.
    pub(crate) fn spare_credentials(&self, record: &RecordId) -> (Utf8PathBuf, String) {
        (self.journal_dir().join("kept"), format!("spare-{}-", &sha256_hex(record.as_str())[..16]))
    }

    /// The predecessor's journal of a save; there only while it saves, or after it was stopped.
    pub fn predecessors_journal(&self) -> Utf8PathBuf {
        self.root.join(format!("{ACCOUNTS}.wal"))
    }

    /// Copies of the pool at earlier times.
    pub fn history_dir(&self) -> Utf8PathBuf {
        self.pool_dir().join("history")
    }

    /// Directory of the agent's own files.
    pub fn agent_dir(&self) -> Utf8PathBuf {
        self.root.join("agent")
    }

    /// The log of changes a person made.
    pub fn oplog(&self) -> Utf8PathBuf {
        self.pool_dir().join("oplog/ops.jsonl")
    }

    /// Directory of the logs that were asked for: the plugin's where the document is OpenCode's, else our own.
    pub fn logs_dir(&self) -> Utf8PathBuf {
        match &self.format {
            PoolFormat::CommandLine => self.base.join("logs"),
            PoolFormat::OpenCode { config_root, .. } => config_root.join("logs/codex-plugin"),
        }
    }

    /// Directory of files that could not be used.
    pub fn quarantine_dir(&self) -> Utf8PathBuf {
        self.document_dir().join("quarantine")
    }

    /// Lock of everything under the root.
    pub fn root_lock(&self) -> Utf8PathBuf {
        self.root.join(".lock")
    }

    /// Lock of everything under the base that belongs to no single pool.
    pub fn base_lock(&self) -> Utf8PathBuf {
        self.base.join(".lock")
    }

    /// The predecessor's refresh lease of a token, by the token's hash; waited for, never created.
    pub fn refresh_lease(&self, token_hash: &str) -> Utf8PathBuf {
        self.base.join("refresh-leases").join(format!("{token_hash}.lock"))
    }

    /// Lock of whoever presents a refresh token at this moment, shared by all products of this user.
    pub fn presenting_lock(&self) -> Utf8PathBuf {
        self.refresh_locks.join("presenting.lock")
    }

    /// Directory of what all products of this user share about refreshing.
    pub fn refresh_dir(&self) -> &Utf8Path {
        &self.refresh_locks
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
    [ACCOUNTS, OPENCODE_ACCOUNTS].iter().any(|stem| match name.strip_prefix(stem) {
        Some("") => true,
        Some(rest) => {
            let is_passing = rest.strip_suffix(".tmp").is_some() || rest.contains(".rotate.");
            rest.len() > 1 && rest.starts_with('.') && !is_passing
        }
        None => false,
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
    fn the_default_clients_files_may_lie_elsewhere() {
        let given = |name: &str| match name {
            "CODEX_CLI_AUTH_PATH" => Some(" /x/auth.json ".into()),
            "CODEX_CLI_CONFIG_PATH" => Some("/y/config.toml".into()),
            "CODEX_CLI_ACCOUNTS_PATH" => Some(" ".into()),
            _ => None,
        };
        let inputs = LayoutInputs::from_values(given, Some("/home/a".into()));
        let layout = Layout::resolve_with(&inputs, &|_| Vec::new());
        let own = layout.client_files(layout.codex_home());
        let all = [own.home, own.auth, own.accounts, own.config];
        assert_eq!(all, ["/home/a/.codex", "/x/auth.json", "/home/a/.codex/accounts.json", "/y/config.toml"]);
        assert_eq!(layout.client_files("/c".into()), ClientFiles::of("/c"));
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
