//! The conformance kit: every rule of the capabilities as a named check that any engine can be put through.
//!
//! A [`World`] is one fresh state of the engine with two accounts in its vault; each check gets a world of its own.
//! [`run`] answers with a [`Report`]: which rule holds, which is broken and how. The suite of the product's own port,
//! [`accounts::run`], works alike.

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use codex_auth_core::{
    RecordId, StoreError,
    capability::{CapabilityError, StorageEngine},
    testing::ManualClock,
};

pub mod accounts;
mod affinity;
mod caps;
mod counters;
mod facts;
mod journal;
mod leases;
mod ledger;
mod parts;
mod vault;
mod watch;

/// One fresh state of an engine.
pub struct World {
    accounts: [RecordId; 2],
    clock: Option<Arc<ManualClock>>,
    open: Box<dyn Fn() -> Arc<dyn StorageEngine> + Send + Sync>,
    _kept: Box<dyn Any + Send + Sync>,
}

impl World {
    /// A world whose vault holds `accounts`. `open` makes a handle on the same state: for an engine of many processes
    /// one that shares nothing with the others but that state.
    pub fn new(accounts: [RecordId; 2], open: impl Fn() -> Arc<dyn StorageEngine> + Send + Sync + 'static) -> Self {
        Self { accounts, clock: None, open: Box::new(open), _kept: Box::new(()) }
    }

    /// The clock the engine goes by, when a hand can move it; without it, rules about time are left out and said so.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<ManualClock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Keeps `kept`, such as a directory, as long as the world.
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Box::new(kept), ..self }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "World({:?})", self.accounts)
    }
}

/// How hard the checks try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Tasks at the same time.
    pub tasks: usize,
    /// What each of them does, or how often a sequence is repeated.
    pub rounds: usize,
}

impl Effort {
    /// For every build.
    pub const QUICK: Self = Self { tasks: 6, rounds: 3 };
    /// For a night.
    pub const LONG: Self = Self { tasks: 24, rounds: 20 };
}

/// How a rule fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It could not be tried; why.
    LeftOut(&'static str),
    /// It is broken; how.
    Broken(String),
}

/// How all rules fared, in the order of the kit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report(pub Vec<(&'static str, Verdict)>);

impl Report {
    /// The names of the broken rules.
    pub fn broken(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Broken(_))).map(|(rule, _)| *rule).collect()
    }

    /// The names of the rules that hold.
    pub fn held(&self) -> Vec<&'static str> {
        self.0.iter().filter(|(_, verdict)| *verdict == Verdict::Holds).map(|(rule, _)| *rule).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, verdict) in &self.0 {
            match verdict {
                Verdict::Holds => writeln!(out, "{rule}: holds")?,
                Verdict::LeftOut(why) => writeln!(out, "{rule}: left out, {why}")?,
                Verdict::Broken(how) => writeln!(out, "{rule}: BROKEN, {how}")?,
            }
        }
        Ok(())
    }
}

/// Why a check ended early.
enum Ended {
    LeftOut(&'static str),
    Broken(String),
}

impl From<CapabilityError> for Ended {
    fn from(error: CapabilityError) -> Self {
        Self::Broken(format!("the engine refused what it must do: {error}"))
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Broken(format!("the store refused what it must do: {error}"))
    }
}

type Proof = Result<(), Ended>;
type Running<'w> = Pin<Box<dyn Future<Output = Proof> + Send + 'w>>;

/// A named check over a world of sort `W`.
struct Rule<W> {
    name: &'static str,
    check: for<'w> fn(&'w W, Effort) -> Running<'w>,
}

/// The suites, by the capability they need.
const SUITES: [(&str, &[Rule<World>]); 9] = [
    ("caps", caps::RULES),
    ("vault", vault::RULES),
    ("leases", leases::RULES),
    ("journal", journal::RULES),
    ("facts", facts::RULES),
    ("affinity", affinity::RULES),
    ("counters", counters::RULES),
    ("ledger", ledger::RULES),
    ("watch", watch::RULES),
];

/// Every rule's name, with the capability it belongs to.
pub fn rules() -> Vec<(&'static str, &'static str)> {
    SUITES.iter().flat_map(|(suite, rules)| rules.iter().map(|rule| (*suite, rule.name))).collect()
}

/// Puts an engine through every rule; needs a runtime with a timer. Capabilities it does not have are left out.
pub async fn run(make: impl Fn() -> World, effort: Effort) -> Report {
    let offered = (make().open)().parts().names();
    let mut report = Report::default();
    for (suite, rules) in SUITES {
        for rule in rules {
            let verdict = if suite == "caps" || offered.contains(&suite) {
                let world = make();
                verdict_of((rule.check)(&world, effort).await)
            } else {
                Verdict::LeftOut("the engine does not have this capability")
            };
            report.0.push((rule.name, verdict));
        }
    }
    report
}

fn verdict_of(proof: Proof) -> Verdict {
    match proof {
        Ok(()) => Verdict::Holds,
        Err(Ended::LeftOut(why)) => Verdict::LeftOut(why),
        Err(Ended::Broken(how)) => Verdict::Broken(how),
    }
}
