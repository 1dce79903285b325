//! The journal: what is noted before a token is presented, so that a crash never presents it twice nor loses what it
//! bought.

use std::fmt::{self, Debug};

use async_trait::async_trait;

use crate::RecordId;

use super::{CapabilityError, Contents};

/// What was presented, and what came of it.
///
/// | Rule | Why |
/// |---|---|
/// | an intent is durable when it returns | the request follows at once |
/// | of all intents for one token, one is told to go on | a token is single-use |
/// | a token once marked is never clear again, unless it certainly was not sent | also after a restart |
/// | an answer is durable when `outcome` returns, before the vault has it | it is the only copy |
/// | every open operation leads to one of: commit, a new sign-in, the account is free | nothing hangs for ever |
#[async_trait]
pub trait Journal: Debug + Send + Sync {
    /// Notes that `token` of `id` is about to be presented.
    async fn intent(&self, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError>;

    /// Notes what came of it.
    async fn outcome(&self, op: &OpId, outcome: Outcome) -> Result<(), CapabilityError>;

    /// Everything that has not ended.
    async fn open_ops(&self) -> Result<Vec<OpenOp>, CapabilityError>;
}

/// What a refresh token is called where it must not stand itself: a hash of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenName(String);

impl TokenName {
    /// Wraps the lower-case hex SHA-256 of a refresh token, or of the sealed bytes that hold it.
    pub fn from_hash(hash: impl Into<String>) -> Self {
        Self(hash.into())
    }

    /// The hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One presentation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId {
    /// The account.
    pub record: RecordId,
    /// The token.
    pub token: TokenName,
}

/// What the journal knew of a token before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// Nothing: go on.
    Clear(OpId),
    /// An earlier attempt may have spent it; it must not be presented.
    MaybeSpent(OpId),
}

/// What came of a presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The issuer answered; the answer is kept until the vault has it.
    Answered(Contents),
    /// The vault has the answer.
    Committed,
    /// The token certainly did not reach the issuer; it may be presented again.
    Unspent,
    /// The token is spent or refused, and nothing was bought; only a new sign-in helps.
    Lost,
}

/// A presentation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOp {
    /// Which one.
    pub op: OpId,
    /// What it bought, once that is known.
    pub answer: Option<Contents>,
}

/// What to do about an open operation that nobody works on any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Commit the answer, then note `Committed`.
    Commit(Contents),
    /// Mark the account, then note `Lost`: the token may be spent.
    NeedsLogin,
    /// The vault has moved on; note `Committed`. Its token was never presented.
    RetrySafe,
}

impl OpenOp {
    /// What a successor does about it, given the token the vault holds now.
    pub fn recovery(&self, current: &TokenName) -> Recovery {
        match &self.answer {
            _ if self.op.token != *current => Recovery::RetrySafe,
            Some(answer) => Recovery::Commit(answer.clone()),
            None => Recovery::NeedsLogin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::held;

    #[track_caller]
    fn check(answer: Option<&Contents>, current: &str, expect: &Recovery) {
        let op = OpId { record: held(1).account.record, token: TokenName::from_hash("spent") };
        let open = OpenOp { op, answer: answer.cloned() };
        assert_eq!(&open.recovery(&TokenName::from_hash(current)), expect);
    }

    #[test]
    fn every_open_operation_has_one_way_on() {
        let answer = Contents::Plain(held(2).credential);
        check(Some(&answer), "spent", &Recovery::Commit(answer.clone()));
        check(Some(&answer), "newer", &Recovery::RetrySafe);
        check(None, "spent", &Recovery::NeedsLogin);
        check(None, "newer", &Recovery::RetrySafe);
    }
}
