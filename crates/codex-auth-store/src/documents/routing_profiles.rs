//! `routing-profiles.json`: which accounts and models a project prefers, allows and forbids.

use std::collections::BTreeMap;

use codex_auth_core::Timestamp;
use serde_json::json;

use super::{
    account_policies::{tag, weight},
    budget_guards::budget_key,
    rows::{self, Row},
    words::{cut, set_of},
};
use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema, no_object},
};

const TABLE: &str = "profiles";
const WEIGHTS: &str = "accountWeightByKey";
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
    /// When it was set.
    pub updated_at: Timestamp,
}

impl RoutingProfile {
    /// Whether a request for this model is allowed. A name matches when it equals or contains the pattern; an unknown
    /// model passes only where every model does.
    pub fn allows(&self, model: Option<&str>) -> bool {
        let model = model.map(|model| model.trim().to_lowercase());
        let matches = |patterns: &[String]| {
            model.as_ref().is_some_and(|model| patterns.iter().any(|pattern| model.contains(pattern.as_str())))
        };
        !matches(&self.denied_models) && (self.allowed_models.is_empty() || matches(&self.allowed_models))
    }
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
        json::set(row, "updatedAt", Some(json!(self.updated_at.as_millis())));
    }
}

fn model(text: &str) -> String {
    text.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &[&str], denied: &[&str], model: Option<&str>, expect: bool) {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let profile =
            RoutingProfile { allowed_models: list(allowed), denied_models: list(denied), ..RoutingProfile::default() };
        assert_eq!(profile.allows(model), expect);
    }

    #[test]
    fn models_match_by_part_and_denial_wins() {
        check(&[], &[], None, true);
        check(&["gpt-5.5"], &[], Some("GPT-5.5-pro"), true);
        check(&["gpt-5.5"], &[], None, false);
        check(&["gpt-5.5"], &["pro"], Some("gpt-5.5-pro"), false);
        check(&[], &["pro"], None, true);
    }
}
