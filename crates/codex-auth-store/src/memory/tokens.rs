//! Tokens in memory: vault, leases, journal, watch.

use std::time::Duration;

use async_trait::async_trait;
use codex_auth_core::{
    RecordId,
    capability::{
        CapabilityError, Commit, Cursor, FencedLease, Journal, Judged, Kept, Leases, Noted, OpId, OpenOp, Outcome,
        Seen, StorageEngine as _, TokenName, Vault, Watch, judge,
    },
};

use super::{MemoryEngine, no_account};
use crate::watching;

#[async_trait]
impl Vault for MemoryEngine {
    async fn get(&self, id: &RecordId) -> Result<Kept, CapabilityError> {
        self.with(|state, _| state.vault.get(id).cloned().ok_or_else(|| no_account(id)))
    }

    async fn commit(&self, commit: Commit) -> Result<u64, CapabilityError> {
        self.caps().admits(&commit.contents)?;
        self.with(|state, _| {
            state.leases.check(commit.id.as_str(), commit.fence)?;
            let kept = state.vault.get_mut(&commit.id).ok_or_else(|| no_account(&commit.id))?;
            match judge(kept, &commit)? {
                Judged::Done(generation) => Ok(generation),
                Judged::Write(generation) => {
                    *kept = Kept { id: commit.id, generation, contents: commit.contents };
                    state.commits += 1;
                    Ok(generation)
                }
            }
        })
    }

    async fn list(&self) -> Result<Vec<(RecordId, u64)>, CapabilityError> {
        Ok(self.with(|state, _| state.vault.values().map(|kept| (kept.id.clone(), kept.generation)).collect()))
    }
}

#[async_trait]
impl Leases for MemoryEngine {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        self.with(|state, now| state.leases.acquire(key, ttl, now))
    }

    async fn renew(&self, lease: &FencedLease, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        self.with(|state, now| state.leases.renew(lease, ttl, now))
    }

    async fn release(&self, lease: FencedLease) -> Result<(), CapabilityError> {
        self.with(|state, _| state.leases.release(&lease));
        Ok(())
    }
}

#[async_trait]
impl Journal for MemoryEngine {
    async fn intent(&self, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError> {
        let op = OpId { record: id.clone(), token: token.clone() };
        self.with(|state, _| {
            if !state.spent.may_present(&op, state.open.get(id))? {
                return Ok(Noted::MaybeSpent(op));
            }
            state.spent.note(&op);
            state.open.insert(id.clone(), OpenOp { op: op.clone(), answer: None });
            Ok(Noted::Clear(op))
        })
    }

    async fn outcome(&self, op: &OpId, outcome: Outcome) -> Result<(), CapabilityError> {
        if let Outcome::Answered(contents) = &outcome {
            self.caps().admits(contents)?;
        }
        self.with(|state, _| {
            if !state.spent.is_news(op, state.open.get(&op.record), &outcome)? {
                return Ok(());
            }
            if let Outcome::Unspent = outcome {
                state.spent.clear(op);
            }
            match outcome {
                Outcome::Answered(contents) => {
                    state.open.insert(op.record.clone(), OpenOp { op: op.clone(), answer: Some(contents) });
                }
                Outcome::Committed | Outcome::Unspent | Outcome::Lost => drop(state.open.remove(&op.record)),
            }
            Ok(())
        })
    }

    async fn open_ops(&self) -> Result<Vec<OpenOp>, CapabilityError> {
        Ok(self.with(|state, _| state.open.values().cloned().collect()))
    }
}

#[async_trait]
impl Watch for MemoryEngine {
    async fn changes(&self, since: Option<Cursor>) -> Result<Seen, CapabilityError> {
        let cursor = Cursor(self.with(|state, _| state.commits));
        Ok(Seen { cursor, changed: since != Some(cursor) })
    }

    async fn wait(&self, since: Cursor, at_most: Duration) -> Result<Seen, CapabilityError> {
        watching::poll(self, since, at_most).await
    }
}
