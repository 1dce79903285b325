//! The pool as it is kept: accounts with their credentials, the selection and the pin.

use std::fmt;

use crate::{Account, Credential, RecordId, Timestamp};

/// An account together with its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The account.
    pub account: Account,
    /// Its tokens.
    pub credential: Credential,
}

/// Everything an accounts document says, by key; positions exist in the document only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SavedPool {
    /// In the order of the document, which is the order on screen.
    pub accounts: Vec<Held>,
    /// The account selected for display and for the official client's `auth.json`.
    pub active: Option<RecordId>,
    /// A hard constraint set by `switch`.
    pub pin: Option<RecordId>,
    /// Grows with each user decision that ends all session affinity.
    pub affinity_generation: u64,
}

/// A change to the pool, applied to freshly read state under the lock; nothing holds a pool across I/O.
pub type Edit = Box<dyn FnOnce(&mut SavedPool) + Send>;

impl SavedPool {
    /// The account with this record id.
    pub fn find(&self, record: &RecordId) -> Option<&Held> {
        self.accounts.iter().find(|held| held.account.record == *record)
    }

    /// The record ids, in the user's order.
    pub fn records(&self) -> impl Iterator<Item = &RecordId> {
        self.accounts.iter().map(|held| &held.account.record)
    }

    /// The account with this record id, to be changed.
    pub fn find_mut(&mut self, record: &RecordId) -> Option<&mut Held> {
        self.accounts.iter_mut().find(|held| held.account.record == *record)
    }

    /// When the first of those accounts in service that rest is back; `None` while none of them rests.
    pub fn first_back(&self, now: Timestamp) -> Option<Timestamp> {
        let in_service = self.accounts.iter().filter(|held| held.account.enabled);
        in_service.filter_map(|held| held.account.longest_rest(now)).map(|rest| rest.until).min()
    }

    /// The number on screen of an account: its place, counted from one.
    pub fn number_of(&self, record: &RecordId) -> Option<usize> {
        self.accounts.iter().position(|held| held.account.record == *record).map(|index| index + 1)
    }

    /// The account meant by what a person types: a number on screen, an alias, an e-mail or a workspace id.
    pub fn select(&self, selector: &str) -> Result<&Held, NotSelected> {
        let selector = selector.trim();
        if let Ok(number) = selector.parse::<usize>() {
            let index = number.checked_sub(1).ok_or_else(|| NotSelected::Invalid(selector.to_owned()))?;
            return self.accounts.get(index).ok_or(NotSelected::OutOfRange { count: self.accounts.len() });
        }
        let same = |text: Option<&str>| text.is_some_and(|text| text.eq_ignore_ascii_case(selector));
        let mut named = self.accounts.iter().filter(|held| {
            let Account { alias, owner, .. } = &held.account;
            same(alias.as_deref())
                || same(owner.email.as_deref())
                || same(owner.workspace.as_ref().map(crate::WorkspaceId::as_str))
        });
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(NotSelected::Ambiguous(selector.to_owned())),
            (None, _) => Err(NotSelected::Unknown(selector.to_owned())),
        }
    }
}

/// Why nobody was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSelected {
    /// Zero, or a number too large to be one.
    Invalid(String),
    /// The pool is shorter.
    OutOfRange {
        /// How many accounts there are.
        count: usize,
    },
    /// No account has this alias, e-mail or workspace id.
    Unknown(String),
    /// Several accounts have it.
    Ambiguous(String),
}

impl fmt::Display for NotSelected {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => write!(out, "Invalid index: {text}"),
            Self::OutOfRange { count: 0 } => write!(out, "No accounts configured."),
            Self::OutOfRange { count } => write!(out, "Index out of range. Valid range: 1-{count}"),
            Self::Unknown(text) => write!(out, "No account is called {text}"),
            Self::Ambiguous(text) => write!(out, "Several accounts are called {text}; use the number"),
        }
    }
}

impl std::error::Error for NotSelected {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pool;

    #[track_caller]
    fn check(selector: &str, expect: &Result<usize, NotSelected>) {
        let pool = pool(2);
        let found = pool.select(selector).map(|held| pool.number_of(&held.account.record).expect("in the pool"));
        assert_eq!(&found, expect);
    }

    #[test]
    fn numbers_mails_and_workspaces_select() {
        check("2", &Ok(2));
        check("person1@example.test", &Ok(1));
        check("PERSON2@example.test", &Ok(2));
        check("ws-1", &Ok(1));
        check("0", &Err(NotSelected::Invalid("0".into())));
        check("3", &Err(NotSelected::OutOfRange { count: 2 }));
        check("nobody", &Err(NotSelected::Unknown("nobody".into())));
    }
}
