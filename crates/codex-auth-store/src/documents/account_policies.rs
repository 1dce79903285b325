//! `account-policies.json`: what the user wants of single accounts: tags, weight, pause, drain, reserve, note.

use std::collections::BTreeMap;

use codex_auth_core::{Account, AccountRules, SavedPool, Timestamp, account_tag as tag, account_weight as weight};
use serde_json::json;

use super::{
    rows::{self, Row},
    words::{cut, set_of},
};
use crate::{
    hash::sha256_hex,
    json::{self, Object},
    rule_files::RuleTable,
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
    /// Percent of every window left alone while another account can serve; our own key.
    pub reserve_percent: f64,
    /// A note of at most 500 letters.
    pub note: Option<String>,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl Default for AccountPolicy {
    fn default() -> Self {
        let (tags, updated_at) = (Vec::new(), Timestamp::default());
        Self { tags, weight: 1.0, is_paused: false, is_drained: false, reserve_percent: 0.0, note: None, updated_at }
    }
}

impl AccountPolicies {
    /// The policy of an account; the ordinary one where none is set.
    pub fn of(&self, account: &Account) -> AccountPolicy {
        filed(&self.accounts, account).cloned().unwrap_or_default()
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

/// A key for one seat alone, for accounts whose policy key another account of the pool has, too.
pub fn seat_key(account: &Account) -> Option<String> {
    let (user, workspace) = (account.owner.user.as_ref()?, account.owner.workspace.as_ref()?);
    Some(format!("sha256:{}", sha256_hex(format!("{}\n{}", user.as_str(), workspace.as_str().trim()))))
}

/// The key under which a rule for this account of the pool is written: the predecessor's, unless that names another
/// account, too.
pub fn key_in(pool: &SavedPool, account: &Account) -> String {
    let key = policy_key(account);
    let others = pool.accounts.iter().map(|held| &held.account).filter(|other| other.record != account.record);
    let is_shared = others.into_iter().any(|other| policy_key(other) == key);
    is_shared.then(|| seat_key(account)).flatten().unwrap_or(key)
}

/// What is filed under an account, its own seat first.
pub(super) fn filed<'v, V>(rows: &'v BTreeMap<String, V>, account: &Account) -> Option<&'v V> {
    let own = seat_key(account).and_then(|key| rows.get(&key));
    own.or_else(|| rows.get(&policy_key(account)))
}

impl AccountPolicy {
    /// The rules in it, for the evaluator.
    pub fn rules(&self) -> AccountRules {
        let Self { tags, weight, is_paused, is_drained, reserve_percent, .. } = self.clone();
        AccountRules { tags, weight, is_paused, is_drained, reserve_percent }
    }
}

/// A share of a window, in percent.
fn percent(told: Option<f64>) -> f64 {
    told.map_or(0.0, |told| told.clamp(0.0, 100.0))
}

impl RuleTable for AccountPolicies {
    const TABLE: &'static str = TABLE;
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
            reserve_percent: percent(json::number(row, "reservePercent")),
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
        match percent(Some(self.reserve_percent)) {
            0.0 => json::set(row, "reservePercent", None),
            reserve => json::set_real(row, "reservePercent", reserve),
        }
        json::set(row, "note", Some(json!(self.note.as_deref().and_then(|note| cut(note, LONGEST_NOTE)))));
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{WorkspaceId, testing};

    use super::*;

    #[test]
    fn tags_are_a_set() {
        assert_eq!(set_of(&["b".into(), "A".into(), "a".into(), " ".into()], tag), ["a", "b"]);
    }

    #[test]
    fn f60_two_seats_of_a_workspace_are_two_accounts() {
        let mut pool = testing::pool(2);
        let shared = pool.accounts[0].account.owner.workspace.clone();
        assert_eq!(key_in(&pool, &pool.accounts[1].account), policy_key(&pool.accounts[1].account));
        pool.accounts[1].account.owner.workspace = shared;
        let [first, second] = [0, 1].map(|place| pool.accounts[place].account.clone());
        assert_eq!(policy_key(&first), policy_key(&second));
        let paused = AccountPolicy { is_paused: true, ..AccountPolicy::default() };
        let mut policies = AccountPolicies { accounts: [(key_in(&pool, &second), paused.clone())].into() };
        assert_eq!((policies.of(&first).is_paused, policies.of(&second).is_paused), (false, true));
        // What the predecessor wrote for both holds for whoever has no rules of their own.
        policies.accounts.insert(policy_key(&first), AccountPolicy { weight: 3.0, ..AccountPolicy::default() });
        assert_eq!((policies.of(&first).weight.to_bits(), policies.of(&second)), (3.0_f64.to_bits(), paused));
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
