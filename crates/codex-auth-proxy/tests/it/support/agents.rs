//! Agents as tasks, with a private directory of their own.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use codex_auth_core::{
    HeldLock, SavedPool, StateDir, StoreError, Strategy,
    record::DecisionLog,
    testing::{
        ManualClock, MemoryBook, MemoryDiary, MemoryPolicies, MemoryQuotas, MemoryStore, ScriptedIssuer, SeededEntropy,
        pool,
    },
};
use codex_auth_proxy::{
    AgentClient, AgentError, AgentReady, AgentSetup, InlineUpstream, LeaseRequest, Ports, ProxyConfig, SOCKET,
    run_agent,
};
use tempfile::TempDir;
use tokio::sync::watch;

use super::{
    homes::{Homes, Settings},
    upstream::Upstream,
    world::NOW,
};

/// Files in memory, the socket in a directory that goes with it.
#[derive(Debug)]
pub(crate) struct Directory {
    files: Mutex<HashMap<String, Vec<u8>>>,
    locks: Mutex<HashMap<String, Weak<()>>>,
    place: TempDir,
}

/// Held until dropped, as a kernel's lock is, also by a task that is killed.
#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "its being alive is the lock")] Arc<()>);

impl HeldLock for Held {}

impl StateDir for Directory {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.files.lock().unwrap().get(name).cloned())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.files.lock().unwrap().insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "the socket is a real file, whoever bound it")]
    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.files.lock().unwrap().remove(name);
        match std::fs::remove_file(self.place.path().join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn try_lock(&self, name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError> {
        let mut locks = self.locks.lock().unwrap();
        if locks.get(name).is_some_and(|held| held.strong_count() > 0) {
            return Ok(None);
        }
        let held = Arc::new(());
        locks.insert(name.to_owned(), Arc::downgrade(&held));
        Ok(Some(Box::new(Held(held))))
    }

    fn path_of(&self, name: &str) -> String {
        self.place.path().join(name).display().to_string()
    }
}

/// Recorded decisions, in memory; on a disk without room, none.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    pub(crate) entries: Mutex<Vec<Vec<u8>>>,
    pub(crate) is_full: AtomicBool,
}

impl DecisionLog for Decisions {
    fn append(&self, entries: &[Vec<u8>]) -> Result<(), StoreError> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(StoreError::Io { verb: "append to", path: "decisions".into(), why: "no room".into() });
        }
        self.entries.lock().unwrap().extend_from_slice(entries);
        Ok(())
    }
}

/// A place where agents come and go.
pub(crate) struct Place {
    pub(crate) store: MemoryStore,
    pub(crate) settings: Arc<Settings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) issuer: ScriptedIssuer,
    pub(crate) decisions: Arc<Decisions>,
    pub(crate) diary: Arc<MemoryDiary>,
    backend: String,
    socket: PathBuf,
}

/// An agent on a thread and a runtime of its own, so that it can be killed with everything it was about.
pub(crate) struct Running {
    ready: watch::Receiver<Option<AgentReady>>,
    thread: thread::JoinHandle<Option<Result<(), AgentError>>>,
    stop: watch::Sender<bool>,
    kill: watch::Sender<bool>,
}

impl Place {
    /// No agent yet; the backend is this upstream.
    pub(crate) fn before(upstream: &Upstream) -> Arc<Self> {
        Self::holding(upstream, pool(2))
    }

    /// The same with this pool.
    pub(crate) fn holding(upstream: &Upstream, pool: SavedPool) -> Arc<Self> {
        Self::renewing(upstream, pool, ScriptedIssuer::default())
    }

    /// The same with this issuer.
    pub(crate) fn renewing(upstream: &Upstream, pool: SavedPool, issuer: ScriptedIssuer) -> Arc<Self> {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join(SOCKET);
        let directory = Directory { files: Mutex::default(), locks: Mutex::default(), place };
        Arc::new(Self {
            store: MemoryStore::holding(pool),
            settings: Arc::new(Settings(Mutex::new(Strategy::Sequential), codex_auth_core::Fallback::strict())),
            directory: Arc::new(directory),
            issuer,
            decisions: Arc::default(),
            diary: Arc::default(),
            backend: format!("http://127.0.0.1:{}/backend-api", upstream.port),
            socket,
        })
    }

    pub(crate) fn client(&self) -> AgentClient {
        AgentClient::at(self.socket.clone())
    }

    /// What a wrapped client says of itself.
    pub(crate) fn request() -> LeaseRequest {
        LeaseRequest { pid: 7, cwd: "/work-place".into(), codex_home: None }
    }

    /// What an agent here is started with.
    pub(crate) fn setup(&self, seed: u64, port: Option<u16>) -> AgentSetup {
        let config = ProxyConfig::against(self.backend.parse().unwrap());
        let ports = Ports {
            store: Arc::new(self.store.clone()),
            issuer: Arc::new(self.issuer.clone()),
            upstream: Arc::new(InlineUpstream::towards(&config.backend).unwrap()),
            settings: self.settings.clone(),
            policy: Arc::new(MemoryPolicies::default()),
            book: Arc::new(MemoryBook::default()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            clock: Arc::new(ManualClock::at(NOW)),
        };
        AgentSetup {
            ports,
            config,
            directory: self.directory.clone(),
            shared: self.directory.clone(),
            codex_home: "/home".into(),
            socket: self.socket.clone(),
            logins: Arc::new(Homes::default()),
            decisions: self.decisions.clone(),
            quotas: Arc::new(MemoryQuotas::default()),
            diary: self.diary.clone(),
            entropy: Arc::new(SeededEntropy::new(seed)),
            version: "0.0.0".into(),
            port,
            stays: false,
        }
    }

    /// Starts an agent and waits until it serves, or for why it does not.
    pub(crate) async fn start(&self, seed: u64, port: Option<u16>) -> Result<Running, AgentError> {
        let mut running = self.begin(seed, port);
        let is_ready = super::within("an agent to be ready", running.ready.wait_for(Option::is_some)).await.is_ok();
        if is_ready { Ok(running) } else { Err(running.ended().await.expect_err("it ended before it was ready")) }
    }

    /// Starts an agent and returns at once.
    pub(crate) fn begin(&self, seed: u64, port: Option<u16>) -> Running {
        let ((stop, stopped), (kill, mut killed)) = (watch::channel(false), watch::channel(false));
        let (tell, ready) = watch::channel(None);
        let setup = self.setup(seed, port);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    ended = run_agent(setup, stopped, move |ready| drop(tell.send(Some(ready.clone())))) => Some(ended),
                    _ = killed.wait_for(|killed| *killed) => None,
                }
            })
        });
        Running { ready, thread, stop, kill }
    }
}

impl Running {
    /// What it told when it began to serve.
    pub(crate) fn ready(&self) -> AgentReady {
        self.ready.borrow().clone().expect("it serves")
    }

    pub(crate) fn port(&self) -> u16 {
        self.ready().record.port
    }

    /// Asks it to end and waits.
    pub(crate) async fn stop(self) -> Result<(), AgentError> {
        self.stop.send_replace(true);
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Result<(), AgentError> {
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        super::within("the agent to end", ended).await.unwrap().unwrap().expect("nobody killed it")
    }

    /// Kills it, as `kill -9` does: nothing of it runs on, and nothing is tidied up.
    pub(crate) async fn kill(self) {
        self.kill.send_replace(true);
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        super::within("the agent to die", ended).await.unwrap().unwrap();
    }
}
