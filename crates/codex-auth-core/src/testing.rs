//! Stand-ins for the outside, behind the feature `testing`: a manual clock, a memory store, a memory ledger, a scripted
//! issuer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;

mod diary;
mod rules;
mod silence;

pub use diary::MemoryDiary;
pub use rules::MemoryPolicies;
pub use silence::{CANARY, check_silent, planted};

use crate::{
    AccessToken, Account, AccountStore, Clock, Credential, Edit, Entropy, Granted, Held, Intent, NeedsLogin, Owner,
    QuotaMemory, RecordId, RefreshClaim, RefreshError, RefreshReason, RefreshToken, Remembered, RequestSpent,
    SavedPool, Seen, SpentAt, StoreError, Timestamp, TokenIssuer, UsageBook, UserId, WorkspaceId,
};

/// Account `n` of a made-up pool: enabled, with an identity, never used.
pub fn account(n: usize) -> Account {
    Account {
        record: RecordId::parse(&format!("record:{n}")).expect("not blank"),
        owner: Owner {
            user: UserId::parse(&format!("user-{n}")),
            workspace: WorkspaceId::parse(&format!("ws-{n}")),
            email: Some(format!("person{n}@example.test")),
            plan: Some("plus".to_owned()),
        },
        label: None,
        alias: None,
        enabled: true,
        needs_login: None,
        incident: None,
        rests: Vec::new(),
        seen: Seen::default(),
        issuer: None,
        provenance: None,
    }
}

/// Account `n` with tokens that never end.
pub fn held(n: usize) -> Held {
    let credential = Credential {
        access: Some(AccessToken::new(format!("access-{n}"))),
        refresh: RefreshToken::new(format!("refresh-{n}")),
        id: None,
        expires_at: None,
        obtained_at: None,
        generation: 0,
    };
    Held { account: account(n), credential }
}

/// A pool of accounts 1 to `count`, the first one selected.
pub fn pool(count: usize) -> SavedPool {
    let accounts: Vec<_> = (1..=count).map(held).collect();
    let active = accounts.first().map(|held| held.account.record.clone());
    SavedPool { accounts, active, pin: None, affinity_generation: 0 }
}

