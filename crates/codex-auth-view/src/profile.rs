//! `profile`: the rules of a project.

use serde::Serialize;

use crate::{
    screen::Screen,
    words::{Lines, plain},
};

/// What is wanted in the project of a directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// The project's key.
    pub project_key: String,
    /// What people call it.
    pub project_name: String,
    /// Where it is.
    pub root: String,
    /// Whether one account only serves it.
    pub bound: bool,
    /// The number of that account, while the pool has it.
    pub account: Option<usize>,
    /// That account's label.
    pub account_label: Option<String>,
    /// Accounts with one of these come first.
    pub preferred_tags: Vec<String>,
    /// Accounts with one of these come last.
    pub avoid_tags: Vec<String>,
    /// If there are any, only models that match one.
    pub model_allowlist: Vec<String>,
    /// Never a model that matches one.
    pub model_denylist: Vec<String>,
    /// Weights of accounts, by number.
    pub account_weights: Vec<AccountWeight>,
    /// A budget beside the project's own.
    pub budget_key: Option<String>,
    /// The budgets its requests count towards.
    pub budgets: Vec<String>,
}

/// The weight of an account in a project.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountWeight {
    /// The account's number.
    pub account: usize,
    /// Its weight there.
    pub weight: f64,
}

impl Screen for Profile {
    fn command(&self) -> &'static str {
        "profile show"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Project {} ({})", plain(&self.project_name), plain(&self.root)));
        let bound = match (self.bound, &self.account_label) {
            (false, _) => None,
            (true, Some(label)) => Some(format!("{}, and nobody else", plain(label))),
            (true, None) => Some("an account that is gone, so nobody serves it".to_owned()),
        };
        let list = |words: &[String]| (!words.is_empty()).then(|| words.join(", "));
        let weights = self.account_weights.iter().map(|one| format!("account {}: {}", one.account, one.weight));
        let weights: Vec<String> = weights.collect();
        let rows = [
            ("Served by", bound),
            ("Prefers tags", list(&self.preferred_tags)),
            ("Avoids tags", list(&self.avoid_tags)),
            ("Allowed models", list(&self.model_allowlist)),
            ("Denied models", list(&self.model_denylist)),
            ("Weights", list(&weights)),
            ("Budget key", self.budget_key.clone()),
            ("Counts towards", list(&self.budgets)),
        ];
        let said: Vec<_> = rows.into_iter().filter_map(|(name, said)| Some((name, said?))).collect();
        if said.is_empty() {
            lines.line("No rules. `codex-multi-auth profile --help` shows what can be said.");
        }
        for (name, said) in said {
            lines.hang(4, &format!("  {name}: {}", plain(&said)));
        }
        if self.bound {
            lines.gap().line("`codex-multi-auth profile unbind` lets the others serve it again.");
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn a_profile_says_what_was_said() {
        let bare = Profile {
            project_key: "shop-0".into(),
            project_name: "shop".into(),
            root: "/w/shop".into(),
            ..Profile::default()
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let full = Profile {
            bound: true,
            account: Some(2),
            account_label: Some("Account 2 (b@a.test)".into()),
            preferred_tags: words(&["team"]),
            avoid_tags: words(&["home"]),
            model_allowlist: words(&["gpt-5.5", "gpt-5.6"]),
            model_denylist: words(&["pro"]),
            account_weights: vec![AccountWeight { account: 1, weight: 0.0 }],
            budget_key: Some("team".into()),
            budgets: words(&["global", "team"]),
            ..bare.clone()
        };
        let gone = Profile { account: None, account_label: None, bound: true, ..bare.clone() };
        insta::assert_snapshot!(format!("{}\n{}\n{}{}", bare.text(80), full.text(80), gone.text(80), document(&full)));
    }
}
