//! The official client's own login, as far as living beside it needs.

use std::fmt::Debug;

use crate::{Credential, Owner, StoreError};

/// What an `auth.json` of a `CODEX_HOME` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Whose login it is.
    pub owner: Owner,
    /// Its tokens; `obtained_at` is the file's `last_refresh`.
    pub credential: Credential,
    /// `tokens.oauth_provenance.issuer`, where present.
    pub issuer: Option<String>,
}

/// What stands where a login should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    /// A ChatGPT login the official client would use.
    Usable(Box<Login>),
    /// No file.
    Absent,
    /// A file the official client would not sign requests with.
    Unusable {
        /// What is wrong, for one line on stderr; never a token.
        why: String,
    },
}

/// Reads official logins. Small files, read when a lease begins and when a bearer is unknown.
pub trait OfficialLogins: Debug + Send + Sync {
    /// The login of this `CODEX_HOME`.
    fn login(&self, codex_home: &str) -> Result<LoginState, StoreError>;
}
