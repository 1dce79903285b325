//! The rules of `codex-accounts.json`, the account store of the OpenCode plugin that came before us.
//!
//! | Room | Question it answers |
//! |---|---|
//! | [`identity_key`], [`fingerprint`], [`token_claims`] | what names an account, in the file's own words |
//! | [`record`], [`normalise`], `aggregate` | what a file says after reading, and before writing |
//! | [`migrate`] | how older shapes become today's, and what of a file is kept |
//! | [`upsert`], `matching`, [`change`] | where a sign-in, an import, new tokens or a cool-down go |
//! | [`tools`], [`rows`] | what the host's tools and the account menu see and do |
//! | [`OpenCodeFile`], `store_lock`, `queue`, `dir_lock`, [`gitignore`] | reading and changing the file beside a running predecessor |
//! | [`transfer`] | older programs' sign-ins, offered once |
//! | `codec`, `beside` | one domain of the file as a pool for the engine, and what it has no room for |
//!
//! Everything but the file and its lock is a pure function over the parsed document: `now` is handed in, and unknown
//! members of account records survive. Members the predecessor drops at each write (beside `openai`, beside a domain's
//! accounts) are dropped here too: what must survive it stands on records or in a file of our own.

use serde_json::Value;

mod aggregate;
mod beside;
pub mod change;
mod codec;
mod dir_lock;
mod file;
pub mod fingerprint;
pub mod gitignore;
pub mod identity_key;
mod matching;
pub mod migrate;
pub mod normalise;
mod queue;
pub mod record;
pub mod rows;
mod store_lock;
pub mod token_claims;
pub mod tools;
pub mod transfer;
pub mod upsert;

pub(crate) use codec::OpenCodeCodec;
pub use file::{Loaded, OpenCodeFile, Saved};
pub(crate) use store_lock::{StoreLock, lock_of};

/// The file's name; documents of other names keep members beside `openai`.
pub const OPENCODE_ACCOUNTS: &str = "codex-accounts.json";

/// One half of the store: the accounts of one identity mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// Accounts used as the host's own sign-in.
    Native,
    /// Accounts used as the Codex command line.
    Codex,
}

impl Domain {
    /// Both, in the order of the file.
    pub const ALL: [Self; 2] = [Self::Native, Self::Codex];

    /// The word in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Codex => "codex",
        }
    }

    /// The domain of a word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|domain| domain.name() == name)
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Native => Self::Codex,
            Self::Codex => Self::Native,
        }
    }
}

/// The domains named by a record's `authTypes`, in the order of the file; native when none is named.
pub fn auth_types(value: Option<&Value>) -> Vec<Domain> {
    let named = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let found: Vec<Domain> =
        Domain::ALL.into_iter().filter(|domain| named.iter().any(|name| name == domain.name())).collect();
    if found.is_empty() { vec![Domain::Native] } else { found }
}

/// The value of `authTypes` for these domains.
pub(crate) fn auth_types_value(domains: &[Domain]) -> Value {
    Value::from(domains.iter().map(|domain| domain.name()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, expect: &[Domain]) {
        assert_eq!(auth_types(Some(value)), expect);
    }

    #[test]
    fn auth_types_are_cleaned_and_native_by_default() {
        check(&json!(["codex", "native"]), &Domain::ALL);
        check(&json!(["codex"]), &[Domain::Codex]);
        check(&json!(["x", 7]), &[Domain::Native]);
        check(&Value::Null, &[Domain::Native]);
    }
}
