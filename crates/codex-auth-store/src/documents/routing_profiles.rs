//! `routing-profiles.json`: which accounts and models a project prefers, allows and forbids, and who alone serves it.

use std::collections::BTreeMap;

use codex_auth_core::{
    ProjectRules, RecordId, SavedPool, Timestamp, account_tag as tag, account_weight as weight, budget_key,
};
use serde_json::json;

use super::{
    account_policies::filed,
    rows::{self, Row},
    words::{cut, set_of},
};
use crate::{
    json::{self, Object},
    rule_files::RuleTable,
    state_file::{Document, Recovery, Schema, no_object},
};

const TABLE: &str = "profiles";
const WEIGHTS: &str = "accountWeightByKey";
/// Our own key: a record id.
const BOUND: &str = "boundRecordId";
const LONGEST_NAME: usize = 80;
/// How a project without a name is called in the file.
const UNNAMED: &str = "project";

/// All profiles. Broken, they decide nothing and are never written over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoutingProfiles {
    /// By project key.
    pub profiles: BTreeMap<String, RoutingProfile>,
}

/// The rules of one project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoutingProfile {
    /// The project's name on screen; `None` is written as `project`.
    pub name: Option<String>,
    /// What the project key was made of.
    pub identity_root: Option<String>,
    /// Accounts with one of these are preferred.
    pub preferred_tags: Vec<String>,
    /// Accounts with one of these are avoided.
    pub avoid_tags: Vec<String>,
    /// If not empty, only models that match.
    pub allowed_models: Vec<String>,
    /// Never models that match.
    pub denied_models: Vec<String>,
    /// Weights 0 to 10 by policy key.
    pub weights: BTreeMap<String, f64>,
    /// A budget beside the project's own.
    pub budget_key: Option<String>,
    /// The only account that may serve it.
    pub bound: Option<RecordId>,
    /// When it was set.
    pub updated_at: Timestamp,
}

impl RoutingProfile {
    /// The rules in it, for the accounts of this pool.
    pub fn rules(&self, pool: &SavedPool) -> ProjectRules {
        let accounts = pool.accounts.iter().map(|held| &held.account);
        let weights = accounts.filter_map(|account| Some((account.record.clone(), *filed(&self.weights, account)?)));
        ProjectRules {
            preferred_tags: self.preferred_tags.clone(),
            avoid_tags: self.avoid_tags.clone(),
            allowed_models: self.allowed_models.clone(),
            denied_models: self.denied_models.clone(),
            weights: weights.collect(),
            budget_key: self.budget_key.clone(),
            bound: self.bound.clone(),
        }
    }

    /// Whether it says nothing.
    pub fn is_blank(&self) -> bool {
        let Self { name, identity_root, updated_at, .. } = self.clone();
        *self == Self { name, identity_root, updated_at, ..Self::default() }
    }
}

impl RuleTable for RoutingProfiles {
    const TABLE: &'static str = TABLE;
}

impl Document for RoutingProfiles {
    const NAME: &'static str = "routing-profiles.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        Self { profiles: rows::decode(object, TABLE) }
    }

    fn encode(&self, object: &mut Object) {
        rows::encode(object, TABLE, &self.profiles);
    }

    fn flaw(object: &Object) -> Option<String> {
        no_object(object, TABLE)
    }
}

impl Row for RoutingProfile {
    fn key(raw: &str) -> Option<String> {
        let key = raw.trim();
        (!key.is_empty()).then(|| key.to_owned())
    }

    fn decode(row: &Object) -> Option<Self> {
        let weights = json::object(row, WEIGHTS).into_iter().flatten();
        let weights = weights.filter(|(key, _)| key.starts_with("sha256:"));
        Some(Self {
            name: json::text(row, "projectName")
                .and_then(|name| cut(name, LONGEST_NAME))
                .filter(|name| name != UNNAMED),
            identity_root: json::text(row, "identityRoot").map(str::to_owned),
            preferred_tags: set_of(&json::texts(row, "preferredTags"), tag),
            avoid_tags: set_of(&json::texts(row, "avoidTags"), tag),
            allowed_models: set_of(&json::texts(row, "modelAllowlist"), model),
            denied_models: set_of(&json::texts(row, "modelDenylist"), model),
            weights: weights.map(|(key, told)| (key.clone(), weight(told.as_f64()))).collect(),
            budget_key: json::text(row, "budgetKey").map(|key| budget_key(key).chars().take(LONGEST_NAME).collect()),
            bound: json::text(row, BOUND).and_then(RecordId::parse),
            updated_at: json::millis(row, "updatedAt").unwrap_or_default(),
        })
    }

    fn encode(&self, key: &str, row: &mut Object) {
        json::set(row, "projectKey", Some(json!(key)));
        json::set(row, "projectName", Some(json!(self.name.as_deref().unwrap_or(UNNAMED))));
        json::set(row, "identityRoot", Some(json!(self.identity_root)));
        json::set(row, "preferredTags", Some(json!(set_of(&self.preferred_tags, tag))));
        json::set(row, "avoidTags", Some(json!(set_of(&self.avoid_tags, tag))));
        json::set(row, "modelAllowlist", Some(json!(set_of(&self.allowed_models, model))));
        json::set(row, "modelDenylist", Some(json!(set_of(&self.denied_models, model))));
        let mut weights = json::object(row, WEIGHTS).cloned().unwrap_or_default();
        weights.retain(|key, _| !key.starts_with("sha256:") || self.weights.contains_key(key));
        for (key, told) in &self.weights {
            json::set_real(&mut weights, key, weight(Some(*told)));
        }
        row.insert(WEIGHTS.to_owned(), weights.into());
        json::set(row, "budgetKey", Some(json!(self.budget_key)));
        json::set(row, BOUND, self.bound.as_ref().map(|record| json!(record.as_str())));
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}

fn model(text: &str) -> String {
    text.trim().to_lowercase()
}
