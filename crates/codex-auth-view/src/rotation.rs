//! `rotation`: whether sessions are routed, by which agent, and which account serves each of them.

use std::collections::BTreeMap;

use codex_auth_core::{Decision, Fallback, SavedPool, Strategy, Timestamp};
use serde::{Serialize, Serializer};

use crate::{
    row::AccountRow,
    screen::Screen,
    wait::age,
    words::{Lines, plain},
};

/// What the environment says about routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvOverride {
    /// Nothing.
    None,
    /// On.
    Enabled,
    /// Off.
    Disabled,
    /// A word nobody knows; it counts as nothing.
    Invalid(String),
}

impl EnvOverride {
    fn words(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Enabled => "enabled".to_owned(),
            Self::Disabled => "disabled".to_owned(),
            Self::Invalid(raw) => format!("invalid ({})", plain(raw)),
        }
    }
}

impl Serialize for EnvOverride {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.words())
    }
}

/// The agent that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentView {
    /// Its process.
    pub pid: u64,
    /// The port its sessions come to.
    pub port: Option<u64>,
    /// Version of its program.
    pub version: String,
}

/// One routed session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    /// Process that holds the lease.
    pub pid: u64,
    /// Where it works.
    pub cwd: String,
    /// Number of the account that served it last; `None` before its first request.
    pub account: Option<u64>,
    /// When it began, in milliseconds since the epoch.
    pub since: i64,
    /// Model requests so far.
    pub requests: u64,
}

/// What becomes of a request whose model no account that may serve has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct UnsupportedModels {
    policy: &'static str,
    /// The user's own chains.
    chains: BTreeMap<String, Vec<String>>,
    gpt53_to_gpt52: bool,
}

impl UnsupportedModels {
    fn of(fallback: &Fallback) -> Self {
        match fallback.chains() {
            None => Self { policy: "strict", chains: BTreeMap::new(), gpt53_to_gpt52: false },
            Some((own, goes_to_older)) => {
                Self { policy: "fallback", chains: own.clone(), gpt53_to_gpt52: goes_to_older }
            }
        }
    }

    fn words(&self) -> String {
        let Self { policy, chains, gpt53_to_gpt52 } = self;
        let own = chains.iter().map(|(model, names)| format!("{} -> {}", plain(model), plain(&names.join(" -> "))));
        let limit = (*policy == "fallback" && !gpt53_to_gpt52).then(|| "never gpt-5.2-codex unless named".to_owned());
        let more: Vec<_> = own.chain(limit).collect();
        if more.is_empty() { (*policy).to_owned() } else { format!("{policy} ({})", more.join("; ")) }
    }
}

/// Routing as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationStatus {
    #[serde(skip)]
    now: Timestamp,
    enabled: bool,
    stored_setting: Option<bool>,
    env_override: EnvOverride,
    strategy: &'static str,
    unsupported_models: UnsupportedModels,
    agent: Option<AgentView>,
    sessions: Vec<SessionRow>,
    storage_path: String,
    account_count: usize,
    accounts: Vec<AccountRow>,
}

impl RotationStatus {
    /// The accounts of a pool, without an agent and with default settings.
    pub fn new(storage_path: String, pool: &SavedPool, decision: &Decision, now: Timestamp) -> Self {
        Self {
            now,
            enabled: true,
            stored_setting: None,
            env_override: EnvOverride::None,
            strategy: Strategy::default().as_str(),
            unsupported_models: UnsupportedModels::of(&Fallback::strict()),
            agent: None,
            sessions: Vec::new(),
            storage_path,
            account_count: pool.accounts.len(),
            accounts: AccountRow::all(pool, &decision.standings, now),
        }
    }

    /// With these settings in force, what the file says and what the environment says.
    #[must_use]
    pub fn settings(self, in_force: (bool, Strategy), stored_setting: Option<bool>, env_override: EnvOverride) -> Self {
        let (enabled, strategy) = in_force;
        Self { enabled, strategy: strategy.as_str(), stored_setting, env_override, ..self }
    }

    /// With this in force for models that nobody has.
    #[must_use]
    pub fn fallback(self, fallback: &Fallback) -> Self {
        Self { unsupported_models: UnsupportedModels::of(fallback), ..self }
    }

    /// With this agent and its sessions.
    #[must_use]
    pub fn agent(self, agent: AgentView, sessions: Vec<SessionRow>) -> Self {
        Self { agent: Some(agent), sessions, ..self }
    }
}

