//! What a request asks the rotation for, the right to one attempt, and what follows from it.

use std::sync::atomic::AtomicBool;

use crate::{Edit, Held, MovePrice, Reaction, Reason, RecordId, Ruling, SessionKey, rotation::Lesson};

/// What a request asks the rotation for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The conversation it belongs to.
    pub session: Option<SessionKey>,
    /// The conversation that sent this one out.
    pub parent: Option<SessionKey>,
    /// Tokens of its prompt, estimated; 0 when nothing is known.
    pub tokens: u64,
    /// Quota key of its model, where known.
    pub quota_key: Option<String>,
    /// The model that its client named, where another one is asked for in its place.
    pub instead_of: Option<String>,
    /// Accounts already tried for it.
    pub tried: Vec<RecordId>,
    /// Those of them that refused it for its model, which the memory knows only where the model is known.
    pub lacking: Vec<RecordId>,
    /// Account that is to be asked once more, after its token or the request was mended.
    pub again: Option<RecordId>,
    /// The only account that may serve it, whatever the user pinned.
    pub only: Option<RecordId>,
    /// What the user's rules mean for it.
    pub ruling: Ruling,
}

impl Query {
    /// The model, where its quota key is known.
    pub fn model(&self) -> Option<&str> {
        model_of(self.quota_key.as_deref())
    }
}

/// The model in a quota key.
pub(super) fn model_of(quota_key: Option<&str>) -> Option<&str> {
    quota_key.and_then(|key| key.split_once(':')).map(|(_, model)| model)
}

/// The right to use an account for one attempt; give it back with [`Rotation::settle`](crate::Rotation::settle).
#[derive(Debug)]
#[must_use = "a lease counts as a request in flight until it is settled"]
pub struct Lease {
    /// The account and its tokens as they were when it was leased.
    pub held: Held,
    /// Why this account.
    pub reason: Reason,
    /// For a session that had an account: the price of the move made, or of the best one not made.
    pub price: Option<MovePrice>,
    pub(super) session: Option<SessionKey>,
    pub(super) quota_key: Option<String>,
    pub(super) tokens: u64,
    /// Whether its answer has begun.
    pub(super) began: AtomicBool,
    /// Whether the session had no account, and this one was in use.
    pub(super) is_new: bool,
}

/// What the end of an answer told of a request's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// How many of them were cached.
    pub cached_tokens: u64,
}

/// What follows from an attempt.
#[must_use]
pub struct Settled {
    /// What to do next.
    pub reaction: Reaction,
    /// A change to keep on disk, if any, and its name for [`Rotation::kept`](crate::Rotation::kept).
    pub edit: Option<(Edit, Lesson)>,
    /// Whether the change must be durable before anything else happens.
    pub is_urgent: bool,
}

impl std::fmt::Debug for Settled {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reaction, edit, is_urgent } = self;
        out.debug_struct("Settled")
            .field("reaction", reaction)
            .field("edit", &edit.is_some())
            .field("is_urgent", is_urgent)
            .finish()
    }
}
