//! Owns how accounts are called: the same names in every view and document.

use codex_auth_core::{Account, RecordId, SavedPool};
use serde::Serialize;

use crate::words::plain;

/// How many characters of a workspace id stand for it.
const ID_TAIL: usize = 6;

/// `Account 2 (work, me@corp.test, id:000002)`: alias, label, e-mail and the end of the workspace id, where known.
///
/// A lone id stands without its prefix.
pub fn label(number: usize, account: &Account) -> String {
    let alias = account.alias.as_deref().map(plain);
    let name = account.label.as_deref().map(plain).filter(|name| alias.as_ref() != Some(name));
    let mut parts: Vec<String> = [alias, name, account.owner.email.as_deref().map(plain)]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    if let Some(workspace) = &account.owner.workspace {
        let id = plain(workspace.as_str());
        let tail: String = id.chars().skip(id.chars().count().saturating_sub(ID_TAIL)).collect();
        parts.push(if parts.is_empty() { tail } else { format!("id:{tail}") });
    }
    match parts.as_slice() {
        [] => format!("Account {number}"),
        _ => format!("Account {number} ({})", parts.join(", ")),
    }
}

/// An account as every view names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Place in the file, from 0: the predecessor's key.
    pub index: usize,
    /// Number on screen, from 1.
    pub number: usize,
    /// Our stable name of it.
    pub record_id: String,
    /// The user's own short name.
    pub alias: Option<String>,
    /// How it is called on screen.
    pub label: String,
}

impl Named {
    /// The account at this place of the pool, from 0.
    pub fn at(index: usize, account: &Account) -> Self {
        let number = index + 1;
        Self {
            index,
            number,
            record_id: account.record.to_string(),
            alias: account.alias.clone(),
            label: label(number, account),
        }
    }

    /// The account of this record, if the pool has it.
    pub fn of(pool: &SavedPool, record: &RecordId) -> Option<Self> {
        let index = pool.accounts.iter().position(|held| held.account.record == *record)?;
        Some(Self::at(index, &pool.accounts[index].account))
    }

    /// All accounts of a pool.
    pub fn all(pool: &SavedPool) -> Vec<Self> {
        pool.accounts.iter().enumerate().map(|(index, held)| Self::at(index, &held.account)).collect()
    }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::{Owner, WorkspaceId, testing};

    use super::*;

    #[track_caller]
    fn check(alias: &str, name: &str, email: &str, workspace: &str, expect: &str) {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let owner = Owner { email: text(email), workspace: WorkspaceId::parse(workspace), ..Owner::default() };
        let account = Account { alias: text(alias), label: text(name), owner, ..testing::account(1) };
        assert_eq!(label(4, &account), expect);
    }

    #[test]
    fn what_is_known_is_shown_in_order() {
        check("", "", "", "", "Account 4");
        check("", "", "a@b.co", "", "Account 4 (a@b.co)");
        check("", "", "", "acc-1-234567", "Account 4 (234567)");
        check("", "Work", "a@b.co", "acc-1-234567", "Account 4 (Work, a@b.co, id:234567)");
        check("job", "Work", "a@b.co", "", "Account 4 (job, Work, a@b.co)");
        check("Work", "Work", "", "", "Account 4 (Work)");
    }
}
