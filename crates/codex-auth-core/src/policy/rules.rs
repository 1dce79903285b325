//! What can be said of an account and of a project, and which models a project lets through.

use std::collections::BTreeMap;

use crate::RecordId;

/// What is wanted of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRules {
    /// Normalised; see [`account_tag`](crate::account_tag).
    pub tags: Vec<String>,
    /// 0 to 10.
    pub weight: f64,
    /// Whether it takes no requests.
    pub is_paused: bool,
    /// Whether it takes no new ones.
    pub is_drained: bool,
    /// Percent of every window that is left alone while another account can serve.
    pub reserve_percent: f64,
}

impl Default for AccountRules {
    fn default() -> Self {
        Self { tags: Vec::new(), weight: 1.0, is_paused: false, is_drained: false, reserve_percent: 0.0 }
    }
}

/// What is wanted in one project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProjectRules {
    /// Accounts with one of these come first.
    pub preferred_tags: Vec<String>,
    /// Accounts with one of these come last.
    pub avoid_tags: Vec<String>,
    /// Parts of names; if there are any, only models that match one. In lower case.
    pub allowed_models: Vec<String>,
    /// Parts of names; never a model that matches one. In lower case.
    pub denied_models: Vec<String>,
    /// Weights that stand instead of the accounts' own.
    pub weights: BTreeMap<RecordId, f64>,
    /// A budget beside the project's own.
    pub budget_key: Option<String>,
    /// The only account that may serve.
    pub bound: Option<RecordId>,
}

/// What a request asks for, as lists of models see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asked<'a> {
    /// No model's answer: the catalogue, or where everybody stands.
    #[default]
    Nothing,
    /// An answer of the model it names, if it names one.
    Answer(Option<&'a str>),
}

impl ProjectRules {
    /// Why a request is refused, in the predecessor's words.
    pub(super) fn refuses(&self, asked: Asked<'_>) -> Option<&'static str> {
        let Asked::Answer(model) = asked else { return None };
        if self.allowed_models.is_empty() && self.denied_models.is_empty() {
            return None;
        }
        let model = model.map(|model| model.trim().to_lowercase());
        let matches = |parts: &[String]| {
            model
                .as_ref()
                .is_some_and(|model| parts.iter().any(|part| !part.is_empty() && model.contains(part.as_str())))
        };
        if matches(&self.denied_models) {
            return Some("routing profile denies requested model");
        }
        let is_allowed = self.allowed_models.is_empty() || matches(&self.allowed_models);
        (!is_allowed).then_some("routing profile does not allow requested model")
    }

    /// The rules that fail closed.
    pub(super) fn hard(&self) -> (Option<&RecordId>, &[String], &[String]) {
        (self.bound.as_ref(), &self.allowed_models, &self.denied_models)
    }

    /// Whether a list of models has to be asked.
    pub fn names_models(&self) -> bool {
        !self.allowed_models.is_empty() || !self.denied_models.is_empty()
    }
}
