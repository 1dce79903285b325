//! The vault: the newest tokens of each account, changed only by whoever knows the last ones and holds the lease.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use zeroize::Zeroize;

use crate::{AccessToken, Credential, IdToken, RecordId};

use super::{CapabilityError, Fence};

/// Where tokens are kept.
///
/// | Rule | Why |
/// |---|---|
/// | a commit that returned is seen by every later `get`, on every handle | a stale token is a spent token |
/// | of all commits that expect one generation, one succeeds | the issuer grants one successor |
/// | a fence that is not the running lease's never succeeds, also after the lease has expired | a paused holder wakes up |
/// | the same commit again is answered like the first one | its answer may have been lost |
/// | the generation grows by one with each commit | it names a state |
#[async_trait]
pub trait Vault: Debug + Send + Sync {
    /// The newest contents of an account.
    async fn get(&self, id: &RecordId) -> Result<Kept, CapabilityError>;

    /// Replaces the contents and returns their new generation; durable when it returns.
    async fn commit(&self, commit: Commit) -> Result<u64, CapabilityError>;

    /// Every account with its generation, in the engine's order.
    async fn list(&self) -> Result<Vec<(RecordId, u64)>, CapabilityError>;
}

/// What is kept of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The account.
    pub id: RecordId,
    /// Which state this is.
    pub generation: u64,
    /// The tokens.
    pub contents: Contents,
}

/// Tokens on their way into or out of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// As they are; for engines on the person's own machine only. The generation inside means nothing here.
    Plain(Credential),
    /// Sealed before they reached the engine, which cannot read them.
    Sealed(SealedBytes),
}

/// Bytes only the one who sealed them can read. `Debug` is redacted all the same, and they are wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBytes(Vec<u8>);

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The account, which is also the key of the lease.
    pub id: RecordId,
    /// The generation the caller has seen.
    pub expected: u64,
    /// The fence of the caller's lease.
    pub fence: Fence,
    /// What is to be kept.
    pub contents: Contents,
}

/// What is to be done about a commit whose fence holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Write it as this generation.
    Write(u64),
    /// It was written before; this is its generation.
    Done(u64),
}

impl SealedBytes {
    /// Wraps sealed bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The sealed bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for SealedBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SealedBytes([{} redacted])", self.0.len())
    }
}

impl Drop for SealedBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Contents {
    /// Bytes of the secrets.
    pub fn size(&self) -> u64 {
        let size = match self {
            Self::Plain(Credential { access, refresh, id, .. }) => {
                let length = |text: Option<&str>| text.map_or(0, str::len);
                let access = length(access.as_ref().map(AccessToken::expose));
                access + refresh.expose().len() + length(id.as_ref().map(IdToken::expose))
            }
            Self::Sealed(bytes) => bytes.0.len(),
        };
        size as u64
    }

    /// Whether both hold the same tokens, whatever their generation.
    pub fn same_tokens(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(mine), Self::Plain(theirs)) => {
                mine.same_grant(theirs) && mine.access == theirs.access && mine.id == theirs.id
            }
            (Self::Sealed(mine), Self::Sealed(theirs)) => mine == theirs,
            (Self::Plain(_), Self::Sealed(_)) | (Self::Sealed(_), Self::Plain(_)) => false,
        }
    }
}

/// Compare and set: what becomes of `commit` over what is kept now.
pub fn judge(kept: &Kept, commit: &Commit) -> Result<Judged, CapabilityError> {
    if kept.generation == commit.expected {
        return Ok(Judged::Write(kept.generation + 1));
    }
    if kept.generation == commit.expected.saturating_add(1) && kept.contents.same_tokens(&commit.contents) {
        return Ok(Judged::Done(kept.generation));
    }
    let what = format!("the credential of {}", commit.id);
    Err(CapabilityError::Stale { what, expected: commit.expected, found: kept.generation })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::held;

    fn contents(n: usize) -> Contents {
        Contents::Plain(held(n).credential)
    }

    #[track_caller]
    fn check(generation: u64, kept: usize, expected: u64, fresh: usize, expect: Option<Judged>) {
        let id = held(1).account.record;
        let kept = Kept { id: id.clone(), generation, contents: contents(kept) };
        let commit = Commit { id, expected, fence: Fence(1), contents: contents(fresh) };
        assert_eq!(judge(&kept, &commit).ok(), expect);
    }

    #[test]
    fn only_the_last_generation_is_replaced() {
        check(3, 1, 3, 2, Some(Judged::Write(4)));
        check(3, 1, 2, 2, None);
        check(3, 1, 4, 2, None);
    }

    #[test]
    fn the_same_commit_again_is_done() {
        check(4, 2, 3, 2, Some(Judged::Done(4)));
        check(5, 2, 3, 2, None);
    }

    #[test]
    fn sealed_bytes_are_not_shown() {
        assert_eq!(format!("{:?}", SealedBytes::new(b"CANARY".to_vec())), "SealedBytes([6 redacted])");
    }
}
