//! Why an engine did not do what it was asked: one enum for all capabilities, because callers treat them alike.

use crate::{Kind, StoreError, Timestamp};

use super::Fence;

/// An engine's refusal. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// What was named is not there, or not there any more.
    #[error("{what} is not there; read anew and begin again")]
    Gone {
        /// What was named.
        what: String,
    },
    /// Somebody else changed it first.
    #[error("{what} was changed meanwhile: expected {expected}, found {found}; read it anew and decide again")]
    Stale {
        /// What was to be changed.
        what: String,
        /// The generation or version the caller knew.
        expected: u64,
        /// The one that is there.
        found: u64,
    },
    /// The lease behind the change has ended, or another one has followed.
    #[error("{what} may not be changed under fence {shown}: that lease has ended; acquire a new one and read anew")]
    Fenced {
        /// What was to be changed.
        what: String,
        /// The fence that was shown.
        shown: Fence,
    },
    /// Somebody else holds it.
    #[error("{what} is held by somebody else; ask again when it is released or has expired")]
    Held {
        /// What was wanted.
        what: String,
        /// Until when at the latest, by the engine's clock, where it is known.
        until: Option<Timestamp>,
    },
    /// An earlier presentation of the same account is unresolved.
    #[error("a refresh of {what} is unresolved; recover it first")]
    Unresolved {
        /// The account.
        what: String,
    },
    /// The key was used for something else.
    #[error("{what} was already written with other content; a new event needs a new key")]
    Reused {
        /// The key.
        what: String,
    },
    /// The limit leaves no room.
    #[error("{what} has room for {left} of {limit}, and {asked} were asked for")]
    Full {
        /// The counter.
        what: String,
        /// How much was wanted.
        asked: u64,
        /// How much is left.
        left: u64,
        /// The limit that was given.
        limit: u64,
    },
    /// It does not fit into this engine.
    #[error("{what} has {size} bytes, and this engine keeps at most {limit}")]
    TooLarge {
        /// What was to be kept.
        what: String,
        /// Its size.
        size: u64,
        /// The engine's limit.
        limit: u64,
    },
    /// The engine does not do this at all.
    #[error("the {engine} engine does not {verb}; choose an engine that does")]
    Unsupported {
        /// The engine.
        engine: &'static str,
        /// What it does not do.
        verb: &'static str,
    },
    /// The disk or the server did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CapabilityError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Gone { .. }
            | Self::Stale { .. }
            | Self::Fenced { .. }
            | Self::Held { .. }
            | Self::Unresolved { .. } => Kind::Conflict,
            Self::Full { .. } => Kind::Wait { until: None },
            Self::Reused { .. } | Self::TooLarge { .. } | Self::Unsupported { .. } => Kind::Usage,
            Self::Store(error) => error.kind(),
        }
    }
}
