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
    /// Number of the account it is about.
    pub(crate) account: Option<usize>,
}

impl CliError {
    /// An error of this kind.
    pub(crate) fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, account: None }
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

    /// Names the account it is about.
    #[must_use]
    pub(crate) fn account(mut self, number: usize) -> Self {
        self.account = Some(number);
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
            let info = json!({ "code": self.code, "account": self.account, "hint": self.hint, "retryAt": retry_at });
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
            StoreError::NoSuchAccount(_) => Some("Run `codex-multi-auth list` to see the accounts."),
            StoreError::Locked { .. } => Some("Wait for that program to end, or stop it, then run the command again."),
            // The store names the remedy itself: it knows which file it is.
            StoreError::Unreadable { .. } => None,
            StoreError::UnknownVersion { .. } => {
                Some("Use the program that wrote it, or move the file away to start anew.")
            }
            StoreError::Io { .. } => Some("Nothing was changed. Mend the cause and run the command again."),
        };
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        Self { hint: hint.map(str::to_owned), ..Self::new(kind, "storage", message) }
    }
}

impl From<KeepError> for CliError {
    fn from(error: KeepError) -> Self {
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        match error {
            KeepError::Store(error) => error.into(),
            KeepError::NeedsLogin { .. } => Self::new(kind, "needs_login", message),
            KeepError::HeldBack { .. } => Self::new(kind, "token_invalidated_wave", message)
                .hint("Run `codex-multi-auth list` to see which; sign in to each with `codex-multi-auth login --account <n>`."),
            KeepError::Paused { .. } | KeepError::Issuer(_) => Self::new(kind, "refresh_failed", message),
        }
    }
}

impl From<codex_auth_store::UndoError> for CliError {
    fn from(error: codex_auth_store::UndoError) -> Self {
        use codex_auth_store::UndoError;
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        match error {
            UndoError::Store(error) => error.into(),
            UndoError::HandedOut(_) => Self::new(kind, "handed_out", message)
                .hint("It is valid until its own end. `codex-multi-auth undo --list` shows when it was handed out."),
            UndoError::Recovery { .. } => Self::new(kind, "was_a_recovery", message)
                .hint("Mend that file and run `codex-multi-auth restore` with its path to go back to it."),
            UndoError::Nothing | UndoError::NoSuchOperation(_) | UndoError::Already(_) => {
                Self::new(kind, "nothing_to_undo", message)
                    .hint("Run `codex-multi-auth undo --list` to see what was done.")
            }
        }
    }
}

/// A login file that was not written or removed.
impl From<codex_auth_store::LoginError> for CliError {
    fn from(error: codex_auth_store::LoginError) -> Self {
        use codex_auth_store::LoginError;
        let (kind, message) = (error.kind(), capitalised(&error.to_string()));
        let (code, hint) = match error {
            LoginError::Store(error) => return error.into(),
            LoginError::KeptElsewhere { .. } => (
                "login_kept_elsewhere",
                "Run `codex-multi-auth auth-store file` to change that, then run the command again.",
            ),
            LoginError::Incomplete { .. } => ("login_incomplete", "Sign in again with `codex-multi-auth login`."),
            LoginError::NotInPool { .. } => {
                ("login_not_in_pool", "Run `codex-multi-auth import-current` to keep it, then run the command again.")
            }
            LoginError::HardLinked { .. } => ("login_hard_linked", "Replace it by a file of its own."),
            LoginError::NotVerified { .. } => ("login_not_verified", "Run the command again."),
        };
        Self::new(kind, code, message).hint(hint)
    }
}

/// A file whose accounts did not come in.
impl From<codex_auth_store::import::ImportError> for CliError {
    fn from(error: codex_auth_store::import::ImportError) -> Self {
        use codex_auth_store::import::ImportError;
        const NOTHING: &str = "Nothing was imported.";
        match error {
            ImportError::Store(error) => Self::from(error).hint(NOTHING),
            ImportError::Unusable(why) => Self::new(Kind::Usage, "import_refused", capitalised(&why)).hint(NOTHING),
            ImportError::NotFound(_)
            | ImportError::TooLarge(_)
            | ImportError::NotJson(_)
            | ImportError::UnknownFormat(_) => {
                Self::new(Kind::Usage, "import_refused", error.to_string()).hint(NOTHING)
            }
        }
    }
}

/// A pool that was not written into a file.
impl From<codex_auth_store::ExportError> for CliError {
    fn from(error: codex_auth_store::ExportError) -> Self {
        use codex_auth_store::ExportError;
        let (kind, message) = (error.kind(), error.to_string());
        let hint = match error {
            ExportError::Store(error) => return error.into(),
            ExportError::NoAccounts => "Run `codex-multi-auth login` to sign in first.",
            ExportError::Exists(_) => "Name another file, or add --force to replace it.",
            ExportError::InsidePool(_) => {
                "Name a file elsewhere, or run `codex-multi-auth backup <name>` to keep a copy beside the pool."
            }
            ExportError::Refused(_) => "Name another file.",
        };
        Self::new(kind, "export_refused", message).hint(hint)
    }
}

/// A backup that was not made or read.
impl From<codex_auth_store::BackupError> for CliError {
    fn from(error: codex_auth_store::BackupError) -> Self {
        use codex_auth_store::BackupError;
        let (kind, message) = (error.kind(), error.to_string());
        let hint = match error {
            BackupError::Export(error) => return error.into(),
            BackupError::Store(error) => return error.into(),
            BackupError::Name(_) => "Use letters, digits, `-` and `_`.",
            BackupError::Exists(_) => "Backups are never overwritten: choose another name.",
            BackupError::Gone(_) | BackupError::NoAccounts(_) => "Run `codex-multi-auth backup` to see what is kept.",
            BackupError::Outside { .. } => "Remove the link, then run the command again.",
        };
        Self::new(kind, "backup_refused", message).hint(hint)
    }
}

/// A sign-in that failed.
impl From<codex_auth_oauth::LoginError> for CliError {
    fn from(error: codex_auth_oauth::LoginError) -> Self {
        Self::new(error.kind(), "login_failed", format!("Login failed: {}", capitalised(&error.to_string())))
            .hint(capitalised(&error.next_step()))
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
