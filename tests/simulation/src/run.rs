//! One seed: an agent lives and crashes, another one follows, and at the end everything is counted.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use codex_auth_core::{
    ClientToken, Clock as _, CredentialKeeper, KeepError, LoginState, OfficialLogins, RotationSettings, SettingsSource,
    StoreError, Strategy, reason_ahead,
    testing::{MemoryBook, SeededEntropy},
};
use codex_auth_proxy::{Leases, Ports, Proxy, ProxyConfig};
use codex_auth_store::testing::{Fault, Kept, Refusal};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::{
    backend::Backend,
    client::Clients,
    disk::{Disk, OnDisk},
    judge::Judge,
    others::Others,
    vendor::Vendor,
    world::{Flaw, Tally, World},
};

const SESSIONS: usize = 3;

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
    let seed = Seed { world, vendor, disk, others, strategy, requests: Arc::default() };
    for _ in 0..seed.world.below(3) {
        seed.live_and_crash()?;
    }
    seed.live_to_the_end()?;
    seed.everybody_is_well()?;
    Ok(seed.world.tally())
}

struct Seed {
    world: Arc<World>,
    vendor: Arc<Vendor>,
    disk: Arc<Disk>,
    others: Arc<Others>,
    strategy: Strategy,
    requests: Arc<AtomicU64>,
}

/// An agent at work.
struct Agent {
    proxy: Arc<Proxy>,
    judge: Arc<Judge>,
    work: JoinSet<()>,
}

impl Seed {
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
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

    /// An agent that is killed while it works, perhaps together with the machine.
    fn live_and_crash(&self) -> Result<(), String> {
        self.within(async {
            let Ok(agent) = self.start().await else { return };
            let fault = self.fault();
            self.world.a_while(Duration::from_mins(1)).await;
            self.disk.fs.now(fault);
            let lasts = if matches!(fault, Some(Fault::Stop(_))) { 3 } else { 30 };
            self.world.a_while(Duration::from_secs(lasts)).await;
            drop(agent);
        });
        self.world.count(|tally| tally.crashes += 1);
        let loses_power = self.world.below(3);
        if loses_power > 0 {
            let kept = if loses_power == 1 { Kept::Nothing } else { Kept::Names };
            self.disk.fs.lose_power(kept).unwrap();
            self.world.count(|tally| tally.power_lost += 1);
        }
        self.disk.fs.now(None);
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

    /// An agent that lives until everybody is done, in weather that becomes calm.
    fn live_to_the_end(&self) -> Result<(), String> {
        self.within(async {
            let mut agent = self.start().await.map_err(|error| format!("no agent comes up: {error}"))?;
            self.world.a_while(Duration::from_mins(3)).await;
            self.world.calm_down();
            while agent.work.join_next().await.is_some() {
                self.world.sound()?;
            }
            agent.proxy.settle_down().await;
            for held in agent.proxy.rotation().pool().accounts {
                let record = &held.account.record;
                let left = agent.proxy.rotation().in_flight(record);
                self.world.must(left == 0, || format!("{left} leases of {record} were never settled"));
            }
            drop(agent.judge);
            self.world.sound()
        })
    }

    async fn start(&self) -> Result<Agent, StoreError> {
        let store = self.disk.open();
        let judge = Judge::new(&self.world, self.strategy, &store.pool()?);
        let backend = Backend { world: self.world.clone(), vendor: self.vendor.clone(), judge: judge.clone() };
        let ports = Ports {
            store: store.clone(),
            issuer: self.vendor.clone(),
            upstream: Arc::new(backend),
            policy: Arc::new(self.world.rules.clone()),
            settings: Arc::new(Settings(Mutex::new(self.strategy))),
            clock: self.world.clock.clone(),
            book: Arc::new(MemoryBook::default()),
            entropy: Arc::new(SeededEntropy::new(7)),
        };
        let leases = Leases::new(Arc::new(NoHomes), ClientToken::new("the token of a client"));
        let config = ProxyConfig::against("https://backend.test/backend-api".parse().unwrap());
        let proxy = Proxy::ready(ports, config, leases).await?;
        judge.watch(&proxy);
        let mut work = JoinSet::new();
        let clients = Clients {
            world: self.world.clone(),
            proxy: proxy.clone(),
            judge: judge.clone(),
            requests: self.requests.clone(),
        };
        for session in 0..SESSIONS {
            work.spawn(clients.clone().live(format!("session-{session}")));
        }
        work.spawn(look_out(self.world.clone(), proxy.clone(), judge.clone()));
        work.spawn(act(self.world.clone(), self.others.clone()));
        Ok(Agent { proxy, judge, work })
    }

    /// Every account is there, and its token buys the next one unless it is marked for a reason.
    fn everybody_is_well(&self) -> Result<(), String> {
        let store: Arc<OnDisk> = self.disk.open();
        let pool = store.pool().map_err(|error| format!("the files cannot be read: {error}"))?;
        self.others.nobody_is_lost(&pool);
        let keeper = CredentialKeeper::new(store, self.vendor.clone(), self.world.clock.clone());
        for held in pool.accounts {
            let name = &held.account.record;
            if let Some(mark) = &held.account.needs_login {
                let text = || format!("{name} is marked {mark:?} although its token is good");
                self.world.must(self.others.is_justified(&held, &mark.code), text);
                continue;
            }
            let renewed = self.within(keeper.renew(name, &held.credential, reason_ahead(&held.credential)));
            let is_fine = match &renewed {
                Ok(renewed) => self.vendor.is_good(&renewed.credential.refresh),
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

/// Takes in what others wrote, as the agent's own look-out does.
async fn look_out(world: Arc<World>, proxy: Arc<Proxy>, judge: Arc<Judge>) {
    while !world.is_calm() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if proxy.reload_if_changed().await.is_ok_and(|is_news| is_news) {
            judge.adopted(&proxy.rotation().pool());
        }
    }
}

async fn act(world: Arc<World>, others: Arc<Others>) {
    while !world.is_calm() {
        world.a_while(Duration::from_mins(1)).await;
        others.act();
    }
}

#[derive(Debug)]
struct Settings(Mutex<Strategy>);

impl SettingsSource for Settings {
    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        Ok(RotationSettings { strategy: *self.0.lock().unwrap(), ..RotationSettings::default() })
    }
}

/// Nobody is signed in at a client of the vendor's.
#[derive(Debug)]
struct NoHomes;

impl OfficialLogins for NoHomes {
    fn login(&self, _codex_home: &str) -> Result<LoginState, StoreError> {
        Ok(LoginState::Absent)
    }
}
