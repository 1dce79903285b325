//! Affinity over machines: which account owns a session, with one owner at any time.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{RecordId, SessionKey, Timestamp};

use super::CapabilityError;

/// Who serves which session.
///
/// | Rule | Why |
/// |---|---|
/// | of all that bind an unbound session, one wins and all are told whom | a session lives in one account's cache |
/// | a move succeeds only over the binding it names | two movers would split it |
/// | a binding ends by the engine's clock and stays ended | hosts set their clocks |
#[async_trait]
pub trait Affinity: Debug + Send + Sync {
    /// Binds the session unless it is bound, and returns the binding that holds now.
    async fn bind_if_absent(
        &self,
        key: &SessionKey,
        account: &RecordId,
        ttl: Duration,
    ) -> Result<Binding, CapabilityError>;

    /// The binding that holds now.
    async fn lookup(&self, key: &SessionKey) -> Result<Option<Binding>, CapabilityError>;

    /// Moves the session to another account, if `expected` still is its binding.
    async fn move_to(&self, expected: &Binding, account: &RecordId, ttl: Duration) -> Result<Binding, CapabilityError>;
}

/// A session and its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The session.
    pub key: SessionKey,
    /// The account that serves it.
    pub account: RecordId,
    /// Tells this binding from all others of the session, before and after.
    pub version: u64,
    /// Its end by the engine's clock.
    pub until: Timestamp,
}
