//! Time, chance and the list of what was found wrong: everything of one seed that nobody in it owns.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use codex_auth_core::{
    Clock, Timestamp,
    testing::{ManualClock, SeededEntropy},
};

use crate::executor::Job;

/// Whose work a job is: it ends with its owner's crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// One of the agents.
    Agent(usize),
    /// Other programs, which the simulation never crashes.
    Others,
}

/// What came about in a run, so that a simulation in which nothing happens is noticed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) moved: u64,
    pub(crate) cancelled: u64,
    pub(crate) crashes: u64,
    pub(crate) presentations: u64,
    /// Edits of other programs.
    pub(crate) edits: u64,
}

impl Tally {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            served: self.served + other.served,
            refused: self.refused + other.refused,
            moved: self.moved + other.moved,
            cancelled: self.cancelled + other.cancelled,
            crashes: self.crashes + other.crashes,
            presentations: self.presentations + other.presentations,
            edits: self.edits + other.edits,
        }
    }
}

/// The surroundings of one seed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    chance: SeededEntropy,
    timers: Mutex<Vec<(Timestamp, Waker)>>,
    given: Mutex<Given>,
    is_calm: AtomicBool,
    broken: Mutex<Option<String>>,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Given(Vec<(Owner, Job)>);

impl std::fmt::Debug for Given {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} jobs", self.0.len())
    }
}

impl World {
    pub(crate) fn of_seed(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000))),
            chance: SeededEntropy::new(seed),
            timers: Mutex::default(),
            given: Mutex::default(),
            is_calm: AtomicBool::new(false),
            broken: Mutex::default(),
            tally: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        usize::try_from(self.chance.next() % end as u64).unwrap()
    }

    /// Whether a mishap of this rarity strikes now; in calm weather none does.
    pub(crate) fn strikes(&self, one_in: usize) -> bool {
        self.below(one_in) == 0 && !self.is_calm()
    }

    /// Ends all mishaps.
    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::SeqCst)
    }

    /// Waits for up to `most` of virtual time.
    pub(crate) async fn a_while(&self, most: Duration) {
        let millis = self.below(usize::try_from(most.as_millis()).unwrap());
        let until = self.now().after(Duration::from_millis(millis as u64 + 1));
        poll_fn(|context| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            self.timers.lock().unwrap().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Goes to the next instant somebody waits for; `false` when nobody waits.
    pub(crate) fn go_on(&self) -> bool {
        let mut timers = self.timers.lock().unwrap();
        let Some(next) = timers.iter().map(|(until, _)| *until).min() else { return false };
        self.clock.advance(next.since(self.clock.now()));
        let now = self.clock.now();
        timers.retain(|(until, waker)| {
            let is_due = *until <= now;
            if is_due {
                waker.wake_by_ref();
            }
            !is_due
        });
        true
    }

    /// Lets time pass where nobody has anything to do.
    pub(crate) fn wait_until(&self, until: Timestamp) {
        self.clock.advance(until.since(self.now()));
    }

    /// Gives the executor a job.
    pub(crate) fn give(&self, owner: Owner, job: Job) {
        self.given.lock().unwrap().0.push((owner, job));
    }

    pub(crate) fn take_given(&self) -> Vec<(Owner, Job)> {
        std::mem::take(&mut self.given.lock().unwrap().0)
    }

    /// Notes the first thing that is not as it must be.
    pub(crate) fn must(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.broken.lock().unwrap().get_or_insert_with(otherwise);
        }
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.tally.lock().unwrap());
    }

    pub(crate) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap()
    }
}
