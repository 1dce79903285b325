//! An agent at work: the request path over the store, its clients, its look-out, and its judge.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, AtomicU64},
};

use codex_auth_core::{
    ClientToken, LoginState, OfficialLogins, RotationSettings, SettingsSource, StoreError, Strategy,
    testing::SeededEntropy,
};
use codex_auth_proxy::{Leases, Ports, Proxy, ProxyConfig, testing};
use tokio::task::JoinSet;

use crate::{
    backend::Backend,
    book::{Book, Ledger},
    client::Clients,
    disk::Disk,
    drawer::Drawer,
    judge::{Bonds, Judge},
    vendor::Vendor,
    world::World,
};

const SESSIONS: usize = 3;

/// What agents are made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) world: Arc<World>,
    pub(crate) vendor: Arc<Vendor>,
    pub(crate) disk: Arc<Disk>,
    pub(crate) strategy: Strategy,
    pub(crate) ledger: Ledger,
    pub(crate) drawer: Drawer,
    pub(crate) requests: Arc<AtomicU64>,
}

/// An agent at work.
pub(crate) struct Agent {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) work: JoinSet<()>,
}

impl Parts {
    /// Starts the agent of this number, where the one before it left these sessions.
    pub(crate) async fn start(&self, number: usize, left: Option<&Bonds>) -> Result<Agent, StoreError> {
        let store = self.disk.open();
        let judge = Judge::new(&self.world, &self.vendor, self.strategy, &store.pool()?);
        let backend = Backend { world: self.world.clone(), vendor: self.vendor.clone(), judge: judge.clone() };
        let book = Book {
            world: self.world.clone(),
            judge: judge.clone(),
            ledger: self.ledger.clone(),
            refused: AtomicU32::default(),
        };
        let ports = Ports {
            store: store.clone(),
            issuer: self.vendor.clone(),
            upstream: Arc::new(backend),
            policy: Arc::new(self.world.rules.clone()),
            settings: Arc::new(Settings(Mutex::new(self.strategy))),
            clock: self.world.clock.clone(),
            book: Arc::new(book),
            entropy: Arc::new(SeededEntropy::new(self.world.below(usize::MAX) as u64)),
        };
        let leases = Leases::new(Arc::new(NoHomes), ClientToken::new("the token of a client"));
        let config = ProxyConfig::against("https://backend.test/backend-api".parse().unwrap());
        let proxy = Proxy::ready(ports, config, leases).await?;
        judge.watch(&proxy);
        testing::remember_sessions(&proxy, Arc::new(self.drawer.clone()));
        if let Some(left) = left {
            judge.remembers(left, &proxy);
        }
        let mut work = JoinSet::new();
        let clients = Clients {
            world: self.world.clone(),
            proxy: proxy.clone(),
            judge: judge.clone(),
            requests: self.requests.clone(),
        };
        for session in 0..SESSIONS {
            work.spawn(clients.clone().live(format!("session-{number}-{session}")));
        }
        work.spawn(look_out(self.world.clone(), proxy.clone(), judge.clone()));
        Ok(Agent { proxy, judge, work })
    }
}

/// Takes in what others wrote, as the agent's own look-out does.
async fn look_out(world: Arc<World>, proxy: Arc<Proxy>, judge: Arc<Judge>) {
    while !world.is_calm() {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        if proxy.reload_if_changed().await.is_ok_and(|is_news| is_news) {
            judge.adopted(&proxy.rotation().pool());
        }
    }
}

#[derive(Debug)]
struct Settings(Mutex<Strategy>);

impl SettingsSource for Settings {
    fn stamp(&self) -> u64 {
        *self.0.lock().unwrap() as u64
    }

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
