//! What a choice of the user changed: `switch`, `unpin`, `remove`.

use codex_auth_core::Strategy;
use serde::Serialize;

use crate::{named::Named, screen::Screen, words::Lines};

/// What became of the official client's login file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginMirror {
    /// It holds the account's login now.
    Written {
        /// The file.
        path: String,
        /// What its list of logins, where there is one, says otherwise.
        drift: Option<String>,
    },
    /// The user turned mirroring off.
    Off,
    /// It was left as it was.
    Failed {
        /// Why, in one sentence.
        why: String,
    },
}

/// An account was selected and pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Switched {
    ok: bool,
    #[serde(flatten)]
    account: Named,
    pinned_number: usize,
    re_enabled: bool,
    synced: bool,
    auth_json: Option<String>,
    notes: Vec<String>,
}

impl Switched {
    /// The account chosen, whether it had been disabled, and what became of the login file.
    pub fn new(account: Named, re_enabled: bool, mirror: &LoginMirror, warnings: Vec<String>) -> Self {
        let mut notes = warnings;
        let number = account.number;
        let auth_json = match mirror {
            LoginMirror::Written { path, drift } => {
                notes.push(format!(
                    "{path} holds its login now. A codex that was started without codex-multi-auth keeps the account \
                     it began with until you restart it."
                ));
                notes.extend(drift.clone());
                Some(path.clone())
            }
            LoginMirror::Off => None,
            LoginMirror::Failed { why } => {
                notes.push(format!(
                    "Switched account {number} locally, but Codex auth sync did not complete. {why} Multi-auth \
                     routing will still use this account."
                ));
                None
            }
        };
        Self { ok: true, pinned_number: number, account, re_enabled, synced: auth_json.is_some(), auth_json, notes }
    }

    /// What else the person should know; talk, not data.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl Screen for Switched {
    fn command(&self) -> &'static str {
        "switch"
    }

    fn text(&self, width: usize) -> String {
        let Self { account: Named { number, label, .. }, re_enabled, .. } = self;
        let re_enabled = if *re_enabled { " (re-enabled)" } else { "" };
        let mut lines = Lines::new(width);
        lines.line(&format!("Switched to account {number}: {label}{re_enabled} (pinned for runtime routing)"));
        lines.finish()
    }
}

/// The pin is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unpinned {
    ok: bool,
    changed: bool,
    was_pinned: Option<Named>,
    strategy: &'static str,
}

impl Unpinned {
    /// The account that was pinned, if one was, and how accounts are chosen from now on.
    pub fn new(was_pinned: Option<Named>, strategy: Strategy) -> Self {
        Self { ok: true, changed: was_pinned.is_some(), was_pinned, strategy: strategy.as_str() }
    }
}

impl Screen for Unpinned {
    fn command(&self) -> &'static str {
        "unpin"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        match &self.was_pinned {
            Some(Named { number, .. }) => lines.line(&format!(
                "Cleared manual pin (was account {number}). Runtime routing will resume {} rotation.",
                self.strategy
            )),
            None => lines.line("No pin to clear."),
        };
        lines.finish()
    }
}

/// What became of the sign-in of an account that left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// It stays valid: nobody asked for more.
    NotAsked,
    /// The issuer ended it.
    Done,
    /// The issuer did not say that it is ended.
    Failed {
        /// Why, as a sentence.
        why: String,
    },
}

/// An account left the pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    ok: bool,
    #[serde(flatten)]
    account: Named,
    revoked: bool,
    revoke_error: Option<String>,
    account_count: usize,
    still_in_auth_json: bool,
    #[serde(skip)]
    revocation: Revocation,
}

impl Removed {
    /// The account as it was called, how many are left, what became of its sign-in, and whether the official client's
    /// login file still holds it.
    pub fn new(account: Named, account_count: usize, revocation: Revocation, still_in_auth_json: bool) -> Self {
        let revoke_error = match &revocation {
            Revocation::Failed { why } => Some(why.clone()),
            Revocation::NotAsked | Revocation::Done => None,
        };
        let revoked = revocation == Revocation::Done;
        let ok = revoke_error.is_none();
        Self { ok, account, revoked, revoke_error, account_count, still_in_auth_json, revocation }
    }
}

impl Screen for Removed {
    fn command(&self) -> &'static str {
        "remove"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Removed {}. Total: {}", self.account.label, self.account_count));
        match &self.revocation {
            Revocation::NotAsked => {
                lines.line("Its sign-in was not revoked. `codex-multi-auth undo` brings it back.");
            }
            Revocation::Done => {
                lines.line(
                    "Its sign-in is revoked. `codex-multi-auth undo` brings the account back, but not its tokens.",
                );
            }
            Revocation::Failed { why } => {
                lines.line(&format!("The sign-in of {} may still be valid: {why}", self.account.label));
                lines.line("The removal stands. Sign it out in the security settings of ChatGPT, or run `codex-multi-auth undo`, then remove it with --revoke again.");
            }
        }
        if self.still_in_auth_json {
            lines.line(match &self.revocation {
                Revocation::NotAsked | Revocation::Failed { .. } => {
                    "Codex's own login file still holds it; `codex logout` removes that, too."
                }
                Revocation::Done => {
                    "Codex's own login file still holds it, and it works there no more; `codex logout` removes that, too."
                }
            });
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing;

    use super::*;
    use crate::document;

    fn second() -> Named {
        Named::at(1, &testing::account(2))
    }

    #[test]
    fn a_switch_says_what_it_did() {
        let written = LoginMirror::Written { path: "/home/a/.codex/auth.json".to_owned(), drift: None };
        let switched = Switched::new(second(), true, &written, Vec::new());
        insta::assert_snapshot!(format!("{}{:#?}\n{}", switched.text(200), switched.notes(), document(&switched)));
    }

    #[test]
    fn a_switch_without_a_mirror_says_why() {
        let failed = LoginMirror::Failed { why: "The file is a hard link.".to_owned() };
        let switched = Switched::new(second(), false, &failed, Vec::new());
        assert_eq!(
            switched.notes(),
            ["Switched account 2 locally, but Codex auth sync did not complete. The file is a hard link. Multi-auth \
              routing will still use this account."]
        );
        assert!(!switched.synced);
    }

    #[test]
    fn a_pin_is_cleared_or_was_not_there() {
        let cleared = Unpinned::new(Some(second()), Strategy::Hybrid).text(200);
        assert_eq!(cleared, "Cleared manual pin (was account 2). Runtime routing will resume hybrid rotation.\n");
        assert_eq!(Unpinned::new(None, Strategy::Hybrid).text(200), "No pin to clear.\n");
    }

    #[test]
    fn a_removal_names_what_is_left() {
        insta::assert_snapshot!(Removed::new(second(), 1, Revocation::NotAsked, true).text(80));
    }

    #[test]
    fn a_removal_says_what_became_of_the_sign_in() {
        let done = Removed::new(second(), 1, Revocation::Done, true);
        let failed = Revocation::Failed { why: "The issuer could not be reached.".to_owned() };
        let failed = Removed::new(second(), 1, failed, false);
        let all = [done.text(80), document(&done), failed.text(80), document(&failed)];
        insta::assert_snapshot!(all.concat());
    }
}
