//! When the plugin's callback port opens and closes (plugin 5.3, 5.5). One server serves one sign-in after another; it
//! stays a while after each, so that the browser's last page can be loaded, and longer after a failure.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::{sync::Mutex, task::AbortHandle, time::sleep};

use codex_auth_core::Entropy;

use super::{
    answers::answer,
    error::HostLoginError,
    pending::{Desk, Look, PendingLogin},
};
use crate::{
    authorize::AuthorizeProfile,
    callback::{CallbackListener, Callers},
    endpoints::Endpoints,
    events::{LoginEvent, LoginEvents},
};

/// The callback port, open or not. Dropping it closes the port.
#[derive(Debug)]
pub struct CallbackServer {
    ports: Vec<u16>,
    desk: Arc<Desk>,
    events: Arc<dyn LoginEvents>,
    running: Arc<Mutex<Option<Running>>>,
}

/// An open port.
#[derive(Debug)]
struct Running {
    port: u16,
    listening: AbortHandle,
    closing: Option<AbortHandle>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.listening.abort();
        if let Some(closing) = &self.closing {
            closing.abort();
        }
    }
}

impl CallbackServer {
    /// A closed port: the first of `ports` that can be had when it is opened; 0 is any free one.
    pub fn new(ports: impl Into<Vec<u16>>, events: Arc<dyn LoginEvents>) -> Self {
        Self { ports: ports.into(), desk: Arc::default(), events, running: Arc::default() }
    }

    /// Opens the port, unless it is open already; then it stays open. Returns where the browser comes back to.
    pub async fn start(&self) -> Result<String, HostLoginError> {
        self.open().await.map(|port| AuthorizeProfile::OPENCODE.redirect_uri(port))
    }

    /// Begins a sign-in. There is one at a time.
    pub async fn begin(
        &self,
        endpoints: &Endpoints,
        profile: &AuthorizeProfile,
        look: Look,
        entropy: &dyn Entropy,
    ) -> Result<PendingLogin, HostLoginError> {
        let port = self.open().await?;
        let room = (Arc::clone(&self.desk), Arc::clone(&self.events));
        PendingLogin::begin(room, port, (endpoints, profile, look), entropy)
    }

    /// Closes the port after `grace`, unless a sign-in begins before; a sign-in that still waits then is cancelled.
    pub async fn stop_after(&self, grace: Duration, reason: &str) {
        let mut running = self.running.lock().await;
        let Some(open) = running.as_mut() else { return };
        let meta = json!({ "graceMs": millis(grace), "reason": reason });
        self.events.happened(LoginEvent::ServerStopScheduled, meta);
        let closing = tokio::spawn({
            let (desk, events) = (Arc::clone(&self.desk), Arc::clone(&self.events));
            let (running, reason) = (Arc::clone(&self.running), reason.to_owned());
            async move {
                sleep(grace).await;
                events.happened(LoginEvent::ServerStopTimerFired, json!({ "reason": reason }));
                let mut running = running.lock().await;
                events.happened(LoginEvent::ServerStopping, json!({ "reason": reason }));
                // This task is the one that closes: it must not be stopped by closing.
                if let Some(mut open) = running.take() {
                    open.closing = None;
                }
                desk.clear();
                events.happened(LoginEvent::ServerStopped, json!({}));
            }
        });
        if let Some(earlier) = open.closing.replace(closing.abort_handle()) {
            earlier.abort();
        }
    }

    async fn open(&self) -> Result<u16, HostLoginError> {
        let mut running = self.running.lock().await;
        if let Some(open) = running.as_mut() {
            if let Some(closing) = open.closing.take() {
                closing.abort();
            }
            self.events.happened(LoginEvent::ServerReuse, json!({ "port": open.port }));
            return Ok(open.port);
        }
        self.events.happened(LoginEvent::ServerStarting, json!({ "ports": self.ports }));
        let tell = |port: u16, error: &std::io::Error| {
            let meta = json!({ "port": port, "error": error.to_string() });
            self.events.happened(LoginEvent::ServerListenAttemptFailed, meta);
        };
        let listener = CallbackListener::bind_telling(&self.ports, tell).await.map_err(|error| {
            self.events.happened(LoginEvent::ServerStartError, json!({ "error": error.to_string() }));
            HostLoginError::from(error)
        })?;
        let port = listener.port();
        let listening = tokio::spawn(listen(listener, Arc::clone(&self.desk), Arc::clone(&self.events)));
        *running = Some(Running { port, listening: listening.abort_handle(), closing: None });
        self.events.happened(LoginEvent::ServerStarted, json!({ "port": port }));
        Ok(port)
    }
}

async fn listen(listener: CallbackListener, desk: Arc<Desk>, events: Arc<dyn LoginEvents>) {
    let mut callers = Callers::default();
    loop {
        let (stream, peer) = listener.accept().await;
        let (desk, events) = (Arc::clone(&desk), Arc::clone(&events));
        callers.admit(stream, move |request| {
            let (desk, events) = (Arc::clone(&desk), Arc::clone(&events));
            async move { answer(&desk, events.as_ref(), peer, request).await.response() }
        });
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
