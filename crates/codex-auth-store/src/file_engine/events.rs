//! The asynchronous face of facts, affinity, counters and ledger.

use std::{ops::Range, time::Duration};

use async_trait::async_trait;
use codex_auth_core::{
    RecordId, SessionKey, Timestamp,
    capability::{
        Affinity, Appended, Binding, CapabilityError, Counters, Facts, Grant, Ledger, Observation, Rolled, Usage,
        UsageEntry, roll_up,
    },
};

use super::FileEngine;
use crate::books::{Book, affinity::AffinityBook, counters::CounterBook, facts::FactBook};

const FACTS: &str = "facts.json";
const AFFINITY: &str = "affinity.json";
const COUNTERS: &str = "counters.json";

impl FileEngine {
    /// Works on the book called `name`.
    async fn on<B: Book, T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut B, Timestamp) -> Result<T, CapabilityError> + Send + 'static,
    ) -> Result<T, CapabilityError> {
        self.apart(move |engine| engine.shelf.change(&engine.shelf.path(name), work)).await
    }

    /// Looks something up in the book called `name`.
    async fn look_up<B: Book, T: Send + 'static>(
        &self,
        name: &'static str,
        answer: impl Fn(&B) -> T + Send + 'static,
    ) -> Result<T, CapabilityError> {
        self.apart(move |engine| engine.shelf.look_up(&engine.shelf.path(name), answer)).await
    }
}

#[async_trait]
impl Facts for FileEngine {
    async fn append(&self, seen: Observation) -> Result<Observation, CapabilityError> {
        self.on(FACTS, move |book: &mut FactBook, _| Ok(book.append(seen))).await
    }

    async fn latest(&self, key: &str) -> Result<Option<Observation>, CapabilityError> {
        let key = key.to_owned();
        self.look_up(FACTS, move |book: &FactBook| book.latest(&key)).await
    }
}

#[async_trait]
impl Affinity for FileEngine {
    async fn bind_if_absent(
        &self,
        key: &SessionKey,
        account: &RecordId,
        ttl: Duration,
    ) -> Result<Binding, CapabilityError> {
        let (key, account) = (key.clone(), account.clone());
        self.on(AFFINITY, move |book: &mut AffinityBook, now| Ok(book.bind_if_absent(&key, &account, ttl, now))).await
    }

    async fn lookup(&self, key: &SessionKey) -> Result<Option<Binding>, CapabilityError> {
        let key = key.clone();
        self.look_up(AFFINITY, move |book: &AffinityBook| book.lookup(&key)).await
    }

    async fn move_to(&self, expected: &Binding, account: &RecordId, ttl: Duration) -> Result<Binding, CapabilityError> {
        let (expected, account) = (expected.clone(), account.clone());
        self.on(AFFINITY, move |book: &mut AffinityBook, now| book.move_to(&expected, &account, ttl, now)).await
    }
}

#[async_trait]
impl Counters for FileEngine {
    async fn reserve(&self, key: &str, amount: u64, limit: u64, ttl: Duration) -> Result<Grant, CapabilityError> {
        let key = key.to_owned();
        self.on(COUNTERS, move |book: &mut CounterBook, now| book.reserve(&key, amount, limit, ttl, now)).await
    }

    async fn settle(&self, grant: Grant, actual: u64) -> Result<Usage, CapabilityError> {
        self.on(COUNTERS, move |book: &mut CounterBook, _| book.end(&grant, actual)).await
    }

    async fn release(&self, grant: Grant) -> Result<Usage, CapabilityError> {
        self.on(COUNTERS, move |book: &mut CounterBook, _| book.end(&grant, 0)).await
    }

    async fn usage(&self, key: &str) -> Result<Usage, CapabilityError> {
        let key = key.to_owned();
        self.look_up(COUNTERS, move |book: &CounterBook| book.usage(&key)).await
    }
}

#[async_trait]
impl Ledger for FileEngine {
    async fn append(&self, entry: UsageEntry) -> Result<Appended, CapabilityError> {
        self.apart(move |engine| engine.append_event(&entry)).await
    }

    async fn range(&self, span: Range<Timestamp>) -> Result<Vec<UsageEntry>, CapabilityError> {
        self.apart(move |engine| engine.events_in(&span)).await
    }

    async fn rollup(&self, span: Range<Timestamp>, step: Duration) -> Result<Vec<Rolled>, CapabilityError> {
        Ok(roll_up(&self.range(span).await?, step))
    }
}
