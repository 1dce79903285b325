//! Time, chance and the first thing found wrong: what of a seed nobody in it owns.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::ThreadId,
    time::Duration,
};

use codex_auth_core::{
    AccountRules, BudgetLimit, Clock, Policies, RecordId, Timestamp, Window,
    testing::{MemoryPolicies, SeededEntropy},
};
use tokio::time::Instant;

/// When every seed begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What a test breaks on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The journal forgets what is about to be presented.
    ForgetfulJournal,
    /// Requests go on when their client has left.
    DeafToLeaving,
    /// A refusal by policy is told to the agent as a fault.
    PolicyAsFault,
}

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What came about in a run, so that a simulation in which nothing happens is noticed.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Tally {
            /// Both together.
            #[must_use]
            pub fn plus(self, other: Self) -> Self {
                Self { $($name: self.$name + other.$name,)* }
            }
        }
    };
}

tally! {
    /// Requests that were answered to their end.
    served,
    /// Requests that nobody could serve.
    refused,
    /// Answers that broke off or fell silent.
    broken,
    /// Clients that left.
    cancelled,
    /// Requests that went to another account than the session's.
    moved,
    /// Refusals by the vendor's policy.
    policy,
    /// Agents that ended without warning.
    crashes,
    /// Crashes that took the power away.
    power_lost,
    /// Refresh tokens shown to the issuer.
    presentations,
    /// Changes by people and other programs.
    edits,
    /// Requests to the disk that failed.
    disk_errors,
    /// Requests that were written down and compared.
    rows,
    /// Requests that a budget refused.
    over_budget,
    /// Limits of a model alone.
    model_limits,
    /// Streams that failed with their first event.
    failed_at_once,
    /// Streams that failed later.
    failed_later,
    /// Lives in which two agents overlapped.
    overlaps,
    /// Sessions that a next agent had to know.
    bonds_kept,
}

/// The surroundings of one seed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Arc<Watch>,
    pub(crate) flaw: Flaw,
    /// Rules of the user's own.
    pub(crate) rules: MemoryPolicies,
    /// The most requests of an hour, where there is a budget.
    pub(crate) budget: Option<u64>,
    /// Whether clients' prompts are long, so that a move has a price.
    pub(crate) prompts_are_told: bool,
    chance: SeededEntropy,
    is_calm: AtomicBool,
    broken: Mutex<Option<String>>,
    tally: Mutex<Tally>,
}

impl World {
    pub(crate) fn of_seed(seed: u64, flaw: Flaw) -> Arc<Self> {
        let chance = SeededEntropy::new(seed);
        let has_budget = chance.next().is_multiple_of(6);
        let budget = has_budget.then(|| 5 + chance.next() % 20);
        let prompts_are_told = chance.next().is_multiple_of(2);
        let world = Self {
            clock: Arc::new(Watch::new()),
            flaw,
            rules: MemoryPolicies::default(),
            budget,
            prompts_are_told,
            chance,
            is_calm: AtomicBool::new(false),
            broken: Mutex::default(),
            tally: Mutex::default(),
        };
        world.rule(BTreeMap::new());
        Arc::new(world)
    }

    /// Sets the rules of accounts; the budget stays.
    pub(crate) fn rule(&self, accounts: BTreeMap<RecordId, AccountRules>) {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let limit = |most: u64| BudgetLimit {
            window: Window::Hour,
            max_requests: Some(most as f64),
            max_tokens: None,
            max_cost_usd: None,
        };
        let limits = self.budget.map(|most| ("global".to_owned(), limit(most))).into_iter().collect();
        self.rules.set(Policies { accounts, limits, ..Policies::default() });
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

    pub(crate) fn calm_down(&self) {
        self.is_calm.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::SeqCst)
    }

    /// Waits for up to `most` of virtual time.
    pub(crate) async fn a_while(&self, most: Duration) {
        let millis = self.below(usize::try_from(most.as_millis()).unwrap()) + 1;
        tokio::time::sleep(Duration::from_millis(millis as u64)).await;
    }

    /// Notes the first thing that is not as it must be.
    pub(crate) fn must(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            let now = self.now().since(BEGIN);
            self.broken.lock().unwrap().get_or_insert_with(|| format!("{} (after {now:?})", otherwise()));
        }
    }

    pub(crate) fn sound(&self) -> Result<(), String> {
        self.broken.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    pub(crate) fn count(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.tally.lock().unwrap());
    }

    pub(crate) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap()
    }
}

/// The runtime's virtual time as wall time, also for the disk's thread and between two runtimes.
#[derive(Debug)]
pub(crate) struct Watch {
    home: ThreadId,
    since: Mutex<Option<(Instant, Timestamp)>>,
    shown: AtomicI64,
}

impl Watch {
    fn new() -> Self {
        let home = std::thread::current().id();
        Self { home, since: Mutex::default(), shown: AtomicI64::new(BEGIN.as_millis()) }
    }

    /// A runtime begins; its time goes on from what was shown last.
    pub(crate) fn begin(&self) {
        let shown = Timestamp::from_millis(self.shown.load(Ordering::SeqCst));
        *self.since.lock().unwrap() = Some((Instant::now(), shown));
    }

    /// The runtime is about to end.
    pub(crate) fn end(&self) {
        self.now();
        *self.since.lock().unwrap() = None;
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        if std::thread::current().id() == self.home
            && let Some((began, at)) = *self.since.lock().unwrap()
        {
            self.shown.store(at.after(began.elapsed()).as_millis(), Ordering::SeqCst);
        }
        Timestamp::from_millis(self.shown.load(Ordering::SeqCst))
    }
}
