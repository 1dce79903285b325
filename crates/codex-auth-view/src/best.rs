//! `best`: the account that the evaluator names was taken, or there is none.

use serde::Serialize;

use crate::{choice::LoginMirror, forecast::notes, named::Named, screen::Screen, words::Lines};

/// What `best` came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Best {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// From 1, as the predecessor has it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Named>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    synced: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    was_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin_cleared: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probe_errors: Vec<String>,
    notes: Vec<String>,
}

impl Best {
    fn bare(reason: String, probe_errors: Vec<String>) -> Self {
        Self {
            ok: true,
            message: None,
            error: None,
            account_index: None,
            account: None,
            reason,
            synced: None,
            was_disabled: None,
            pin_cleared: None,
            probe_errors,
            notes: Vec::new(),
        }
    }

    /// It was the selected one already.
    pub fn already(account: Named, pin_cleared: bool, reason: String, probe_errors: Vec<String>) -> Self {
        let cleared = if pin_cleared { " (manual pin cleared)" } else { "" };
        let message = format!("Already on best account {}: {}{cleared}", account.number, account.label);
        Self {
            message: Some(message),
            account_index: Some(account.number),
            account: Some(account),
            pin_cleared: pin_cleared.then_some(true),
            ..Self::bare(reason, probe_errors)
        }
    }

    /// It was taken.
    pub fn switched(
        account: Named,
        mirror: &LoginMirror,
        (was_disabled, pin_cleared): (bool, bool),
        reason: String,
        (probe_errors, mut notes): (Vec<String>, Vec<String>),
    ) -> Self {
        let enabled = if was_disabled { " (re-enabled)" } else { "" };
        let cleared = if pin_cleared { " (manual pin cleared)" } else { "" };
        let message = format!("Switched to best account {}: {}{enabled}{cleared}", account.number, account.label);
        let synced = match mirror {
            LoginMirror::Written { drift, .. } => {
                notes.extend(drift.clone());
                true
            }
            LoginMirror::Off => false,
            LoginMirror::Failed { why } => {
                notes.push(format!(
                    "Codex auth sync did not complete. {why} Multi-auth routing will still use this account."
                ));
                false
            }
        };
        Self {
            message: Some(message),
            account_index: Some(account.number),
            account: Some(account),
            synced: Some(synced),
            was_disabled: Some(was_disabled),
            pin_cleared: pin_cleared.then_some(true),
            notes,
            ..Self::bare(reason, probe_errors)
        }
    }

    /// There is none, for this reason.
    pub fn nobody(reason: String, probe_errors: Vec<String>) -> Self {
        Self {
            ok: false,
            error: Some(format!("No best account available: {reason}")),
            ..Self::bare(reason, probe_errors)
        }
    }

    /// There are no accounts.
    pub fn no_accounts() -> Self {
        let error = "No accounts configured.".to_owned();
        Self { ok: false, error: Some(error.clone()), ..Self::bare(error, Vec::new()) }
    }

    /// Whether an account was found.
    pub fn is_ok(&self) -> bool {
        self.ok
    }

    /// What else the person should know; talk, not data.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Screen for Best {
    fn command(&self) -> &'static str {
        "best"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if let Some(error) = &self.error {
            lines.line(error);
        }
        if let Some(message) = &self.message {
            lines.line(message).line(&format!("Reason: {}", self.reason));
        }
        notes(&mut lines, &self.probe_errors);
        lines.finish()
    }
}
