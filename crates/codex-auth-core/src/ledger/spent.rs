//! What one request came to, as the agent knows it, and the port to whoever writes it down.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{Account, Owner, RecordId, SessionKey, SpentAt, StoreError, Timestamp, TokenUse};

use super::{UsageOperation, UsageOutcome, UsageSource};

/// Where requests are written down.
#[async_trait]
pub trait UsageBook: Debug + Send + Sync {
    /// Writes requests with their attempts; durable when it returns. A request that is there already, by its id, is not
    /// written again, whoever wrote it.
    async fn enter(&self, requests: Arc<[RequestSpent]>) -> Result<(), StoreError>;

    /// Tells other programs what was done since the last call; asked about once a second.
    async fn publish(&self) -> Result<(), StoreError>;

    /// What others wrote since the last call, as budgets count it; the first call only begins to look. It waits for
    /// nobody: what cannot be read now is told later.
    async fn spent_by_others(&self) -> Result<Vec<SpentAt>, StoreError>;
}

/// Whose account it was. The book writes hashes of it, which cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Our name for it; `None` for a login that is not in the pool.
    pub record: Option<RecordId>,
    /// The person and the workspace.
    pub owner: Owner,
}

impl Whose {
    /// The account as the ledger needs it.
    pub fn of(account: &Account) -> Self {
        Self { record: Some(account.record.clone()), owner: account.owner.clone() }
    }
}

/// One request, ended: of a model, or a question that was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpent {
    /// Names it among all requests of all times.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// Who asked.
    pub source: UsageSource,
    /// What for.
    pub operation: UsageOperation,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// The model asked for; where the request did not say, the one that answered.
    pub model: Option<String>,
    /// The model the client named, where another one was asked for in its place.
    pub instead_of: Option<String>,
    /// The directory of the session that asked.
    pub cwd: Option<String>,
    /// The conversation it belongs to.
    pub session: Option<SessionKey>,
    /// The answer's own id.
    pub response: Option<String>,
    /// The account that answered, or the last one asked; `None` where several answered together.
    pub account: Option<Whose>,
    /// HTTP status the client got.
    pub status: Option<u16>,
    /// A word for what went wrong.
    pub error_code: Option<String>,
    /// From its beginning to its end.
    pub took: Duration,
    /// What it took, over all attempts.
    pub tokens: TokenUse,
    /// Its attempts, in order.
    pub attempts: Vec<AttemptSpent>,
}

/// One attempt with one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptSpent {
    /// When it ended.
    pub at: Timestamp,
    /// The account asked.
    pub account: Whose,
    /// The model it was asked for, where the request asked for more than one.
    pub model: Option<String>,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// HTTP status of the backend, where it answered.
    pub status: Option<u16>,
    /// A word for what went wrong.
    pub error_code: Option<String>,
    /// From its beginning to its end.
    pub took: Duration,
    /// What it took.
    pub tokens: TokenUse,
}