/// A clock that stands still until told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Stands at `now` from here on, be that later or earlier: hosts set their clocks.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    /// Moves on.
    pub fn advance(&self, span: std::time::Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Chance that repeats: the same seed fills the same bytes.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// Starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    /// The next number of the sequence (splitmix64).
    pub fn next(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// Remembered quotas in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuotas(Arc<Mutex<Vec<Remembered>>>);

impl MemoryQuotas {
    /// A memory that holds this.
    pub fn holding(rows: Vec<Remembered>) -> Self {
        Self(Arc::new(Mutex::new(rows)))
    }

    /// What it holds.
    pub fn rows(&self) -> Vec<Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl QuotaMemory for MemoryQuotas {
    fn stamp(&self) -> u64 {
        self.rows().len() as u64
    }

    fn read(&self, _pool: &SavedPool) -> Result<Vec<Remembered>, StoreError> {
        Ok(self.rows())
    }

    fn keep(&self, _pool: &SavedPool, rows: &[Remembered], _now: Timestamp) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(rows.iter().cloned());
        Ok(())
    }
}

/// A pool in memory, with the same promises as the file engine.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    pool: SavedPool,
    journal: HashMap<RecordId, RefreshToken>,
    spent: Vec<(RefreshToken, RecordId)>,
    claimed: Vec<RecordId>,
    edits: u64,
}

impl MemoryStore {
    /// A store that holds `pool`.
    pub fn holding(pool: SavedPool) -> Self {
        Self(Arc::new(Mutex::new(Memory { pool, ..Memory::default() })))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        Ok(self.with(|memory| memory.pool.clone()))
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        Ok(self.with(|memory| {
            memory.edits += 1;
            change(&mut memory.pool);
            memory.pool.clone()
        }))
    }

    fn stamp(&self) -> u64 {
        self.with(|memory| memory.edits)
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        Ok(self.with(|memory| memory.spent.iter().find(|(spent, _)| spent == token).map(|(_, record)| record.clone())))
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        let taken = self.with(|memory| {
            memory.pool.find(record).ok_or_else(|| StoreError::NoSuchAccount(record.clone()))?;
            let free = !memory.claimed.contains(record);
            if free {
                memory.claimed.push(record.clone());
            }
            Ok::<bool, StoreError>(free)
        })?;
        if !taken {
            return Err(StoreError::Locked { path: "memory".into(), holder: "another claim".into(), waited_secs: 0 });
        }
        Ok(Box::new(MemoryClaim { store: self.clone(), record: record.clone() }))
    }
}

#[derive(Debug)]
struct MemoryClaim {
    store: MemoryStore,
    record: RecordId,
}

impl Drop for MemoryClaim {
    fn drop(&mut self) {
        self.store.with(|memory| memory.claimed.retain(|record| *record != self.record));
    }
}

#[async_trait]
impl RefreshClaim for MemoryClaim {
    async fn look_again(&mut self) -> Result<Held, StoreError> {
        let found = self.store.with(|memory| memory.pool.find(&self.record).cloned());
        found.ok_or_else(|| StoreError::NoSuchAccount(self.record.clone()))
    }

    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError> {
        Ok(self.store.with(|memory| match memory.journal.insert(self.record.clone(), token.clone()) {
            Some(noted) if noted == *token => Intent::MaybeSpent,
            Some(_) | None => Intent::Clear,
        }))
    }

    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError> {
        let before = self.look_again().await?.credential;
        if !before.same_grant(fresh) {
            self.store.with(|memory| memory.spent.push((before.refresh, self.record.clone())));
        }
        self.resolve(|held| {
            let generation = fresh.generation.max(held.credential.generation + 1);
            held.credential = Credential { generation, ..fresh.clone() };
            held.account.needs_login = None;
            held.account.incident = held.account.incident.take().filter(|incident| !incident.ends_with_a_grant());
        });
        Ok(())
    }

    async fn unspent(&mut self) -> Result<(), StoreError> {
        self.store.with(|memory| memory.journal.remove(&self.record));
        Ok(())
    }

    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError> {
        self.resolve(|held| held.account.needs_login = Some(why));
        Ok(())
    }
}

impl MemoryClaim {
    /// Ends what the journal noted. The change concerns the noted token alone: a sign-in made meanwhile stands.
    fn resolve(&self, change: impl FnOnce(&mut Held)) {
        self.store.with(|memory| {
            memory.edits += 1;
            let noted = memory.journal.remove(&self.record);
            let held = memory.pool.find_mut(&self.record);
            if let Some(held) = held.filter(|held| noted.is_none_or(|noted| noted == held.credential.refresh)) {
                change(held);
            }
        });
    }
}

/// An issuer that answers from a script and remembers what it was shown.
#[derive(Debug, Clone, Default)]
pub struct ScriptedIssuer(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Result<Granted, RefreshError>>,
    presented: Vec<RefreshToken>,
    reasons: Vec<RefreshReason>,
}

impl ScriptedIssuer {
    /// Answers in this order; when the script is over, every token is refused.
    pub fn answering(answers: impl IntoIterator<Item = Result<Granted, RefreshError>>) -> Self {
        Self(Arc::new(Mutex::new(Script { answers: answers.into_iter().collect(), ..Script::default() })))
    }

    /// Every token shown so far, in order.
    pub fn presented(&self) -> Vec<RefreshToken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).presented.clone()
    }

    /// Why each of them was shown.
    pub fn reasons(&self) -> Vec<RefreshReason> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reasons.clone()
    }
}

#[async_trait]
impl TokenIssuer for ScriptedIssuer {
    async fn refresh(
        &self,
        _account: &Account,
        token: &RefreshToken,
        why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        let mut script = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        script.presented.push(token.clone());
        script.reasons.push(why);
        script.answers.pop_front().unwrap_or_else(|| Err(RefreshError::Refused { code: "end_of_script".into() }))
    }
}

/// A ledger in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryBook(Arc<Mutex<Vec<RequestSpent>>>, Arc<Mutex<Vec<SpentAt>>>);

impl MemoryBook {
    /// What was written down, in order.
    pub fn requests(&self) -> Vec<RequestSpent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another program writes something.
    pub fn others_spend(&self, spent: SpentAt) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).push(spent);
    }
}

#[async_trait]
impl UsageBook for MemoryBook {
    async fn enter(&self, requests: Arc<[RequestSpent]>) -> Result<(), StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for request in requests.iter() {
            if known.iter().all(|known| known.id != request.id) {
                known.push(request.clone());
            }
        }
        Ok(())
    }

    async fn publish(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn spent_by_others(&self) -> Result<Vec<SpentAt>, StoreError> {
        Ok(std::mem::take(&mut *self.1.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
