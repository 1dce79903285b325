//! Engines with one flaw each: the kit must find it, by the name of the rule it breaks.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use codex_auth_core::{
    Clock as _, RecordId, SessionKey, Timestamp,
    capability::{
        Affinity, Appended, Binding, CapabilityError, Caps, Commit, Contents, Counters, Cursor, Facts, Fence,
        FencedLease, Grant, Journal, Judged, Kept, Leases, Ledger, Noted, Observation, OpId, OpenOp, Outcome, Parts,
        Rolled, Seen, StorageEngine, TokenName, Usage, UsageEntry, Vault, Watch, judge,
    },
    testing::{ManualClock, held},
};
use codex_auth_store::{
    MemoryEngine,
    testing::conformance::{self, Effort, World},
};

use crate::world::NOW;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    LostUpdate,
    StaleRead,
    MissingFence,
    HostClock,
    OverGrant,
    LastWriterWins,
    ForgetsWhatWasSpent,
    TwoOwners,
    WritesTwice,
    MissesChanges,
}

/// The memory engine with a flaw.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    inner: MemoryEngine,
    shared: Arc<Shared>,
    /// What this handle once read.
    read: Mutex<HashMap<RecordId, Kept>>,
}

/// What the flawed halves keep for all handles.
#[derive(Debug)]
struct Shared {
    clock: Arc<ManualClock>,
    kept: Mutex<BTreeMap<RecordId, Kept>>,
    leases: Mutex<HashMap<String, (u64, Timestamp)>>,
    facts: Mutex<HashMap<String, Observation>>,
    events: AtomicU64,
}

fn open<T>(state: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn world(flaw: Flaw) -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let contents = [1, 2].map(|n| (held(n).account.record, Contents::Plain(held(n).credential)));
    let kept = contents.clone().map(|(id, contents)| (id.clone(), Kept { id, generation: 0, contents }));
    let shared = Arc::new(Shared {
        clock: clock.clone(),
        kept: Mutex::new(kept.into_iter().collect()),
        leases: Mutex::default(),
        facts: Mutex::default(),
        events: AtomicU64::new(0),
    });
    let accounts = contents.clone().map(|(id, _)| id);
    let inner = MemoryEngine::holding(contents, clock.clone());
    let handle = move || -> Arc<dyn StorageEngine> {
        Arc::new(Broken { flaw, inner: inner.clone(), shared: shared.clone(), read: Mutex::default() })
    };
    World::new(accounts, handle).with_clock(clock)
}

