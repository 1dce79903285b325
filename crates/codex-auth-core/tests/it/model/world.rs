//! One world of the model while it runs: its state, the steps of its jobs, and the choices that make it this one.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use codex_auth_core::CredentialKeeper;

use super::{
    facts::{Asked, Fate, Pair, State, Who},
    ports::{Process, door},
};
use crate::executor::{Job, Orders, pause};

/// A handle that everybody in the world holds.
#[derive(Clone)]
pub(super) struct World(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// What each open job has seen: as its code is the same, that is where it stands.
    seen: Mutex<BTreeMap<usize, u64>>,
    /// What each open job does next.
    next: Mutex<BTreeMap<usize, &'static str>>,
    orders: Arc<Mutex<Orders>>,
    waiting: Mutex<Vec<Waker>>,
    waits: Mutex<BTreeMap<usize, Wait>>,
    born: Mutex<Vec<(Who, Job)>>,
    current: AtomicUsize,
    story: Mutex<Vec<(usize, &'static str)>>,
}

/// What a job waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    Claim,
    Answer(usize),
}

impl std::fmt::Debug for World {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("World")
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(super) fn new(state: State, orders: Arc<Mutex<Orders>>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            seen: Mutex::default(),
            next: Mutex::default(),
            orders,
            waiting: Mutex::default(),
            waits: Mutex::default(),
            born: Mutex::default(),
            current: AtomicUsize::new(0),
            story: Mutex::default(),
        }))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.0.state))
    }

    /// The time, as the job that asks remembers it.
    pub(super) fn now(&self) -> i64 {
        let now = self.with(|state| state.now);
        self.note(&now);
        now
    }

    /// Lets anything happen before the next effect.
    pub(super) async fn step(&self, what: &'static str) {
        let job = self.0.current.load(Ordering::Relaxed);
        lock(&self.0.next).insert(job, what);
        self.note(what);
        pause().await;
        lock(&self.0.next).remove(&job);
        self.tell(what);
        self.note(what);
    }

    /// A job whose next effect concerns nobody but its own process: others need not run before it. Its process may
    /// still die there.
    pub(super) fn by_itself(&self) -> Option<usize> {
        const PRIVATE: [&str; 4] = ["intend", "unspent", "answer", "ask the door"];
        lock(&self.0.next).iter().find(|(_, what)| PRIVATE.contains(what)).map(|(job, _)| *job)
    }

    /// Adds to what the current job has seen.
    pub(super) fn note(&self, seen: &(impl Hash + ?Sized)) {
        let job = self.0.current.load(Ordering::Relaxed);
        let mut all = lock(&self.0.seen);
        let mut hasher = DefaultHasher::new();
        all.get(&job).hash(&mut hasher);
        seen.hash(&mut hasher);
        all.insert(job, hasher.finish());
    }

    /// Where a job stands.
    pub(super) fn stand(&self, job: usize) -> Option<u64> {
        lock(&self.0.seen).get(&job).copied()
    }

    pub(super) fn forget(&self, job: usize) {
        lock(&self.0.seen).remove(&job);
        lock(&self.0.next).remove(&job);
        lock(&self.0.waits).remove(&job);
    }

    pub(super) fn tell(&self, what: &'static str) {
        lock(&self.0.story).push((self.0.current.load(Ordering::Relaxed), what));
    }

    /// Everything that was done, for a failure.
    pub(super) fn story(&self) -> String {
        let lines = lock(&self.0.story);
        lines.iter().map(|(job, what)| format!("  {job}: {what}")).collect::<Vec<_>>().join("\n")
    }

    /// Waits until `look` finds something. Whoever changes what is waited for wakes all.
    pub(super) async fn wait_for<T: Hash>(&self, wait: Wait, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let job = self.0.current.load(Ordering::Relaxed);
        self.note("waits");
        let found = poll_fn(|context| {
            if let Some(found) = self.with(&mut look) {
                return Poll::Ready(found);
            }
            lock(&self.0.waits).insert(job, wait);
            lock(&self.0.waiting).push(context.waker().clone());
            Poll::Pending
        })
        .await;
        lock(&self.0.waits).remove(&job);
        self.note(&found);
        found
    }

    pub(super) fn wake_all(&self) {
        lock(&self.0.waiting).drain(..).for_each(Waker::wake);
    }

    /// Whether a job that was woken would not just wait on: somebody else may have been faster.
    pub(super) fn would_go_on(&self, job: usize) -> bool {
        let wait = lock(&self.0.waits).get(&job).copied();
        self.with(|state| match wait {
            Some(Wait::Claim) => state.disk.claimed.is_none(),
            Some(Wait::Answer(question)) => state.asked.get(&question) != Some(&Asked::Open),
            None => true,
        })
    }

    /// Gives birth to a job of this process.
    pub(super) fn spawn(&self, who: Who, job: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.born).push((who, Box::pin(job)));
    }

    pub(super) fn born(&self) -> Vec<(Who, Job)> {
        std::mem::take(&mut *lock(&self.0.born))
    }

    pub(super) fn runs(&self, job: usize) {
        self.0.current.store(job, Ordering::Relaxed);
    }

    pub(super) fn choose(&self, of: usize) -> usize {
        if of == 1 { 0 } else { lock(&self.0.orders).choose(of) }
    }

    /// What becomes of a presentation.
    pub(super) fn fate(&self) -> Fate {
        const FATES: [Fate; 4] = [Fate::Answered, Fate::TakenAndLost, Fate::Vanished, Fate::Unsent];
        let may_be_lost = self.with(|state| state.left.losses > 0);
        let fate = FATES[self.choose(if may_be_lost { FATES.len() } else { 1 })];
        self.with(|state| state.left.losses -= usize::from(fate != Fate::Answered));
        fate
    }

    /// Whether the official client's locks are busy just now.
    pub(super) fn is_busy(&self) -> bool {
        let may_be = self.with(|state| state.left.busy > 0);
        let is_busy = self.choose(if may_be { 2 } else { 1 }) == 1;
        self.with(|state| state.left.busy -= usize::from(is_busy));
        is_busy
    }

    /// Asks the agent's door and waits for what it says; a door whose agent dies says nothing of use.
    pub(super) async fn ask(&self, token: usize) -> Option<Pair> {
        self.step("ask the door").await;
        let question = self.with(|state| {
            let question = state.asked.len();
            state.asked.insert(question, Asked::Open);
            question
        });
        self.spawn(Who::Agent, door(Process { world: self.clone(), who: Who::Agent }, question, token));
        self.wait_for(Wait::Answer(question), move |state| match state.asked.get(&question) {
            Some(Asked::Answered(answer)) => Some(*answer),
            Some(Asked::Open) | None => None,
        })
        .await
    }

    pub(super) fn answer(&self, question: usize, answer: Option<Pair>) {
        self.with(|state| state.asked.insert(question, Asked::Answered(answer)));
        self.wake_all();
    }
}

impl Process {
    /// The real keeper over this process.
    pub(super) fn keeper(&self) -> CredentialKeeper {
        CredentialKeeper::new(Arc::new(self.clone()), Arc::new(self.clone()), Arc::new(self.clone()))
    }
}
