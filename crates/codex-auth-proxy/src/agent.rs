//! The agent: one background process per state directory that owns the port, the pool and the leases.
//!
//! It is elected by a lock, found through a Unix socket, kept alive by its clients' open connections and by whoever
//! may still come with a capability, and gone two seconds after the last of them. Its listening sockets outlive it in its clients' hands, so a killed agent leaves no
//! free port behind: connections queue until the next agent takes the sockets back.

mod client;
mod control;
mod idle;
mod pass;
mod record;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use codex_auth_core::{
    AccountStore, ClientToken, Entropy, HeldLock, OfficialLogins, QuotaDiary, QuotaMemory, StateDir, StoreError,
    record::DecisionLog,
};
use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
};

pub use client::{AgentClient, Attached, ControlError, attach, hold};
pub use record::AgentRecord;

use crate::{
    Leases, Listeners, Permits, Ports, Proxy, ProxyConfig, mint,
    refresher::Refresher,
    serve,
    server::stopped,
    sessions::{keep as keep_sessions, remember as remember_sessions},
};

/// Name of the election lock.
const LOCK: &str = "agent.lock";
/// Name of the socket in the agent's directory.
pub const SOCKET: &str = "agent.sock";
/// How long a restarted agent waits for a client to hand it the listening sockets.
const SOCKETS_WITHIN: Duration = Duration::from_secs(3);
/// How long the leases of the agent before this one may take to come back.
const LEASES_WITHIN: Duration = Duration::from_secs(2);
/// How often the files are asked whether another program changed them.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often the store is asked to hand renewed pairs to logins that were busy when they came.
const HAND_OVER_EVERY: Duration = Duration::from_secs(1);

/// How an agent is set up.
#[derive(Debug)]
pub struct AgentSetup {
    /// The outside.
    pub ports: Ports,
    /// Limits and addresses.
    pub config: ProxyConfig,
    /// Its directory.
    pub directory: Arc<dyn StateDir>,
    /// What all agents of this user share on this machine, whatever their product.
    pub shared: Arc<dyn StateDir>,
    /// The official client's home; its login is kept alive for clients that know nothing of us.
    pub codex_home: String,
    /// Where its control socket is.
    pub socket: PathBuf,
    /// Logins of leased homes.
    pub logins: Arc<dyn OfficialLogins>,
    /// Where its decisions are recorded.
    pub decisions: Arc<dyn DecisionLog>,
    /// Where quotas are remembered.
    pub quotas: Arc<dyn QuotaMemory>,
    /// Where what answers tell of quotas is written down, for forecasts.
    pub diary: Arc<dyn QuotaDiary>,
    /// Chance, for tokens.
    pub entropy: Arc<dyn Entropy>,
    /// Version of this program.
    pub version: String,
    /// Port to use instead of the remembered one.
    pub port: Option<u16>,
    /// Whether it stays without any client, as under a service manager.
    pub stays: bool,
}

