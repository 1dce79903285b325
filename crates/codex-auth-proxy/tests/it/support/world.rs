//! A proxy at work: its pool in memory, a clock that stands still, an issuer that follows a script.

use std::sync::{Arc, Mutex};

use codex_auth_core::{
    AccessToken, ClientToken, Clock as _, Fallback, Granted, PolicySource, RefreshToken, SavedPool, Strategy,
    Timestamp, TokenIssuer,
    testing::{ManualClock, MemoryBook, MemoryPolicies, MemoryStore, ScriptedIssuer, SeededEntropy, pool},
};
use codex_auth_proxy::{
    InlineUpstream, LeaseId, LeaseRequest, Leases, Listeners, Ports, Proxy, ProxyConfig, ReqwestUpstream, serve,
};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    disk::{Dead, Disk},
    homes::{Homes, Settings},
    upstream::{Gate, Upstream},
    within,
};

/// The client token of every proxy here.
pub(crate) const TOKEN: &str = "CANARY-client-token";
/// When everything here happens.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// How the backend is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Inline,
    Reqwest,
}

/// Both forms of the upstream port.
pub(crate) const FORMS: [Form; 2] = [Form::Inline, Form::Reqwest];

/// What a proxy is started with.
pub(crate) struct Setup {
    pub(crate) pool: SavedPool,
    pub(crate) strategy: Strategy,
    pub(crate) form: Form,
    pub(crate) config: fn(&mut ProxyConfig),
    pub(crate) issuer: Arc<dyn TokenIssuer>,
    /// Holds writes back until it is open.
    pub(crate) disk: Gate,
    /// Lets the disk die.
    pub(crate) dead: Dead,
    /// What is asked for in place of a model that nobody has.
    pub(crate) fallback: Fallback,
    /// The user's rules.
    pub(crate) rules: MemoryPolicies,
}

impl Default for Setup {
    fn default() -> Self {
        let issuer = Arc::new(ScriptedIssuer::default());
        let disk = Gate::closed();
        disk.open();
        Self {
            pool: pool(3),
            strategy: Strategy::Sequential,
            form: Form::Inline,
            config: |_| {},
            issuer,
            disk,
            dead: Dead::default(),
            fallback: Fallback::strict(),
            rules: MemoryPolicies::default(),
        }
    }
}

/// A proxy and what surrounds it.
pub(crate) struct World {
    pub(crate) port: u16,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) store: MemoryStore,
    pub(crate) book: MemoryBook,
    pub(crate) homes: Arc<Homes>,
    pub(crate) clock: Arc<ManualClock>,
    rules: MemoryPolicies,
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl World {
    /// A proxy in front of this upstream.
    pub(crate) async fn before(upstream: &Upstream, setup: Setup) -> Self {
        Self::at(&format!("http://127.0.0.1:{}/backend-api", upstream.port), setup).await
    }

    /// A proxy in front of this address.
    pub(crate) async fn at(backend: &str, setup: Setup) -> Self {
        let mut config = ProxyConfig::against(backend.parse().unwrap());
        (setup.config)(&mut config);
        let store = MemoryStore::holding(setup.pool);
        let homes = Arc::new(Homes::default());
        let settings = Arc::new(Settings(Mutex::new(setup.strategy), setup.fallback));
        let clock = Arc::new(ManualClock::at(NOW));
        let book = MemoryBook::default();
        let ports = Ports {
            store: Arc::new(Disk { memory: store.clone(), gate: setup.disk, is_dead: setup.dead }),
            issuer: setup.issuer,
            upstream: match setup.form {
                Form::Inline => Arc::new(InlineUpstream::towards(&config.backend).unwrap()),
                Form::Reqwest => Arc::new(ReqwestUpstream::over(Arc::default())),
            },
            settings,
            policy: Arc::new(setup.rules.clone()),
            book: Arc::new(book.clone()),
            entropy: Arc::new(SeededEntropy::new(7)),
            clock: clock.clone(),
        };
        let leases = Leases::new(homes.clone(), ClientToken::new(TOKEN));
        let proxy = Proxy::ready(ports, config, leases).await.unwrap();
        let listeners = Listeners::bind(0).unwrap();
        let (port, (stop, stopped)) = (listeners.port(), watch::channel(false));
        let serving = tokio::spawn(serve(proxy.clone(), listeners, stopped));
        let rules = setup.rules;
        Self { port, proxy, store, book, homes, clock, rules, stop, serving }
    }

    /// Opens a lease under this token, for this home if any.
    pub(crate) fn lease(&self, token: &str, home: Option<&str>) -> LeaseId {
        self.lease_in(token, "/", home)
    }

    /// The same for a client that works in this directory.
    pub(crate) fn lease_in(&self, token: &str, cwd: &str, home: Option<&str>) -> LeaseId {
        let request = LeaseRequest { pid: 1, cwd: cwd.into(), codex_home: home.map(str::to_owned) };
        let id = self.proxy.leases().open(request, ClientToken::new(token), NOW);
        self.proxy.leases().settle_in(id, self.rules.place_of(cwd));
        id
    }

    /// The user selects the first account once more, so that it is asked first again.
    pub(crate) fn first_again(&self) {
        let rotation = self.proxy.rotation();
        let first = rotation.pool().accounts.first().map(|held| held.account.record.clone());
        for active in [None, first] {
            rotation.reading();
            rotation.adopt(SavedPool { active, ..rotation.pool() }, Strategy::Sequential, self.clock.now());
        }
    }

    /// How many requests the accounts serve now.
    pub(crate) fn in_flight(&self) -> u32 {
        let accounts = self.proxy.rotation().pool().accounts;
        accounts.iter().map(|held| self.proxy.rotation().in_flight(&held.account.record)).sum()
    }

    /// Waits until every lease is settled.
    pub(crate) async fn all_settled(&self) {
        super::until("leases to be settled", || self.in_flight() == 0).await;
    }

    /// Stops serving and waits for the end.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        within("the server to end", self.serving).await.unwrap().unwrap();
    }
}

/// What the issuer grants account `n` at its next renewal.
pub(crate) fn renewed(n: usize) -> Granted {
    Granted {
        access: Some(AccessToken::new(format!("access-{n}-renewed"))),
        refresh: Some(RefreshToken::new(format!("refresh-{n}-renewed"))),
        ..Granted::default()
    }
}