fn on_or_off(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

impl Screen for RotationStatus {
    fn command(&self) -> &'static str {
        "rotation status"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Runtime rotation proxy: {}", on_or_off(self.enabled)));
        let stored = self.stored_setting.map_or("not set", on_or_off);
        lines.line(&format!("Stored setting: {stored}"));
        lines.line(&format!("Env override: {}", self.env_override.words()));
        lines.line(&format!("Strategy: {}", self.strategy));
        lines.hang(4, &format!("Unsupported models: {}", self.unsupported_models.words()));
        match &self.agent {
            Some(AgentView { pid, port, version }) => {
                let port = port.map_or_else(|| "none yet".to_owned(), |port| port.to_string());
                lines.line(&format!("Agent: running pid={pid}, port={port}, version={}", plain(version)));
                lines.line(&format!("Sessions: {}", self.sessions.len()));
            }
            None => drop(lines.line("Agent: not running (it starts with the first session)")),
        }
        for SessionRow { pid, cwd, account, since, requests } in &self.sessions {
            let account = account.map_or_else(|| "no account yet".to_owned(), |number| format!("account {number}"));
            let since = age(Timestamp::from_millis(*since), self.now);
            lines.hang(4, &format!("  pid {pid}: {account}, {requests} request(s), since {since}, {}", plain(cwd)));
        }
        lines.whole(&format!("Storage: {}", self.storage_path));
        if self.accounts.is_empty() {
            lines.line("Accounts: none configured");
        } else {
            lines.line(&format!("Accounts: {}", self.account_count)).gap();
        }
        for row in &self.accounts {
            row.write(&mut lines, self.now);
        }
        lines.finish()
    }
}

/// Routing was turned on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationChanged {
    ok: bool,
    stored_setting: bool,
    enabled: bool,
    env_override: EnvOverride,
}

impl RotationChanged {
    /// The file says `stored` now; `enabled` is what is in force.
    pub fn new(stored: bool, enabled: bool, env_override: EnvOverride) -> Self {
        Self { ok: true, stored_setting: stored, enabled, env_override }
    }
}

impl Screen for RotationChanged {
    fn command(&self) -> &'static str {
        if self.stored_setting { "rotation enable" } else { "rotation disable" }
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Runtime rotation proxy {}.", on_or_off(self.stored_setting)));
        lines.line(if self.stored_setting {
            "New Codex sessions will route Responses traffic through the localhost proxy."
        } else {
            "New Codex sessions use codex's own login. Sessions that run already stay as they are."
        });
        if self.enabled != self.stored_setting {
            lines.line(&format!(
                "CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY overrides this here: {}.",
                self.env_override.words()
            ));
        }
        lines.finish()
    }
}

/// How accounts are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotationStrategy {
    strategy: &'static str,
    stored_setting: Option<String>,
    known: [&'static str; 6],
}

impl RotationStrategy {
    /// `in_force` chooses; the file says `stored`.
    pub fn new(in_force: Strategy, stored: Option<String>) -> Self {
        Self { strategy: in_force.as_str(), stored_setting: stored, known: Strategy::ALL.map(Strategy::as_str) }
    }
}

impl Screen for RotationStrategy {
    fn command(&self) -> &'static str {
        "rotation strategy"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Strategy: {}", self.strategy));
        let stored = self.stored_setting.as_deref().unwrap_or("not set");
        lines.line(&format!("Stored setting: {}", plain(stored))).gap();
        for strategy in Strategy::ALL {
            let mark = if strategy.as_str() == self.strategy { "*" } else { " " };
            lines.hang(16, &format!("{mark} {:<12}  {}", strategy.as_str(), strategy.in_words()));
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Query, RestPolicy, Rotation, testing};

    use super::*;
    use crate::document;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn status() -> RotationStatus {
        let pool = testing::pool(2);
        let decision =
            Rotation::new(pool.clone(), Strategy::Hybrid, RestPolicy::default()).decide(&Query::default(), NOW);
        RotationStatus::new("/home/a/.codex/multi-auth/openai-codex-accounts.json".to_owned(), &pool, &decision, NOW)
    }

    #[test]
    fn without_an_agent() {
        let off = status().settings((false, Strategy::Sequential), Some(true), EnvOverride::Disabled);
        insta::assert_snapshot!(off.text(80));
    }

    #[test]
    fn with_two_sessions() {
        let session = |pid, account| SessionRow {
            pid,
            cwd: format!("/home/a/project-{pid}"),
            account,
            since: 1_800_000_000_000 - 732_000,
            requests: 4,
        };
        let agent = AgentView { pid: 4711, port: Some(40_123), version: "0.1.0".to_owned() };
        let status = status()
            .settings((true, Strategy::Hybrid), None, EnvOverride::Invalid("maybe".to_owned()))
            .fallback(&Fallback::along([("gpt-5.5".to_owned(), vec!["a".to_owned(), "b".to_owned()])], false))
            .agent(agent, vec![session(1, Some(2)), session(2, None)]);
        insta::assert_snapshot!(format!("{}\n{}", status.text(80), document(&status)));
    }

    #[test]
    fn a_change_the_environment_overrides_says_so() {
        let changed = RotationChanged::new(true, false, EnvOverride::Disabled).text(200);
        assert!(
            changed.ends_with("CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY overrides this here: disabled.\n"),
            "{changed}"
        );
    }

    #[test]
    fn the_strategy_in_force_is_marked() {
        let text = RotationStrategy::new(Strategy::Sticky, None).text(200);
        assert!(text.starts_with("Strategy: sticky\nStored setting: not set\n"), "{text}");
        assert!(text.contains("* sticky ") && text.contains("  hybrid "), "{text}");
    }
}
