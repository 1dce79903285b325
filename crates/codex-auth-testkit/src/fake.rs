//! Owns the handle on a running fake: starting it, and asking what it saw.

mod documents;
mod levers;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use camino::Utf8PathBuf;

use crate::backend::Backend;
use crate::clock::{Clock, real_now_ms};
use crate::fault::Faults;
use crate::issuer::Issuer;
use crate::leaks::Canaries;
use crate::log::{Log, Record};
use crate::people::{People, Person, Who};
use crate::quota::Quotas;
use crate::server::{self, Listeners, Serving};
use crate::setup::Setup;
use crate::state::State;
use crate::world::{Shared, World};

/// Why a fake could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken.
    #[error("cannot listen on loopback port {port}")]
    Listen {
        /// The port asked for; 0 = any.
        port: u16,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The log file cannot be made.
    #[error("cannot create {path}")]
    LogFile {
        /// Where it was to be.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No thread or runtime could be had.
    #[error("cannot start the serving thread")]
    Thread(#[source] std::io::Error),
}

/// A running fake OpenAI on a thread of its own. Dropping it stops it.
pub struct FakeOpenAi {
    shared: Arc<Shared>,
    port: u16,
    serving: Option<Serving>,
}

impl FakeOpenAi {
    /// Starts a fake. It serves on its own thread, so a test may block while it does.
    #[expect(clippy::unused_async, reason = "the port of async callers; a later engine may have to wait")]
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        Self::start_blocking(&setup)
    }

    /// Starts a fake without any runtime of the caller's.
    pub fn start_blocking(setup: &Setup) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { port: setup.port, source };
        let listeners = Listeners::bind(setup.port).map_err(listen)?;
        let port = listeners.port;
        let clock = Clock::new(setup.clock);
        let world = build(setup, port, clock.now_ms())?;
        let shared = Arc::new(Shared::new(world, clock));
        let serving = server::start(listeners, Arc::clone(&shared)).map_err(StartError::Thread)?;
        Ok(Self { shared, port, serving: Some(serving) })
    }

    /// The port on both loopback addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:P`: the issuer.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What stands for `https://chatgpt.com/backend-api`; model calls go to `<it>/codex/responses`.
    pub fn backend_url(&self) -> String {
        format!("{}/backend-api", self.url())
    }

    /// Every request since the start or the last reset of the log, in order of arrival; the last 50,000 at most.
    pub fn log(&self) -> Vec<Record> {
        self.shared.change(|world| world.log.records().iter().cloned().collect())
    }

    /// Forgets the log; serial numbers go on.
    pub fn reset_log(&self) {
        self.shared.change(|world| world.log.reset());
    }

    /// What every account came to so far.
    pub fn state(&self) -> State {
        let now_ms = self.shared.clock.now_ms();
        self.shared.change(|world| State::of(world, now_ms))
    }

    /// Who somebody is.
    pub fn person(&self, who: Who) -> Person {
        self.shared.change(|world| world.people.person(who))
    }

    /// Everything secret this fake minted so far, to look for where it must not be.
    pub fn canaries(&self) -> Canaries {
        self.shared.change(|world| Canaries::new(world.issuer.mint.needles().to_vec()))
    }

    /// Waits on this thread until `seen` holds of the log; `false` when the time is over.
    pub fn wait_for_log(&self, limit: Duration, mut seen: impl FnMut(&VecDeque<Record>) -> bool) -> bool {
        self.shared.wait(limit, |world| seen(world.log.records()))
    }

    /// Waits on this thread until so many answers are held; `false` when the time is over.
    pub fn wait_until_held(&self, count: usize, limit: Duration) -> bool {
        self.shared.wait(limit, |world| world.held >= count)
    }

    /// Stops serving and ends every connection.
    pub fn stop(mut self) {
        drop(self.serving.take());
    }
}

impl std::fmt::Debug for FakeOpenAi {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FakeOpenAi").field("port", &self.port).finish_non_exhaustive()
    }
}

fn build(setup: &Setup, port: u16, now_ms: i64) -> Result<World, StartError> {
    let create =
        |path: &Utf8PathBuf| File::create(path).map_err(|source| StartError::LogFile { path: path.clone(), source });
    let file = setup.log_file.as_ref().map(create).transpose()?;
    let people = People::new(setup.accounts, setup.people.clone());
    let seed = setup.tokens.seed.unwrap_or_else(fresh_seed);
    let mut issuer = Issuer::new(setup.tokens.clone(), seed, format!("http://127.0.0.1:{port}"));
    for who in people.pool().map(Who::Account).chain([Who::Outsider]) {
        issuer.sign_in(&people, who, now_ms, true);
    }
    let mut quotas = Quotas::new(setup.people.percent_per_turn, setup.first_asked_is_exhausted, now_ms);
    setup.exhausted.iter().for_each(|number| quotas.exhaust(Who::Account(*number), None, now_ms));
    Ok(World {
        people,
        issuer,
        backend: Backend::new(quotas),
        faults: Faults::default(),
        log: Log::new(file),
        counts: BTreeMap::new(),
        held: 0,
    })
}

/// Different for every fake of this process and, in all likelihood, of this machine.
fn fresh_seed() -> u64 {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let count = STARTED.fetch_add(1, Ordering::Relaxed);
    let text = format!("{}:{}:{count}", std::process::id(), real_now_ms());
    let digest = crate::jwt::sha256_hex(text.as_bytes());
    u64::from_str_radix(&digest[..16], 16).unwrap_or(count)
}