async fn check(flaw: Flaw, rules: &[&str]) {
    let report = conformance::run(|| world(flaw), Effort::QUICK).await;
    let broken = report.broken();
    if rules.is_empty() {
        assert_eq!(broken, rules, "a sound engine is blamed\n{report}");
    }
    for rule in rules {
        assert!(broken.contains(rule), "{flaw:?} breaks {rule} unnoticed\n{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sound_wrapper_is_not_blamed() {
    check(Flaw::None, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_update_is_caught() {
    check(Flaw::LostUpdate, &["vault/old-generation"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_is_caught() {
    check(Flaw::StaleRead, &["vault/fresh-read"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_fence_is_caught() {
    check(Flaw::MissingFence, &["vault/old-fence", "vault/paused-holder"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_is_caught() {
    check(Flaw::HostClock, &["leases/no-revival", "leases/end-after-set-back", "leases/jump-and-return"]).await;
}

#[tokio::test(start_paused = true)]
async fn grants_beyond_the_limit_are_caught() {
    check(Flaw::OverGrant, &["counters/within-limit"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_last_writer_that_wins_is_caught() {
    check(Flaw::LastWriterWins, &["facts/never-back", "facts/any-order"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_forgetful_journal_is_caught() {
    check(Flaw::ForgetsWhatWasSpent, &["journal/never-twice"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_owners_are_caught() {
    check(Flaw::TwoOwners, &["affinity/one-owner"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_written_twice_is_caught() {
    check(Flaw::WritesTwice, &["ledger/once"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missed_change_is_caught() {
    check(Flaw::MissesChanges, &["watch/none-missed"]).await;
}

impl StorageEngine for Broken {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn parts(&self) -> Parts<'_> {
        let sound = self.inner.parts();
        match self.flaw {
            Flaw::None => sound,
            Flaw::LostUpdate | Flaw::StaleRead | Flaw::MissingFence => Parts { vault: Some(self), ..sound },
            Flaw::HostClock => Parts { leases: Some(self), ..sound },
            Flaw::OverGrant => Parts { counters: Some(self), ..sound },
            Flaw::LastWriterWins => Parts { facts: Some(self), ..sound },
            Flaw::ForgetsWhatWasSpent => Parts { journal: Some(self), ..sound },
            Flaw::TwoOwners => Parts { affinity: Some(self), ..sound },
            Flaw::WritesTwice => Parts { ledger: Some(self), ..sound },
            Flaw::MissesChanges => Parts { watch: Some(self), ..sound },
        }
    }
}

#[async_trait]
impl Vault for Broken {
    async fn get(&self, id: &RecordId) -> Result<Kept, CapabilityError> {
        match self.flaw {
            Flaw::MissingFence => {
                let gone = || CapabilityError::Gone { what: id.to_string() };
                open(&self.shared.kept).get(id).cloned().ok_or_else(gone)
            }
            Flaw::StaleRead => {
                let fresh = Vault::get(&self.inner, id).await?;
                Ok(open(&self.read).entry(id.clone()).or_insert(fresh).clone())
            }
            _ => Vault::get(&self.inner, id).await,
        }
    }

    async fn commit(&self, mut commit: Commit) -> Result<u64, CapabilityError> {
        if self.flaw == Flaw::MissingFence {
            self.caps().admits(&commit.contents)?;
            let mut all = open(&self.shared.kept);
            let kept = all.get_mut(&commit.id).ok_or(CapabilityError::Gone { what: "account".into() })?;
            let (Judged::Write(generation) | Judged::Done(generation)) = judge(kept, &commit)?;
            *kept = Kept { id: commit.id, generation, contents: commit.contents };
            return Ok(generation);
        }
        if self.flaw == Flaw::LostUpdate {
            commit.expected = Vault::get(&self.inner, &commit.id).await?.generation;
        }
        self.inner.commit(commit).await
    }

    async fn list(&self) -> Result<Vec<(RecordId, u64)>, CapabilityError> {
        if self.flaw == Flaw::MissingFence {
            return Ok(open(&self.shared.kept).values().map(|kept| (kept.id.clone(), kept.generation)).collect());
        }
        self.inner.list().await
    }
}

#[async_trait]
impl Leases for Broken {
    async fn acquire(&self, key: &str, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let now = self.shared.clock.now();
        let mut leases = open(&self.shared.leases);
        let (fence, until) = leases.entry(key.to_owned()).or_default();
        if *until > now {
            return Err(CapabilityError::Held { what: key.to_owned(), until: Some(*until) });
        }
        (*fence, *until) = (*fence + 1, now.after(ttl));
        Ok(FencedLease { key: key.to_owned(), fence: Fence(*fence), ttl, until: *until })
    }

    async fn renew(&self, lease: &FencedLease, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let now = self.shared.clock.now();
        match open(&self.shared.leases).get_mut(&lease.key) {
            Some((fence, until)) if *fence == lease.fence.0 && *until > now => {
                *until = now.after(ttl);
                Ok(FencedLease { until: *until, ..lease.clone() })
            }
            Some(_) | None => Err(CapabilityError::Fenced { what: lease.key.clone(), shown: lease.fence }),
        }
    }

    async fn release(&self, lease: FencedLease) -> Result<(), CapabilityError> {
        if let Some((fence, until)) = open(&self.shared.leases).get_mut(&lease.key)
            && *fence == lease.fence.0
        {
            *until = Timestamp::default();
        }
        Ok(())
    }
}

#[async_trait]
impl Counters for Broken {
    async fn reserve(&self, key: &str, amount: u64, limit: u64, ttl: Duration) -> Result<Grant, CapabilityError> {
        let left = self.inner.usage(key).await?.left(limit);
        // Others come between looking and taking.
        tokio::task::yield_now().await;
        if amount > left {
            return Err(CapabilityError::Full { what: key.to_owned(), asked: amount, left, limit });
        }
        self.inner.reserve(key, amount, u64::MAX, ttl).await
    }

    async fn settle(&self, grant: Grant, actual: u64) -> Result<Usage, CapabilityError> {
        self.inner.settle(grant, actual).await
    }

    async fn release(&self, grant: Grant) -> Result<Usage, CapabilityError> {
        Counters::release(&self.inner, grant).await
    }

    async fn usage(&self, key: &str) -> Result<Usage, CapabilityError> {
        self.inner.usage(key).await
    }
}

#[async_trait]
impl Facts for Broken {
    async fn append(&self, seen: Observation) -> Result<Observation, CapabilityError> {
        open(&self.shared.facts).insert(seen.key.clone(), seen.clone());
        Ok(seen)
    }

    async fn latest(&self, key: &str) -> Result<Option<Observation>, CapabilityError> {
        Ok(open(&self.shared.facts).get(key).cloned())
    }
}

#[async_trait]
impl Journal for Broken {
    async fn intent(&self, id: &RecordId, token: &TokenName) -> Result<Noted, CapabilityError> {
        let noted = self.inner.intent(id, token).await?;
        match noted {
            Noted::MaybeSpent(op) if self.inner.open_ops().await?.is_empty() => Ok(Noted::Clear(op)),
            Noted::MaybeSpent(_) | Noted::Clear(_) => Ok(noted),
        }
    }

    async fn outcome(&self, op: &OpId, outcome: Outcome) -> Result<(), CapabilityError> {
        self.inner.outcome(op, outcome).await
    }

    async fn open_ops(&self) -> Result<Vec<OpenOp>, CapabilityError> {
        self.inner.open_ops().await
    }
}

#[async_trait]
impl Affinity for Broken {
    async fn bind_if_absent(
        &self,
        key: &SessionKey,
        account: &RecordId,
        ttl: Duration,
    ) -> Result<Binding, CapabilityError> {
        let bound = self.inner.bind_if_absent(key, account, ttl).await?;
        Ok(Binding { account: account.clone(), ..bound })
    }

    async fn lookup(&self, key: &SessionKey) -> Result<Option<Binding>, CapabilityError> {
        self.inner.lookup(key).await
    }

    async fn move_to(&self, expected: &Binding, account: &RecordId, ttl: Duration) -> Result<Binding, CapabilityError> {
        self.inner.move_to(expected, account, ttl).await
    }
}

#[async_trait]
impl Ledger for Broken {
    async fn append(&self, entry: UsageEntry) -> Result<Appended, CapabilityError> {
        let n = self.shared.events.fetch_add(1, Ordering::SeqCst);
        Ledger::append(&self.inner, UsageEntry { key: format!("{}-{n}", entry.key), ..entry }).await
    }

    async fn range(&self, span: Range<Timestamp>) -> Result<Vec<UsageEntry>, CapabilityError> {
        self.inner.range(span).await
    }

    async fn rollup(&self, span: Range<Timestamp>, step: Duration) -> Result<Vec<Rolled>, CapabilityError> {
        self.inner.rollup(span, step).await
    }
}

#[async_trait]
impl Watch for Broken {
    async fn changes(&self, since: Option<Cursor>) -> Result<Seen, CapabilityError> {
        let seen = self.inner.changes(since).await?;
        let cursor = Cursor(seen.cursor.0 / 4);
        Ok(Seen { cursor, changed: since != Some(cursor) })
    }

    async fn wait(&self, since: Cursor, _at_most: Duration) -> Result<Seen, CapabilityError> {
        self.changes(Some(since)).await
    }
}
