//! One seed: an agent lives and crashes, another one follows, and at the end everything is counted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use codex_auth_core::{Clock as _, CredentialKeeper, KeepError, StoreError, Strategy, reason_ahead};
use codex_auth_store::testing::{Fault, Kept, Refusal};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use crate::{
    agent::{Agent, Parts},
    disk::{Disk, OnDisk},
    drawer::Drawer,
    judge::Bonds,
    others::Others,
    vendor::Vendor,
    world::{Flaw, Tally, World},
};

/// Runs one seed; an error says in one line what did not hold.
pub fn simulate(seed: u64, flaw: Flaw) -> Result<Tally, String> {
    let world = World::of_seed(seed, flaw);
    let (vendor, disk) = (Vendor::of(&world), Disk::new(&world));
    let others = Others::begin(&world, &vendor, &disk);
    let strategy = match world.below(10) {
        0..=2 => Strategy::Hybrid,
        3 | 4 => Strategy::Sticky,
        other => Strategy::ALL[other % Strategy::ALL.len()],
    };
    let parts = Parts {
        world: world.clone(),
        vendor,
        disk,
        strategy,
        ledger: Arc::default(),
        drawer: Drawer::of_seed(seed),
        requests: Arc::default(),
    };
    // Now and then two agents overlap: each serves its own sessions from the same files.
    let agents = if world.below(4) == 0 { 2 } else { 1 };
    let seed = Seed { world, parts, others, agents, left: Mutex::default() };
    for _ in 0..seed.world.below(3) {
        seed.live_and_crash()?;
    }
    seed.live_to_the_end()?;
    seed.everybody_is_well()?;
    Ok(seed.world.tally())
}

struct Seed {
    world: Arc<World>,
    parts: Parts,
    others: Arc<Others>,
    agents: usize,
    /// What each agent's predecessor left of its sessions.
    left: Mutex<BTreeMap<usize, Bonds>>,
}

impl Seed {
    fn runtime() -> Runtime {
        // One blocking thread: agents that write in the same instant do so one after the other, in the same order.
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).max_blocking_threads(1).build().unwrap()
    }

    /// Runs a piece of virtual time; what is not finished at its end is never finished.
    fn within<T>(&self, piece: impl Future<Output = T>) -> T {
        let runtime = Self::runtime();
        runtime.block_on(async {
            self.world.clock.begin();
            let came_to = piece.await;
            self.world.clock.end();
            came_to
        })
    }

    /// Starts all agents, and the people around them.
    async fn begin(&self) -> Result<(Vec<Agent>, JoinHandle<()>), StoreError> {
        let mut agents = Vec::new();
        for number in 0..self.agents {
            let left = self.left.lock().unwrap().get(&number).cloned();
            agents.push(self.parts.start(number, left.as_ref()).await?);
        }
        if self.agents > 1 {
            self.world.count(|tally| tally.overlaps += 1);
        }
        Ok((agents, tokio::spawn(act(self.world.clone(), self.others.clone()))))
    }

    fn leave_behind(&self, number: usize, bonds: Bonds) {
        self.left.lock().unwrap().insert(number, bonds.ended(self.world.now()));
    }

    /// Agents that are killed while they work, perhaps together with the machine.
    fn live_and_crash(&self) -> Result<(), String> {
        let disk = &self.parts.disk;
        self.within(async {
            let Ok((agents, _people)) = self.begin().await else { return };
            let fault = self.fault();
            self.world.a_while(Duration::from_mins(1)).await;
            disk.fs.now(fault);
            let lasts = if matches!(fault, Some(Fault::Stop(_))) { 3 } else { 30 };
            self.world.a_while(Duration::from_secs(lasts)).await;
            for (number, agent) in agents.into_iter().enumerate() {
                self.leave_behind(number, agent.judge.over(true));
            }
        });
        self.world.count(|tally| tally.crashes += 1);
        let loses_power = self.world.below(3);
        if loses_power > 0 {
            let kept = if loses_power == 1 { Kept::Nothing } else { Kept::Names };
            disk.fs.lose_power(kept).unwrap();
            self.world.count(|tally| tally.power_lost += 1);
        }
        disk.fs.now(None);
        self.world.sound()
    }

    fn fault(&self) -> Option<Fault> {
        let step = self.world.below(40) as u64;
        match self.world.below(6) {
            0 => Some(Fault::Fail(step)),
            1 | 2 => Some(Fault::Stop(step)),
            3 => Some(Fault::Full),
            4 => Some(Fault::Refuses(Refusal::Failing)),
            _ => None,
        }
    }

    /// Agents that live until everybody is done, in weather that becomes calm.
    fn live_to_the_end(&self) -> Result<(), String> {
        self.within(async {
            let (agents, people) = self.begin().await.map_err(|error| format!("no agent comes up: {error}"))?;
            self.world.a_while(Duration::from_mins(3)).await;
            self.world.calm_down();
            for Agent { proxy, judge, mut work } in agents {
                while work.join_next().await.is_some() {
                    self.world.sound()?;
                }
                proxy.settle_down().await;
                for held in proxy.rotation().pool().accounts {
                    let record = &held.account.record;
                    let left = proxy.rotation().in_flight(record);
                    self.world.must(left == 0, || format!("{left} leases of {record} were never settled"));
                }
                judge.over(false);
            }
            let _done = people.await;
            self.world.sound()
        })
    }

    /// Every account is there, and its token buys the next one unless it is marked for a reason.
    fn everybody_is_well(&self) -> Result<(), String> {
        let store: Arc<OnDisk> = self.parts.disk.open();
        let pool = store.pool().map_err(|error| format!("the files cannot be read: {error}"))?;
        self.others.nobody_is_lost(&pool);
        let keeper = CredentialKeeper::new(store, self.parts.vendor.clone(), self.world.clock.clone());
        for held in pool.accounts {
            let name = &held.account.record;
            if let Some(mark) = &held.account.needs_login {
                let text = || format!("{name} is marked {mark:?} although its token is good");
                self.world.must(self.others.is_justified(&held, &mark.code), text);
                continue;
            }
            let renewed = self.within(keeper.renew(name, &held.credential, reason_ahead(&held.credential)));
            let is_fine = match &renewed {
                Ok(renewed) => self.parts.vendor.is_good(&renewed.credential.refresh),
                Err(KeepError::NeedsLogin { code }) => self.others.is_justified(&held, code),
                // Two accounts that were signed out keep the others from being asked for.
                Err(KeepError::HeldBack { until, .. } | KeepError::Paused { until, .. }) => {
                    *until > self.world.clock.now()
                }
                Err(KeepError::Issuer(_) | KeepError::Store(_)) => false,
            };
            self.world.must(is_fine, || format!("in calm weather the renewal of {name} came to {renewed:?}"));
        }
        self.world.sound()
    }
}

async fn act(world: Arc<World>, others: Arc<Others>) {
    while !world.is_calm() {
        world.a_while(Duration::from_mins(1)).await;
        others.act();
    }
}
