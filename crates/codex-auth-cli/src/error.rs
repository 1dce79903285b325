//! Errors as a person reads them: what happened, and the exact next command. One printer, one exit-code table.

use codex_auth_core::{KeepError, Kind, NotSelected, StoreError};
use serde_json::json;

use crate::ui::Ui;

/// What went wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    /// What the caller may do about it.
    pub(crate) kind: Kind,
    /// A code for scripts.
    pub(crate) code: &'static str,
    /// What happened.
    pub(crate) message: String,
    /// The exact next command, or the way out.
    pub(crate) hint: Option<String>,
}

impl CliError {
    /// An error of this kind.
    pub(crate) fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None }
    }

    /// A wrong use of a command.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, "usage", message)
    }

    /// Adds the way out.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it: text on stderr, or one document on stdout.
    pub(crate) fn report(&self, ui: Ui, command: &str, as_json: bool) {
        if as_json {
            let retry_at = match self.kind {
                Kind::Wait { until: Some(until) } => Some(until.as_millis()),
                Kind::Wait { until: None }
                | Kind::Usage
                | Kind::NeedsLogin
                | Kind::Conflict
                | Kind::Storage
                | Kind::Network
                | Kind::Internal => None,
            };
            let info = json!({ "code": self.code, "hint": self.hint, "retryAt": retry_at });
            let document = json!({
                "schemaVersion": 1, "command": command, "ok": false, "error": self.message, "errorInfo": info,
            });
            ui.line(&format!("{document:#}"));
            return;
        }
        ui.say(&self.message);
        if let Some(hint) = &self.hint {
            ui.say(hint);
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::NoSuchAccount(_) => "Run `codex-multi-auth list` to see the accounts.",
            StoreError::Locked { .. } => "Wait for that program to end, or stop it, then run the command again.",
            StoreError::Unreadable { .. } => {
                "Nothing was changed. Copies made at earlier saves lie beside it; put one in its place, or move the \
                 file away to start anew."
            }
            StoreError::UnknownVersion { .. } => "Use the program that wrote it, or move the file away to start anew.",
            StoreError::Io { .. } => "Nothing was changed. Mend the cause and run the command again.",
        };
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        Self::new(kind, "storage", message).hint(hint)
    }
}

impl From<KeepError> for CliError {
    fn from(error: KeepError) -> Self {
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        match error {
            KeepError::Store(error) => error.into(),
            KeepError::NeedsLogin { .. } => Self::new(kind, "needs_login", message),
            KeepError::Issuer(_) => Self::new(kind, "refresh_failed", message),
        }
    }
}

impl From<NotSelected> for CliError {
    fn from(error: NotSelected) -> Self {
        let error = Self::usage(error.to_string());
        error.hint("Run `codex-multi-auth list` to see the accounts.")
    }
}

/// A sentence from a library's message: capital first letter, full stop at the end.
pub(crate) fn capitalised(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let stop = if message.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", letters.as_str())
}
