//! The ports to the disk: the pool, and the right to spend one refresh token.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Credential, Edit, Held, Kind, NeedsLogin, RecordId, RefreshToken, SavedPool};

/// Where accounts and credentials are kept.
#[async_trait]
pub trait AccountStore: Debug + Send + Sync {
    /// The pool as it stands now.
    async fn read(&self) -> Result<SavedPool, StoreError>;

    /// Applies a change to freshly read state under the lock and returns what was written.
    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError>;

    /// A value that changes whenever another program changed the files; cheap enough to ask several times a second.
    fn stamp(&self) -> u64;

    /// The account that a refresh token belonged to which has a successor since, as far as that is remembered. Such a
    /// token must never be presented again; whoever comes with it is a generation behind.
    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError>;

    /// Hands renewed pairs on to copies elsewhere that could not be reached when they came. Presents nothing, and is
    /// cheap enough to ask every second. A store without copies has nothing to do.
    async fn hand_over(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Waits (bounded) for the right, across processes and products, to spend this account's refresh token.
    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError>;
}

/// The right to spend one refresh token; released when dropped, also by a crash.
#[async_trait]
pub trait RefreshClaim: Debug + Send {
    /// Reads the account anew, adopting a newer pair of the same identity that another program wrote.
    async fn look_again(&mut self) -> Result<Held, StoreError>;

    /// Notes durably that this token is about to be presented, and reserves room for the answer.
    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError>;

    /// Keeps the new credential durably; when this returns, no crash can lose it.
    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError>;

    /// Notes that the intended presentation certainly did not reach the issuer.
    async fn unspent(&mut self) -> Result<(), StoreError>;

    /// Marks the account durably: only a new sign-in helps.
    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError>;
}

/// What the journal knows of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Never presented: go on.
    Clear,
    /// An earlier attempt may have spent it; it must not be presented again.
    MaybeSpent,
}

/// Why the disk did not obey. Messages carry path, verb and holder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The account is gone.
    #[error("account {0} is no longer in the pool")]
    NoSuchAccount(RecordId),
    /// Somebody else holds a lock for longer than we wait.
    #[error("{path} is locked by {holder}; waited {waited_secs} s")]
    Locked {
        /// The lock file.
        path: String,
        /// Who holds it, as far as it can be told.
        holder: String,
        /// How long we waited.
        waited_secs: u64,
    },
    /// The file is there but is not what it should be.
    #[error("{path} cannot be used: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The document is of a version we do not know; it is left alone.
    #[error("{path} has version {found}, which this program does not know; it was left as it is")]
    UnknownVersion {
        /// The file.
        path: String,
        /// The version found.
        found: String,
    },
    /// The operating system refused.
    #[error("cannot {verb} {path}: {why}")]
    Io {
        /// What we tried.
        verb: &'static str,
        /// On which file.
        path: String,
        /// The system's words.
        why: String,
    },
}

impl StoreError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchAccount(_) | Self::Locked { .. } => Kind::Conflict,
            Self::Unreadable { .. } | Self::UnknownVersion { .. } | Self::Io { .. } => Kind::Storage,
        }
    }
}
