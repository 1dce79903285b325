//! `auth-store`: where the official client keeps its login.

use serde::Serialize;

use crate::{screen::Screen, words::Lines};

/// What the client's configuration says, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthStore {
    /// The configuration file.
    pub config_path: String,
    /// What it says; `None` when it does not say, which means `file`.
    pub store: Option<String>,
    /// Whether the client reads the login file.
    pub reads_auth_json: bool,
    /// The login file.
    pub auth_path: String,
    /// Whose login stands there; `None` when there is no usable one.
    pub login: Option<String>,
    /// Whether the command changed the configuration.
    pub changed: bool,
    /// The copy of the configuration as it was before.
    pub copy_path: Option<String>,
}

impl Screen for AuthStore {
    fn command(&self) -> &'static str {
        "auth-store"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        if self.changed {
            lines.line(&format!("Set cli_auth_credentials_store to \"file\" in {}.", self.config_path));
            if let Some(copy) = &self.copy_path {
                lines.line("The file as it was:").whole(&format!("  {copy}"));
            }
            lines.line("`codex-multi-auth undo` takes this back.");
        }
        let says = match &self.store {
            Some(store) => format!("{store} (set in {})", self.config_path),
            None => format!("file (the default; {} does not set it)", self.config_path),
        };
        lines.line(&format!("Codex keeps its login in: {says}"));
        let login = self.login.as_deref().unwrap_or("no usable login");
        lines.line(&format!("Login file: {}: {login}", self.auth_path));
        if !self.reads_auth_json {
            lines.line("Codex does not read that file, so `switch` cannot change its login.");
            lines.line("`codex-multi-auth auth-store file` changes that.");
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn view(store: Option<&str>, reads_auth_json: bool, changed: bool) -> AuthStore {
        AuthStore {
            config_path: "/home/a/.codex/config.toml".to_owned(),
            store: store.map(str::to_owned),
            reads_auth_json,
            auth_path: "/home/a/.codex/auth.json".to_owned(),
            login: (!changed).then(|| "person1@example.test".to_owned()),
            changed,
            copy_path: changed.then(|| "/home/a/.codex/multi-auth/config-copies/config.toml.1".to_owned()),
        }
    }

    #[test]
    fn what_is_and_what_was_done() {
        let all = [view(None, true, false), view(Some("keyring"), false, false), view(Some("file"), true, true)];
        let texts: Vec<_> = all.iter().map(|view| view.text(80)).collect();
        insta::assert_snapshot!(format!("{}\n{}", texts.join("\n"), document(&all[2])));
    }
}
