//! Everything beside tokens in memory: facts, affinity, counters, ledger.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use codex_auth_core::{
    RecordId, SessionKey, Timestamp,
    capability::{
        Affinity, Appended, Binding, CapabilityError, Counters, Facts, Grant, Ledger, Observation, Rolled, Usage,
        UsageEntry, roll_up,
    },
};

use super::MemoryEngine;

#[async_trait]
impl Facts for MemoryEngine {
    async fn append(&self, seen: Observation) -> Result<Observation, CapabilityError> {
        Ok(self.with(|state, _| state.facts.append(seen)))
    }

    async fn latest(&self, key: &str) -> Result<Option<Observation>, CapabilityError> {
        Ok(self.with(|state, _| state.facts.latest(key)))
    }
}

#[async_trait]
impl Affinity for MemoryEngine {
    async fn bind_if_absent(
        &self,
        key: &SessionKey,
        account: &RecordId,
        ttl: Duration,
    ) -> Result<Binding, CapabilityError> {
        Ok(self.with(|state, now| state.affinity.bind_if_absent(key, account, ttl, now)))
    }

    async fn lookup(&self, key: &SessionKey) -> Result<Option<Binding>, CapabilityError> {
        Ok(self.with(|state, _| state.affinity.lookup(key)))
    }

    async fn move_to(&self, expected: &Binding, account: &RecordId, ttl: Duration) -> Result<Binding, CapabilityError> {
        self.with(|state, now| state.affinity.move_to(expected, account, ttl, now))
    }
}

#[async_trait]
impl Counters for MemoryEngine {
    async fn reserve(&self, key: &str, amount: u64, limit: u64, ttl: Duration) -> Result<Grant, CapabilityError> {
        self.with(|state, now| state.counters.reserve(key, amount, limit, ttl, now))
    }

    async fn settle(&self, grant: Grant, actual: u64) -> Result<Usage, CapabilityError> {
        self.with(|state, _| state.counters.end(&grant, actual))
    }

    async fn release(&self, grant: Grant) -> Result<Usage, CapabilityError> {
        self.with(|state, _| state.counters.end(&grant, 0))
    }

    async fn usage(&self, key: &str) -> Result<Usage, CapabilityError> {
        Ok(self.with(|state, _| state.counters.usage(key)))
    }
}

#[async_trait]
impl Ledger for MemoryEngine {
    async fn append(&self, entry: UsageEntry) -> Result<Appended, CapabilityError> {
        self.with(|state, _| match state.ledger.get(&entry.key) {
            Some(known) if *known == entry => Ok(Appended::Known),
            Some(_) => Err(CapabilityError::Reused { what: format!("event {}", entry.key) }),
            None => {
                state.ledger.insert(entry.key.clone(), entry);
                Ok(Appended::New)
            }
        })
    }

    async fn range(&self, span: Range<Timestamp>) -> Result<Vec<UsageEntry>, CapabilityError> {
        let mut found: Vec<UsageEntry> =
            self.with(|state, _| state.ledger.values().filter(|entry| span.contains(&entry.at)).cloned().collect());
        found.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        Ok(found)
    }

    async fn rollup(&self, span: Range<Timestamp>, step: Duration) -> Result<Vec<Rolled>, CapabilityError> {
        Ok(roll_up(&self.range(span).await?, step))
    }
}
