//! An agent as the product wires one: rotation, keeper, one renewal at a time per account, one writer, one look-out.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use codex_auth_core::{
    AccountStore, CredentialKeeper, Edit, Held, KeepError, Lesson, RecordId, Rest, RestPolicy, RestReason, Rotation,
    Strategy, reason_ahead,
};

use super::{
    Flaw,
    rules::Rules,
    vendor::Vendor,
    world::{Owner, World},
};
use crate::{executor::pause, stepped::Stepped};

/// One process that serves sessions.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) number: usize,
    pub(crate) world: Arc<World>,
    pub(crate) vendor: Arc<Vendor>,
    pub(crate) rotation: Rotation,
    pub(crate) rules: Rules,
    pub(crate) flaw: Flaw,
    strategy: Strategy,
    store: Arc<Stepped>,
    keeper: CredentialKeeper,
    renewals: Mutex<BTreeMap<RecordId, Arc<Renewal>>>,
    queue: Mutex<(Vec<Waiting>, bool)>,
    seen: AtomicU64,
}

/// An edit that waits for the writer.
struct Waiting(Edit, Lesson);

impl std::fmt::Debug for Waiting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an edit")
    }
}

/// A renewal under way, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    result: Mutex<Option<Result<Held, KeepError>>>,
    waiting: Mutex<Vec<Waker>>,
}

impl Agent {
    /// Starts from what the store says now.
    pub(crate) async fn start(
        number: usize,
        world: &Arc<World>,
        vendor: &Arc<Vendor>,
        store: &Arc<Stepped>,
        (strategy, flaw): (Strategy, Flaw),
    ) -> Arc<Self> {
        let seen = store.stamp();
        let pool = store.at_once().read().await.expect("memory obeys");
        Arc::new(Self {
            number,
            rules: Rules::new(world, strategy, pool.affinity_generation),
            rotation: Rotation::new(pool, strategy, RestPolicy::default()),
            keeper: CredentialKeeper::new(store.clone(), vendor.clone(), world.clock.clone()),
            world: world.clone(),
            vendor: vendor.clone(),
            store: store.clone(),
            renewals: Mutex::default(),
            queue: Mutex::default(),
            seen: AtomicU64::new(seen),
            strategy,
            flaw,
        })
    }

    /// Renews, or joins the renewal under way.
    pub(crate) async fn renew(self: &Arc<Self>, held: &Held) -> Result<Held, KeepError> {
        let renewal = self.renewal(held);
        poll_fn(|context| {
            if let Some(result) = renewal.result.lock().unwrap().clone() {
                return Poll::Ready(result);
            }
            renewal.waiting.lock().unwrap().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Begins a renewal unless one is under way; it ends with its process, not with who waits for it.
    pub(crate) fn renewal(self: &Arc<Self>, held: &Held) -> Arc<Renewal> {
        let record = held.account.record.clone();
        let mut renewals = self.renewals.lock().unwrap();
        if let Some(renewal) = renewals.get(&record) {
            return renewal.clone();
        }
        let renewal = Arc::<Renewal>::default();
        renewals.insert(record.clone(), renewal.clone());
        let (agent, seen, told) = (self.clone(), held.credential.clone(), renewal.clone());
        let work = async move {
            let result = agent.keeper.renew(&record, &seen, reason_ahead(&seen)).await;
            agent.learn(&record, &result);
            agent.renewals.lock().unwrap().remove(&record);
            *told.result.lock().unwrap() = Some(result);
            told.waiting.lock().unwrap().drain(..).for_each(Waker::wake);
        };
        self.world.give(Owner::Agent(self.number), Box::pin(work));
        renewal
    }

    fn learn(&self, record: &RecordId, result: &Result<Held, KeepError>) {
        let now = self.world.now();
        match result {
            Ok(held) => self.rotation.renewed(held),
            Err(KeepError::NeedsLogin { code }) => self.rotation.needs_login(record, code, now),
            Err(KeepError::HeldBack { .. } | KeepError::Paused { .. }) => {}
            Err(KeepError::Issuer(_) | KeepError::Store(_)) => {
                let until = now.after(RestPolicy::default().network);
                self.rotation.rest(record, Rest::of_account(RestReason::Network, until, now));
            }
        }
    }

    /// Hands a change to the writer.
    pub(crate) fn keep(self: &Arc<Self>, (edit, lesson): (Edit, Lesson)) {
        let mut queue = self.queue.lock().unwrap();
        queue.0.push(Waiting(edit, lesson));
        if std::mem::replace(&mut queue.1, true) {
            return;
        }
        let agent = self.clone();
        let write = async move {
            loop {
                let edits = {
                    let mut queue = agent.queue.lock().unwrap();
                    queue.1 = !queue.0.is_empty();
                    std::mem::take(&mut queue.0)
                };
                if edits.is_empty() {
                    return;
                }
                let lessons: Vec<Lesson> = edits.iter().map(|waiting: &Waiting| waiting.1).collect();
                let all: Edit = Box::new(move |pool| edits.into_iter().for_each(|edit| (edit.0)(pool)));
                agent.store.edit(all).await.expect("memory obeys");
                for lesson in lessons {
                    agent.rotation.kept(lesson);
                }
            }
        };
        self.world.give(Owner::Agent(self.number), Box::pin(write));
    }

    /// Writes a change, whether or not the caller stays; when this returns it is durable.
    pub(crate) async fn keep_now(self: &Arc<Self>, edit: (Edit, Lesson)) {
        self.keep(edit);
        while self.queue.lock().unwrap().1 {
            pause().await;
        }
    }

    /// Reads the pool anew from time to time, when another program changed it.
    pub(crate) async fn look_out(self: Arc<Self>) {
        while !self.world.is_calm() {
            self.world.a_while(Duration::from_secs(20)).await;
            let stamp = self.store.stamp();
            if self.seen.swap(stamp, Ordering::SeqCst) == stamp {
                continue;
            }
            self.rotation.reading();
            let pool = self.store.read().await.expect("memory obeys");
            self.rules.adopting(&pool);
            self.rotation.adopt(pool, self.strategy, self.world.now());
        }
    }
}
