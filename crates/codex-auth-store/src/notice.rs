//! What the store found and mended by itself, as data: a person hears of it from the command that happened to be there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use camino::Utf8PathBuf;

/// One thing that was found and mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A file could not be used and was put together again from copies.
    Recovered {
        /// The file.
        path: Utf8PathBuf,
        /// What was wrong with it.
        why: String,
        /// Accounts it has now.
        accounts: usize,
        /// The copies they came from, by name.
        from: Vec<String>,
        /// Accounts there were and no copy has.
        lost: usize,
        /// Accounts whose newest refresh token no copy has; they need a sign-in once their access token ends.
        older: usize,
        /// Where the bytes are that could not be used; `None` when there were none.
        quarantined: Option<Utf8PathBuf>,
    },
    /// What was put together could not be written; it counts for this command only.
    NotWritten {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        why: String,
    },
    /// What stands beside the accounts could not be used and begins anew.
    BesideLost {
        /// The file.
        path: Utf8PathBuf,
        /// Whether a copy had it.
        from_copy: bool,
        /// Where its bytes are.
        quarantined: Utf8PathBuf,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recovered { path, why, accounts, from, lost, older, quarantined } => {
                if from.is_empty() {
                    write!(out, "{path} {why}. No copy of it has any account, so it begins anew.")?;
                } else {
                    let were = count(*accounts, "account was", "accounts were");
                    write!(out, "{path} {why}. {were} brought back from {}.", list(from))?;
                }
                if *lost > 0 {
                    write!(
                        out,
                        " {} in no copy: sign in again with `codex-multi-auth login`.",
                        count(*lost, "account is", "accounts are")
                    )?;
                }
                if *older > 0 {
                    write!(
                        out,
                        " {} an older token only and must be signed in again: `codex-multi-auth list` shows which.",
                        count(*older, "account has", "accounts have")
                    )?;
                }
                if let Some(kept) = quarantined {
                    write!(
                        out,
                        " The broken file is kept as {kept}; to go back to it, mend it and run `codex-multi-auth \
                         restore {kept}`."
                    )?;
                }
                write!(out, " `codex-multi-auth restore --list` shows all copies.")
            }
            Self::NotWritten { path, why } => write!(
                out,
                "{path} was put together from copies for this command, but could not be written: {why}. Mend the cause \
                 and run `codex-multi-auth list`."
            ),
            Self::BesideLost { path, from_copy, quarantined } => write!(
                out,
                "{path} could not be used. Accounts and refresh tokens stay; aliases and id tokens {}. The broken file \
                 is kept as {quarantined}.",
                if *from_copy { "came back from a copy" } else { "are lost until the next sign-in" }
            ),
        }
    }
}

/// Notices that nobody has told yet; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notices(Arc<Mutex<Vec<Notice>>>);

impl Notices {
    /// Adds one, unless it waits there already.
    pub(crate) fn add(&self, notice: Notice) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.contains(&notice) {
            waiting.push(notice);
        }
    }

    /// Takes all of them.
    pub(crate) fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_says_what_happened_and_how_to_undo_it() {
        let notice = Notice::Recovered {
            path: "/r/pool.json".into(),
            why: "ended in the middle".into(),
            accounts: 2,
            from: vec!["the broken file itself".into(), "pool.json.bak".into()],
            lost: 1,
            older: 1,
            quarantined: Some("/r/quarantine/pool.json.7.quarantine.json".into()),
        };
        let text = notice.to_string();
        assert_eq!(
            text,
            "/r/pool.json ended in the middle. 2 accounts were brought back from the broken file itself and \
             pool.json.bak. 1 account is in no copy: sign in again with `codex-multi-auth login`. 1 account has an \
             older token only and must be signed in again: `codex-multi-auth list` shows which. The broken file is kept \
             as /r/quarantine/pool.json.7.quarantine.json; to go back to it, mend it and run `codex-multi-auth restore \
             /r/quarantine/pool.json.7.quarantine.json`. `codex-multi-auth restore --list` shows all copies."
        );
    }
}
