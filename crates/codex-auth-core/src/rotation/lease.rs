//! What a request asks the rotation for, the right to one attempt, and what follows from it.

use crate::{Edit, Held, Reaction, Reason, RecordId, Ruling, SessionKey, rotation::Lesson};

/// What a request asks the rotation for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The conversation it belongs to.
    pub session: Option<SessionKey>,
    /// Quota key of its model, where known.
    pub quota_key: Option<String>,
    /// Accounts already tried for it.
    pub tried: Vec<RecordId>,
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

/// The right to use an account for one attempt; give it back with [`Rotation::settle`].
#[derive(Debug)]
#[must_use = "a lease counts as a request in flight until it is settled"]
pub struct Lease {
    /// The account and its tokens as they were when it was leased.
    pub held: Held,
    /// Why this account.
    pub reason: Reason,
    pub(super) session: Option<SessionKey>,
    pub(super) quota_key: Option<String>,
}

/// What follows from an attempt.
#[must_use]
pub struct Settled {
    /// What to do next.
    pub reaction: Reaction,
    /// A change to keep on disk, if any, and its name for [`Rotation::kept`].
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
