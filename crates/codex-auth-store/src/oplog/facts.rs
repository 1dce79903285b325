//! Owns what the log says of one account: all that a person decided, and its secrets as digits of a hash.

use codex_auth_core::{AccessToken, Held, RecordId, UserId, WorkspaceId};
use serde_json::{Value, json};

use crate::{
    hash::sha256_hex,
    json::{self, Object},
};

/// Digits of a hash that stand for a secret.
const DIGITS: usize = 12;

/// One account on one side of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) record: RecordId,
    /// Its place in the pool, from zero.
    pub(crate) place: usize,
    pub(crate) email: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) label: Option<String>,
    pub(crate) enabled: bool,
    user: Option<String>,
    workspace: Option<String>,
    needs_login: Option<String>,
    generation: u64,
    refresh: Option<String>,
    access: Option<String>,
}

impl Facts {
    /// What is to be said of an account at this place.
    pub(crate) fn of(held: &Held, place: usize) -> Self {
        let Held { account, credential } = held;
        let digits = |secret: &str| sha256_hex(secret)[..DIGITS].to_owned();
        Self {
            record: account.record.clone(),
            place,
            email: account.owner.email.clone(),
            alias: account.alias.clone(),
            label: account.label.clone(),
            enabled: account.enabled,
            user: account.owner.user.as_ref().map(UserId::to_string),
            workspace: account.owner.workspace.as_ref().map(WorkspaceId::to_string),
            needs_login: account.needs_login.as_ref().map(|needs| needs.code.clone()),
            generation: credential.generation,
            refresh: Some(digits(credential.refresh.expose())),
            access: credential.access.as_ref().map(AccessToken::expose).map(digits),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "record": self.record.as_str(), "place": self.place, "email": self.email,
            "userId": self.user, "workspaceId": self.workspace,
            "alias": self.alias, "label": self.label, "enabled": self.enabled, "needsLogin": self.needs_login,
            "generation": self.generation, "refreshToken": self.refresh, "accessToken": self.access,
        })
    }

    pub(super) fn of_json(facts: &Object) -> Option<Self> {
        let text = |key: &str| json::text(facts, key).map(str::to_owned);
        let number = |key: &str| facts.get(key).and_then(json::integer).unwrap_or(0);
        Some(Self {
            record: RecordId::parse(json::text(facts, "record")?)?,
            place: usize::try_from(number("place")).unwrap_or(0),
            email: text("email"),
            alias: text("alias"),
            label: text("label"),
            enabled: facts.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            user: text("userId"),
            workspace: text("workspaceId"),
            needs_login: text("needsLogin"),
            generation: u64::try_from(number("generation")).unwrap_or(0),
            refresh: text("refreshToken"),
            access: text("accessToken"),
        })
    }
}
