//! `app-bind/`: how the desktop app is bound, the configuration as it was before, and what its router says.

use codex_auth_core::{ClientToken, Timestamp};
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// The binding. It holds a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppBind {
    /// Operating system, as the predecessor names it.
    pub platform: Option<String>,
    /// Where the router listens.
    pub host: Option<String>,
    /// On which port; never 0 once bound.
    pub port: Option<u16>,
    /// The address in the configuration.
    pub base_url: Option<String>,
    /// The configuration that was bound.
    pub config_path: Option<String>,
    /// What the app shows to the router.
    pub client_key: Option<ClientToken>,
    /// What proves that a process is this router.
    pub identity: Option<ClientToken>,
    /// The start-up item, where there is one.
    pub startup_path: Option<String>,
    /// Hash of the configuration as it was written.
    pub bound_hash: Option<String>,
    /// When it was bound.
    pub updated_at: Option<Timestamp>,
}

/// The configuration as it was before it was bound. Written once, never over an older one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigBackup {
    /// Which file.
    pub config_path: Option<String>,
    /// Whether there was one.
    pub existed: bool,
    /// Its text.
    pub content: Option<String>,
    /// When it was kept.
    pub created_at: Option<Timestamp>,
}

/// What the router says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouterStatus {
    /// `running`, `stopped` or `error`.
    pub state: Option<String>,
    /// Its process.
    pub pid: Option<u64>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// Where it listens.
    pub base_url: Option<String>,
    /// Place of the last account, from 0.
    pub last_account_index: Option<u64>,
    /// Workspace of the last account.
    pub last_account_id: Option<String>,
    /// When it said this.
    pub updated_at: Option<Timestamp>,
    /// What went wrong.
    pub last_error: Option<String>,
}

impl ConfigBackup {
    /// Keeps the configuration, unless one is kept already; returns whether it did.
    pub fn keep(&mut self, path: &str, content: Option<&str>, now: Timestamp) -> bool {
        let is_new = self.created_at.is_none();
        if is_new {
            *self = Self {
                config_path: Some(path.to_owned()),
                existed: content.is_some(),
                content: content.map(str::to_owned),
                created_at: Some(now),
            };
        }
        is_new
    }
}

impl RouterStatus {
    /// Whether a router ran when this was written, at most a day ago.
    pub fn is_running(&self, now: Timestamp) -> bool {
        let day = std::time::Duration::from_hours(24);
        self.state.as_deref() == Some("running") && self.updated_at.is_some_and(|at| now.since(at) <= day)
    }
}

impl Document for AppBind {
    const NAME: &'static str = "app-bind/runtime-rotation-app-bind.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        Self {
            platform: text(object, "platform"),
            host: text(object, "host"),
            port: json::count(object, "port").and_then(|port| u16::try_from(port).ok()),
            base_url: text(object, "baseUrl"),
            config_path: text(object, "configPath"),
            client_key: json::text(object, "clientApiKey").map(ClientToken::new),
            identity: json::text(object, "identityToken").map(ClientToken::new),
            startup_path: text(object, "startupPath"),
            bound_hash: text(object, "boundConfigHash"),
            updated_at: json::millis(object, "updatedAt"),
        }
    }

    fn encode(&self, object: &mut Object) {
        put(object, "platform", self.platform.as_deref());
        put(object, "host", self.host.as_deref());
        json::set(object, "port", self.port.map(|port| json!(port)));
        put(object, "baseUrl", self.base_url.as_deref());
        put(object, "configPath", self.config_path.as_deref());
        put(object, "clientApiKey", self.client_key.as_ref().map(ClientToken::expose));
        put(object, "identityToken", self.identity.as_ref().map(ClientToken::expose));
        json::set(object, "startupPath", Some(json!(self.startup_path)));
        put(object, "boundConfigHash", self.bound_hash.as_deref());
        instant(object, "updatedAt", self.updated_at);
    }
}

impl Document for ConfigBackup {
    const NAME: &'static str = "app-bind/codex-config-backup.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        Self {
            config_path: text(object, "configPath"),
            existed: json::flag(object, "existed").unwrap_or(false),
            // The text as it stands, with the spaces around it.
            content: object.get("content").and_then(Value::as_str).map(str::to_owned),
            created_at: json::millis(object, "createdAt"),
        }
    }

    fn encode(&self, object: &mut Object) {
        put(object, "configPath", self.config_path.as_deref());
        json::set(object, "existed", Some(json!(self.existed)));
        json::set(object, "content", Some(json!(self.content)));
        instant(object, "createdAt", self.created_at);
    }
}

impl Document for RouterStatus {
    const NAME: &'static str = "app-bind/runtime-rotation-app-bind-status.json";
    const SCHEMA: Schema = Schema::VersionsOrNone(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        Self {
            state: text(object, "state"),
            pid: json::count(object, "pid"),
            started_at: json::millis(object, "startedAt"),
            base_url: text(object, "baseUrl"),
            last_account_index: json::count(object, "lastAccountIndex"),
            last_account_id: text(object, "lastAccountId"),
            updated_at: json::millis(object, "updatedAt"),
            last_error: text(object, "lastError"),
        }
    }

    fn encode(&self, object: &mut Object) {
        put(object, "state", self.state.as_deref());
        json::set(object, "pid", self.pid.map(|pid| json!(pid)));
        instant(object, "startedAt", self.started_at);
        put(object, "baseUrl", self.base_url.as_deref());
        json::set(object, "lastAccountIndex", Some(json!(self.last_account_index)));
        json::set(object, "lastAccountId", Some(json!(self.last_account_id)));
        instant(object, "updatedAt", self.updated_at);
        json::set(object, "lastError", Some(json!(self.last_error)));
    }
}

fn text(object: &Object, key: &str) -> Option<String> {
    json::text(object, key).map(str::to_owned)
}

fn put(object: &mut Object, key: &str, text: Option<&str>) {
    json::set(object, key, text.map(|text| json!(text)));
}

fn instant(object: &mut Object, key: &str, at: Option<Timestamp>) {
    json::set(object, key, at.map(|at| json!(at.as_millis())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_backup_is_never_replaced_by_a_bound_configuration() {
        let (mut backup, now) = (ConfigBackup::default(), Timestamp::from_millis(5));
        assert!(backup.keep("c.toml", Some(" mine \n"), now));
        assert!(!backup.keep("c.toml", Some("bound"), now));
        let mut object = Object::new();
        backup.encode(&mut object);
        assert_eq!(ConfigBackup::decode(&object).content.as_deref(), Some(" mine \n"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let bind = AppBind { client_key: Some(ClientToken::new("CANARY")), ..AppBind::default() };
        assert!(!format!("{bind:?}").contains("CANARY"));
    }

    #[test]
    fn a_router_of_yesterday_runs_no_more() {
        let at = |secs| Some(Timestamp::from_secs(secs));
        let status = RouterStatus { state: Some("running".into()), updated_at: at(0), ..RouterStatus::default() };
        assert!(status.is_running(Timestamp::from_secs(86_400)));
        assert!(!status.is_running(Timestamp::from_secs(86_401)));
    }
}
