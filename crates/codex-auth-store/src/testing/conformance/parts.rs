//! What the checks are built of: handles, contents, time, many tasks at once, and the two ways to be disappointed.

use std::{future::Future, sync::Arc, time::Duration};

use codex_auth_core::{
    AccessToken, Credential, RecordId, RefreshToken, Timestamp,
    capability::{
        CapabilityError, Caps, Commit, Contents, Fence, FencedLease, SealedBytes, StorageEngine, TokenName, Vault,
    },
    testing::ManualClock,
};

use super::{Ended, Proof, World};
use crate::hash::{sha256_hex, token_hash};

/// As long as every lease of the kit.
pub(super) const TTL: Duration = Duration::from_secs(30);
/// A little more than that.
pub(super) const PAST_TTL: Duration = Duration::from_secs(31);
/// How far clocks are set.
pub(super) const HOUR: Duration = Duration::from_hours(1);

impl World {
    /// Another handle.
    pub(super) fn open(&self) -> Arc<dyn StorageEngine> {
        (self.open)()
    }

    /// The account most checks work on.
    pub(super) fn account(&self) -> &RecordId {
        &self.accounts[0]
    }

    /// Another one.
    pub(super) fn other(&self) -> &RecordId {
        &self.accounts[1]
    }

    /// The clock, or the end of a check that cannot do without.
    pub(super) fn hand(&self) -> Result<&ManualClock, Ended> {
        self.clock.as_deref().ok_or(Ended::LeftOut("the engine's clock cannot be moved by hand"))
    }
}

/// Sets a clock back.
pub(super) fn set_back(clock: &ManualClock, span: Duration) {
    use codex_auth_core::Clock as _;

    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    clock.set(Timestamp::from_millis(clock.now().as_millis().saturating_sub(span)));
}

/// A capability the suite was promised.
pub(super) fn part<P: ?Sized>(part: Option<&P>) -> Result<&P, Ended> {
    part.ok_or_else(|| Ended::Broken("another handle lacks the capability".to_owned()))
}

/// Ends the check unless `holds`.
pub(super) fn ensure(holds: bool, how: impl Into<String>) -> Proof {
    if holds { Ok(()) } else { Err(Ended::Broken(how.into())) }
}

/// Ends the check unless the engine refused in the words of a capability; a disk's trouble is no refusal.
pub(super) fn refused<T>(outcome: Result<T, CapabilityError>, how: &str) -> Proof {
    match outcome {
        Ok(_) => Err(Ended::Broken(how.to_owned())),
        Err(error @ CapabilityError::Store(_)) => Err(error.into()),
        Err(_) => Ok(()),
    }
}

/// Contents named `name`, of a kind the engine takes.
pub(super) fn contents(caps: Caps, name: &str) -> Contents {
    if !caps.takes_plain {
        return Contents::Sealed(SealedBytes::new(name.as_bytes().to_vec()));
    }
    Contents::Plain(Credential {
        access: Some(AccessToken::new(format!("access-{name}"))),
        refresh: RefreshToken::new(format!("refresh-{name}")),
        id: None,
        expires_at: None,
        obtained_at: None,
        generation: 0,
    })
}

/// What the journal calls the token in these contents.
pub(super) fn token_name(contents: &Contents) -> TokenName {
    TokenName::from_hash(match contents {
        Contents::Plain(credential) => token_hash(&credential.refresh),
        Contents::Sealed(bytes) => sha256_hex(bytes.as_slice()),
    })
}

/// Takes the lease of an account; an engine without leases takes any fence.
pub(super) async fn lease(engine: &dyn StorageEngine, id: &RecordId) -> Result<FencedLease, Ended> {
    match engine.parts().leases {
        Some(leases) => Ok(leases.acquire(id.as_str(), TTL).await?),
        None => Ok(FencedLease { key: id.to_string(), fence: Fence(1), ttl: TTL, until: Timestamp::default() }),
    }
}

/// Reads an account and commits `name` over it; the new generation.
pub(super) async fn commit_over(
    engine: &dyn StorageEngine,
    vault: &dyn Vault,
    lease: &FencedLease,
    id: &RecordId,
    name: &str,
) -> Result<u64, CapabilityError> {
    let expected = vault.get(id).await?.generation;
    let contents = contents(engine.caps(), name);
    vault.commit(Commit { id: id.clone(), expected, fence: lease.fence, contents }).await
}

/// Runs `task` so many times at once, each as a task of its own, and collects what they say.
pub(super) async fn at_once<T, F>(times: usize, task: impl Fn(usize) -> F) -> Result<Vec<T>, Ended>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..times).map(|n| tokio::spawn(task(n))).collect();
    let mut said = Vec::with_capacity(times);
    for task in tasks {
        said.push(task.await.map_err(|error| Ended::Broken(format!("a task ended early: {error}")))?);
    }
    Ok(said)
}
