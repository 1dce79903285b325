//! Which account serves a request of the host, with a token that is good (plugin 7.3, with defect 7 mended): a renewal
//! that came late is kept, and an account whose token somebody else replaced meanwhile is asked once more.
//!
//! Who serves is core's to say: this room reads the pool, asks, and makes the chosen account's token good.

use std::sync::Arc;

use codex_auth_core::{
    AccountStore, Affinity, Clock, CredentialKeeper, Held, KeepError, Lease, Outcome, Query, RefreshPlan, Refusal,
    RestPolicy, Rotation, Routing, SavedPool, StoreError, Timestamp, USABLE_FOR, plan, reason_ahead,
};
use codex_auth_store::opencode::Domain;

use crate::not_acquired::NotAcquired;

/// A token another program spent or replaced meanwhile is worth one more renewal, not a third.
const RENEWALS: usize = 2;

/// How accounts are chosen, and from which half of the file.
#[derive(Debug, Clone)]
pub struct Choosing {
    /// The half.
    pub mode: Domain,
    /// What the settings say.
    pub routing: Routing,
    /// This process's own; where processes begin apart, it says where.
    pub seed: u64,
}

/// Hands out accounts of one pool.
#[derive(Debug)]
pub struct Acquisition {
    store: Arc<dyn AccountStore>,
    keeper: CredentialKeeper,
    clock: Arc<dyn Clock>,
    choosing: Choosing,
    rotation: Rotation,
}

/// Who serves. Give it back with [`Acquisition::settle`] when the request has ended.
#[derive(Debug)]
pub struct Acquired {
    /// The account, with a token that is good.
    pub held: Held,
    /// How many accounts were tried for it, this one included.
    pub tries: usize,
    lease: Lease,
}

impl Acquisition {
    /// Accounts of `store`, renewed by `keeper`.
    pub fn new(
        store: Arc<dyn AccountStore>,
        keeper: CredentialKeeper,
        clock: Arc<dyn Clock>,
        choosing: Choosing,
    ) -> Self {
        let rotation = Rotation::new(SavedPool::default(), choosing.routing.clone(), RestPolicy::default());
        let rotation = rotation.seeded(choosing.seed);
        Self { store, keeper, clock, choosing, rotation }
    }

    /// An account for one attempt; each is tried once.
    pub async fn acquire(&self, query: &Query) -> Result<Acquired, NotAcquired> {
        let (mut query, mut failed, began) = (query.clone(), None, query.tried.len());
        loop {
            self.read().await?;
            let lease = match self.rotation.acquire(&query, self.now()) {
                Ok(lease) => lease,
                Err(refusal) => return Err(self.nobody(&refusal, failed)),
            };
            query.tried.push(lease.held.account.record.clone());
            match self.with_good_token(&lease.held).await {
                Ok(Some(held)) => return Ok(Acquired { held, tries: query.tried.len() - began, lease }),
                Ok(None) => self.unsent(lease),
                Err(error) => {
                    self.not_renewed(lease, &error);
                    failed = Some(error);
                }
            }
        }
    }

    /// Notes that the account began to answer, so that the session stays with it.
    pub fn answering(&self, acquired: &Acquired) {
        self.rotation.answering(&acquired.lease, self.now());
    }

    /// Gives an account back with what came of the request, and keeps what follows.
    pub async fn settle(&self, acquired: Acquired, outcome: &Outcome) -> Result<(), StoreError> {
        let settled = self.rotation.settle(acquired.lease, outcome, false, self.now());
        let Some((edit, lesson)) = settled.edit else { return Ok(()) };
        self.store.edit(edit).await?;
        self.rotation.kept(lesson);
        Ok(())
    }

    /// Takes in what was written down of sessions.
    pub async fn remember(&self, sessions: &Affinity) -> Result<(), StoreError> {
        self.read().await?;
        self.rotation.remember(sessions, self.now());
        Ok(())
    }

    /// What is known of sessions, to be written down, and the pool whose accounts it names.
    pub fn sessions(&self) -> (Affinity, SavedPool) {
        (self.rotation.affinity(), self.rotation.pool())
    }

    async fn read(&self) -> Result<(), StoreError> {
        self.rotation.reading();
        let pool = self.store.read().await?;
        self.rotation.adopt(pool, self.choosing.routing.clone(), self.now());
        Ok(())
    }

    /// The account with a token that is good; `None` when it was taken out of service meanwhile.
    async fn with_good_token(&self, held: &Held) -> Result<Option<Held>, KeepError> {
        if matches!(plan(held, self.now()), RefreshPlan::Use | RefreshPlan::RefreshBehind) {
            return Ok(Some(held.clone()));
        }
        let mut seen = held.credential.clone();
        for _ in 0..RENEWALS {
            let again = self.keeper.renew(&held.account.record, &seen, reason_ahead(&seen)).await?;
            if !again.account.enabled {
                return Ok(None);
            }
            self.rotation.renewed(&again);
            if again.credential.is_live(self.now(), USABLE_FOR) {
                return Ok(Some(again));
            }
            seen = again.credential;
        }
        Ok(None)
    }

    fn not_renewed(&self, lease: Lease, error: &KeepError) {
        let (record, now) = (lease.held.account.record.clone(), self.now());
        self.unsent(lease);
        if let KeepError::NeedsLogin { code } = error {
            self.rotation.needs_login(&record, code, now);
        }
        if let Some(rest) = error.rest(RestPolicy::default(), now) {
            self.rotation.rest(&record, rest);
        }
    }

    /// Gives an account back that was asked nothing.
    fn unsent(&self, lease: Lease) {
        let _nothing_was_learnt = self.rotation.settle(lease, &Outcome::Cancelled, false, self.now());
    }

    fn nobody(&self, refusal: &Refusal, failed: Option<KeepError>) -> NotAcquired {
        let pool = self.rotation.pool();
        match failed {
            Some(error) => NotAcquired::of_renewal(error, &pool),
            None => NotAcquired::of_refusal(refusal, (&pool, self.choosing.mode), self.now()),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
