//! `account`: what the user wants of single accounts, and changes of it.

use codex_auth_core::AccountRules;
use serde::Serialize;

use crate::{
    screen::Screen,
    words::{Lines, plain},
};

/// An account with what is wanted of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRow {
    /// Its number, from 1.
    index: usize,
    label: String,
    account_key: String,
    tags: Vec<String>,
    weight: f64,
    paused: bool,
    drained: bool,
    reserve_percent: f64,
    note: Option<String>,
}

impl PolicyRow {
    /// Account `index`, called `label`, and the rules filed under `key`.
    pub fn new(index: usize, label: String, key: String, rules: &AccountRules, note: Option<String>) -> Self {
        Self {
            index,
            label,
            account_key: key,
            tags: rules.tags.clone(),
            weight: rules.weight,
            paused: rules.is_paused,
            drained: rules.is_drained,
            reserve_percent: rules.reserve_percent,
            note,
        }
    }

    fn text(&self) -> String {
        let words = [
            Some(format!("weight={}", self.weight)),
            (self.reserve_percent > 0.0).then(|| format!("reserve={}%", self.reserve_percent)),
            self.paused.then(|| "paused".to_owned()),
            self.drained.then(|| "drained".to_owned()),
            (!self.tags.is_empty()).then(|| format!("tags={}", self.tags.join(","))),
            self.note.as_deref().map(plain),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        format!("{}. {} | {}", self.index, plain(&self.label), words.join(" | "))
    }
}

/// `account policy list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyList {
    accounts: Vec<PolicyRow>,
}

impl PolicyList {
    /// All accounts, in the order of the pool.
    pub fn new(accounts: Vec<PolicyRow>) -> Self {
        Self { accounts }
    }
}

impl Screen for PolicyList {
    fn command(&self) -> &'static str {
        "account policy list"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.accounts.is_empty() {
            lines.line("No accounts configured.");
        }
        for row in &self.accounts {
            lines.hang(3, &row.text());
        }
        lines.finish()
    }
}

/// A rule of an account, a project or a budget was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleChanged {
    ok: bool,
    changed: bool,
    message: String,
    #[serde(skip)]
    command: &'static str,
}

impl RuleChanged {
    /// What `command` did, in one sentence; `changed` is false where the rule said so already.
    pub fn new(command: &'static str, message: String, changed: bool) -> Self {
        Self { ok: true, changed, message, command }
    }
}

impl Screen for RuleChanged {
    fn command(&self) -> &'static str {
        self.command
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&plain(&self.message));
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn rows_say_what_is_out_of_the_ordinary() {
        let row = |index, rules: &AccountRules, note: Option<&str>| {
            PolicyRow::new(index, format!("Account {index}"), "sha256:0".to_owned(), rules, note.map(str::to_owned))
        };
        let odd = AccountRules {
            tags: vec!["a".to_owned(), "b".to_owned()],
            weight: 3.5,
            is_paused: true,
            is_drained: true,
            reserve_percent: 20.0,
        };
        let list = PolicyList::new(vec![row(1, &odd, Some("mine")), row(2, &AccountRules::default(), None)]);
        insta::assert_snapshot!(format!("{}{}", list.text(80), document(&list)));
        assert_eq!(PolicyList::new(Vec::new()).text(80), "No accounts configured.\n");
    }
}