/// Why an agent did not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent serves this directory already.
    #[error("an agent already serves this directory")]
    AlreadyServed,
    /// Somebody else listens on the port.
    #[error("port {port} is in use by another program")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The pool or the settings could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused a socket.
    #[error("cannot {verb}: {source}")]
    Socket {
        /// What we tried.
        verb: &'static str,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// A running agent, for the one who started it.
#[derive(Debug, Clone)]
pub struct AgentReady {
    /// What other programs read.
    pub record: AgentRecord,
    /// Address of the proxy.
    pub url: String,
}

/// Runs an agent to its end; `ready` hears once when it serves.
pub async fn run_agent(
    setup: AgentSetup,
    mut stop: watch::Receiver<bool>,
    ready: impl FnOnce(&AgentReady) + Send,
) -> Result<(), AgentError> {
    let elected = elect(&setup)?;
    let remembered = AgentRecord::read(setup.directory.as_ref())?;
    let client_token = remembered.as_ref().map_or_else(|| mint(setup.entropy.as_ref()), AgentRecord::token);
    let permits = Permits::kept_in(setup.directory.clone());
    let leases = Leases::new(setup.logins.clone(), client_token.clone()).with_permits(permits);
    let proxy = Proxy::ready(setup.ports.clone(), setup.config.clone(), leases).await?;
    proxy.recording_to(setup.decisions.clone());
    proxy.remembering_in(setup.quotas.clone()).await;
    proxy.noting_to(setup.diary.clone());
    let sessions = remember_sessions(proxy.rotation.clone(), setup.directory.clone(), setup.ports.clock.clone());
    let control_socket = bind_control(&setup)?;
    let (gave, given) = mpsc::channel(1);
    let control = Arc::new(control::Control::new(proxy.clone(), setup.entropy.clone(), setup.version.clone(), gave));
    let serving_control = tokio::spawn(control::serve_control(control.clone(), control_socket));

    let had_predecessor = remembered.is_some();
    let port = setup.port.or(remembered.map(|record| record.port));
    let listeners = listeners(port, setup.port.is_some(), given).await?;
    if had_predecessor {
        proxy.leases().expect_back(LEASES_WITHIN);
    }
    let record = remember(&setup, &listeners, &client_token)?;
    control.listening(listeners.duplicate().map_err(socket("duplicate the sockets"))?);
    ready(&AgentReady { record, url: listeners.url() });

    let (end, ended) = watch::channel(false);
    let looking = tokio::spawn(look(proxy.clone()));
    let handing_over = tokio::spawn(hand_over(setup.ports.store.clone()));
    let logins = (setup.logins.clone(), setup.codex_home.clone());
    let refresher = Refresher::new(proxy.clone(), setup.shared.clone(), logins, setup.entropy.as_ref());
    let refreshing = tokio::spawn(refresher.run());
    let serving = tokio::spawn(serve(proxy.clone(), listeners, ended));
    tokio::select! {
        () = stopped(&mut stop) => {}
        () = control.asked_to_end() => {}
        () = idle::idle(&proxy), if !setup.stays => {}
    }
    looking.abort();
    sessions.abort();
    handing_over.abort();
    refreshing.abort();
    serving_control.abort();
    // Clients must not find a socket behind which nobody answers.
    setup.directory.remove(SOCKET)?;
    end.send_replace(true);
    // The server only returns errors of its set-up, which is over; a panic there must not keep us from writing out.
    let _served = serving.await;
    proxy.settle_down().await;
    if let Err(error) = keep_sessions(&proxy.rotation, setup.directory.as_ref(), setup.ports.clock.now()) {
        tracing::warn!(%error, "the sessions could not be written down");
    }
    drop(elected);
    Ok(())
}

fn elect(setup: &AgentSetup) -> Result<Box<dyn HeldLock>, AgentError> {
    setup.directory.try_lock(LOCK)?.ok_or(AgentError::AlreadyServed)
}

/// Binds the control socket. A file left behind by a killed agent is ours to replace, since we hold the lock.
fn bind_control(setup: &AgentSetup) -> Result<UnixListener, AgentError> {
    setup.directory.remove(SOCKET)?;
    UnixListener::bind(&setup.socket).map_err(socket("open the control socket"))
}

/// The listening sockets: the remembered port when it is free, the sockets a client still holds when it is not, and
/// another port when neither comes about.
async fn listeners(
    port: Option<u16>,
    is_demanded: bool,
    mut given: mpsc::Receiver<Listeners>,
) -> Result<Listeners, AgentError> {
    let Some(port) = port else { return Listeners::bind(0).map_err(socket("listen on loopback")) };
    match Listeners::bind(port) {
        Ok(listeners) => return Ok(listeners),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(socket("listen on loopback")(error)),
    }
    match tokio::time::timeout(SOCKETS_WITHIN, given.recv()).await {
        Ok(Some(listeners)) => Ok(listeners),
        Ok(None) | Err(_) if is_demanded => Err(AgentError::PortTaken { port }),
        Ok(None) | Err(_) => Listeners::bind(0).map_err(socket("listen on loopback")),
    }
}

fn remember(setup: &AgentSetup, listeners: &Listeners, token: &ClientToken) -> Result<AgentRecord, AgentError> {
    let record = AgentRecord {
        version: 1,
        protocol: 1,
        pid: std::process::id(),
        binary_version: setup.version.clone(),
        port: listeners.port(),
        socket: setup.socket.display().to_string(),
        client_token: token.expose().to_owned(),
        started_at: setup.ports.clock.now().as_millis(),
    };
    record.write(setup.directory.as_ref())?;
    Ok(record)
}

async fn look(proxy: Arc<Proxy>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = proxy.reload_if_changed().await {
            tracing::warn!(%error, "the pool changed and could not be read; the last good one stays in force");
        }
    }
}

/// A login whose locks were held during a renewal has a spent token in it, which its client must not live to present.
async fn hand_over(store: Arc<dyn AccountStore>) {
    loop {
        if let Err(error) = store.hand_over().await {
            tracing::warn!(%error, "logins could not be looked at for spent tokens");
        }
        tokio::time::sleep(HAND_OVER_EVERY).await;
    }
}

fn socket(verb: &'static str) -> impl FnOnce(io::Error) -> AgentError {
    move |source| AgentError::Socket { verb, source }
}
