//! `account-policies.json`: what the user wants of single accounts: tags, weight, pause, drain, note.

use std::collections::BTreeMap;

use codex_auth_core::{Account, Timestamp};
use serde_json::json;

use super::{
    rows::{self, Row},
    words::{cut, plain_or, set_of, slug},
};
use crate::{
    hash::sha256_hex,
    json::{self, Object},
    state_file::{Document, Recovery, Schema, no_object},
};

const TABLE: &str = "accounts";
const LONGEST_NOTE: usize = 500;

/// All policies. Broken, they decide nothing and are never written over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountPolicies {
    /// By policy key.
    pub accounts: BTreeMap<String, AccountPolicy>,
}

/// What is wanted of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountPolicy {
    /// Normalised, sorted; see [`tag`].
    pub tags: Vec<String>,
    /// 0 to 10; see [`weight`].
    pub weight: f64,
    /// Takes no requests while this is set.
    pub is_paused: bool,
    /// Takes no new requests.
    pub is_drained: bool,
    /// A note of at most 500 letters.
    pub note: Option<String>,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl Default for AccountPolicy {
    fn default() -> Self {
        let (tags, updated_at) = (Vec::new(), Timestamp::default());
        Self { tags, weight: 1.0, is_paused: false, is_drained: false, note: None, updated_at }
    }
}

impl AccountPolicies {
    /// The policy of an account; the ordinary one where none is set.
    pub fn of(&self, account: &Account) -> AccountPolicy {
        self.accounts.get(&policy_key(account)).cloned().unwrap_or_default()
    }
}

/// The predecessor's key of an account: a hash of its workspace, else of its e-mail. Two seats of one workspace share
/// it.
pub fn policy_key(account: &Account) -> String {
    let id = account.owner.workspace.as_ref().map(|id| id.as_str().trim().to_owned()).filter(|id| !id.is_empty());
    let email = || account.owner.email.as_ref().map(|email| email.trim().to_lowercase());
    let named = id.or_else(email).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    format!("sha256:{}", sha256_hex(named))
}

/// A tag as it is kept: lower case, `[a-z0-9._-]`, at most 64 letters.
pub fn tag(text: &str) -> String {
    slug(text, 64, |letter| plain_or(letter, "._-"))
}

/// A weight as it counts: 0 to 10, 1 where it is no number.
pub fn weight(told: Option<f64>) -> f64 {
    told.filter(|told| told.is_finite()).map_or(1.0, |told| told.clamp(0.0, 10.0))
}

impl Document for AccountPolicies {
    const NAME: &'static str = "account-policies.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        Self { accounts: rows::decode(object, TABLE) }
    }

    fn encode(&self, object: &mut Object) {
        rows::encode(object, TABLE, &self.accounts);
    }

    fn flaw(object: &Object) -> Option<String> {
        no_object(object, TABLE)
    }
}

impl Row for AccountPolicy {
    fn key(raw: &str) -> Option<String> {
        raw.starts_with("sha256:").then(|| raw.to_owned())
    }

    fn decode(row: &Object) -> Option<Self> {
        Some(Self {
            tags: set_of(&json::texts(row, "tags"), tag),
            weight: weight(json::number(row, "weight")),
            is_paused: json::flag(row, "paused").unwrap_or(false),
            is_drained: json::flag(row, "drained").unwrap_or(false),
            note: json::text(row, "note").and_then(|note| cut(note, LONGEST_NOTE)),
            updated_at: json::millis(row, "updatedAt").unwrap_or_default(),
        })
    }

    fn encode(&self, key: &str, row: &mut Object) {
        json::set(row, "accountKey", Some(json!(key)));
        json::set(row, "tags", Some(json!(set_of(&self.tags, tag))));
        json::set_real(row, "weight", weight(Some(self.weight)));
        json::set(row, "paused", Some(json!(self.is_paused)));
        json::set(row, "drained", Some(json!(self.is_drained)));
        json::set(row, "note", Some(json!(self.note.as_deref().and_then(|note| cut(note, LONGEST_NOTE)))));
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{WorkspaceId, testing};

    use super::*;

    #[test]
    fn tags_are_normalised() {
        for (text, expect) in [("Team A", "team-a"), ("x/y", "x-y"), ("é", "-"), (" a__b ", "a__b")] {
            assert_eq!(tag(text), expect);
        }
        assert_eq!(tag(&"a".repeat(99)).len(), 64);
        assert_eq!(set_of(&["b".into(), "A".into(), "a".into(), " ".into()], tag), ["a", "b"]);
    }

    #[test]
    fn weights_are_clamped() {
        let told = [None, Some(f64::NAN), Some(-1.0), Some(0.5), Some(99.0)].map(|told| weight(told).to_string());
        assert_eq!(told, ["1", "1", "0", "0.5", "10"]);
    }

    #[test]
    fn keys_are_the_predecessors() {
        let key = |workspace: &str, email: Option<&str>| {
            let mut account = testing::account(1);
            account.owner.workspace = WorkspaceId::parse(workspace);
            account.owner.email = email.map(str::to_owned);
            policy_key(&account)
        };
        assert_eq!(key("acc-123", None), "sha256:1ce67b02fd7c533958bf175317ed8a68773889b8d4a455d1f3ba6152d75ba6e4");
        assert_eq!(key("", Some(" X@a.co")), "sha256:0cf5e82754a4d70f3acd5efee8f2b70a610dd57589dfb0e90e8d1fd0b2b32b55");
        assert_eq!(key("", None), "sha256:b23a6a8439c0dde5515893e7c90c1e3233b8616e634470f20dc4928bcf3609bc");
    }
}
