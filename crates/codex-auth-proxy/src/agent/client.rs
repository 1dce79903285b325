//! The agent as its clients see it: found or started, leased, and brought back when it dies.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use codex_auth_core::ClientToken;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::pass;
use crate::{LeaseRequest, Listeners};

/// How long an agent may take to come up, sockets included.
const UP_WITHIN: Duration = Duration::from_secs(8);
/// How often we look whether it is up.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// After how many looks in vain an agent is started once more: a quarter of a second.
const START_EVERY: u32 = 120;
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// A way to talk to the agent of one directory.
#[derive(Debug, Clone)]
pub struct AgentClient {
    socket: PathBuf,
}

/// Why the agent did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no agent is running")]
    NotRunning,
    /// Somebody else's program listens there; it is told nothing.
    #[error("the agent's socket belongs to another user")]
    NotOurs,
    /// It did not come up in time.
    #[error("the agent did not start within {} s", UP_WITHIN.as_secs())]
    NotUp,
    /// It could not be started at all.
    #[error("the agent could not be started: {0}")]
    NotStarted(#[source] io::Error),
    /// The conversation broke.
    #[error("the agent broke off: {0}")]
    Broke(String),
    /// It answered with an error.
    #[error("{message}")]
    Refused {
        /// Its code.
        code: String,
        /// Its sentence.
        message: String,
    },
}

/// A lease, with what keeps it and what outlives the agent.
#[derive(Debug)]
pub struct Attached {
    /// The proxy's port.
    pub port: u16,
    /// This lease's token.
    pub token: ClientToken,
    connection: Incoming,
    listeners: Option<Listeners>,
}

impl AgentClient {
    /// A client of the agent behind this socket.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Asks for a document.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, ControlError> {
        let ask = async {
            let (status, body) = self.send(method, path, body).await?;
            let bytes = body.collect().await.map_err(broke)?.to_bytes();
            let answer: Value =
                serde_json::from_slice(&bytes).map_err(|_| ControlError::Broke("no document".into()))?;
            if status.is_success() { Ok(answer) } else { Err(refusal(&answer)) }
        };
        tokio::time::timeout(ANSWER_WITHIN, ask).await.unwrap_or_else(|_| Err(ControlError::Broke("no answer".into())))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(http::StatusCode, Incoming), ControlError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|_| ControlError::NotRunning)?;
        if !is_own(&stream) {
            return Err(ControlError::NotOurs);
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        // The connection ends with its body; its errors reach us through the body.
        tokio::spawn(connection);
        let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| ControlError::Broke("not a path".into()))?;
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("agent"));
        let answer = sender.send_request(request).await.map_err(broke)?;
        Ok((answer.status(), answer.into_body()))
    }

    async fn lease(&self, request: &LeaseRequest, resume: Option<&ClientToken>) -> Result<Attached, ControlError> {
        let mut asked = serde_json::to_value(request).map_err(|_| ControlError::Broke("no lease".into()))?;
        if let (Some(object), Some(token)) = (asked.as_object_mut(), resume) {
            object.insert("resume".into(), json!(token.expose()));
        }
        let (status, mut body) = self.send(Method::POST, "/v1/lease", &asked).await?;
        let first = body.frame().await.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
        let granted: Value = first.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
        if !status.is_success() {
            return Err(refusal(&granted));
        }
        let port = granted.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        let token = granted.get("token").and_then(Value::as_str).map(ClientToken::new);
        let (Some(port), Some(token)) = (port, token) else { return Err(ControlError::Broke("no lease".into())) };
        Ok(Attached { port, token, connection: body, listeners: self.take().ok() })
    }

    /// Duplicates of the agent's listening sockets, so that its port stays ours even if it is killed.
    fn take(&self) -> io::Result<Listeners> {
        let stream = self.connect()?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        pass::send(&stream, pass::TAKE, &[])?;
        let (_, sockets) = pass::receive(&stream, &mut [0; 8])?;
        Listeners::of(sockets)
    }

    fn connect(&self) -> io::Result<std::os::unix::net::UnixStream> {
        let stream = std::os::unix::net::UnixStream::connect(&self.socket)?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)?;
        if peer.uid == rustix::process::getuid() { Ok(stream) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn give(&self, listeners: &Listeners) -> io::Result<()> {
        let stream = self.connect()?;
        pass::send(&stream, pass::GIVE, listeners.sockets())
    }
}

/// Leases from the agent; starts one when none runs. `start` must return at once.
pub async fn attach(
    client: &AgentClient,
    request: &LeaseRequest,
    start: &(dyn Fn() -> io::Result<()> + Send + Sync),
) -> Result<Attached, ControlError> {
    bring_up(client, request, start, None).await
}

/// Keeps a lease for ever: when the agent dies, another one is started, given its sockets back and leased anew under
/// the same token.
pub async fn hold(
    client: AgentClient,
    request: LeaseRequest,
    start: Arc<dyn Fn() -> io::Result<()> + Send + Sync>,
    mut attached: Attached,
) {
    loop {
        // The body never brings anything more: whatever it returns is its end.
        drop(attached.connection.frame().await);
        match bring_up(&client, &request, start.as_ref(), Some((&attached.token, attached.listeners.as_ref()))).await {
            Ok(again) => attached = Attached { listeners: again.listeners.or(attached.listeners), ..again },
            Err(error) => {
                tracing::warn!(%error, "the agent could not be brought back; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn bring_up(
    client: &AgentClient,
    request: &LeaseRequest,
    start: &(dyn Fn() -> io::Result<()> + Send + Sync),
    before: Option<(&ClientToken, Option<&Listeners>)>,
) -> Result<Attached, ControlError> {
    let resume = before.map(|(token, _)| token);
    let trying = async {
        let mut looks = 0_u32;
        loop {
            match client.lease(request, resume).await {
                Ok(attached) => return Ok(attached),
                // Again from time to time: the one just started may have lost the election against one that ended.
                Err(ControlError::NotRunning | ControlError::Broke(_)) if looks.is_multiple_of(START_EVERY) => {
                    start().map_err(ControlError::NotStarted)?;
                    looks += 1;
                }
                Err(ControlError::Refused { code, .. }) if code == "not_listening" => {
                    if let Some((_, Some(listeners))) = before {
                        // Refused when it died again meanwhile; the next round sees to that.
                        let _refused = client.give(listeners);
                    }
                }
                Err(ControlError::NotRunning | ControlError::Broke(_)) => looks += 1,
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(UP_WITHIN, trying).await.unwrap_or(Err(ControlError::NotUp))
}

/// The socket may stand in a directory that everybody can write to.
fn is_own(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw())
}

fn refusal(answer: &Value) -> ControlError {
    let field = |name: &str| answer.pointer(&format!("/error/{name}")).and_then(Value::as_str).unwrap_or("unknown");
    ControlError::Refused { code: field("code").to_owned(), message: field("message").to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to map_err, which gives the error away")]
fn broke(error: hyper::Error) -> ControlError {
    ControlError::Broke(error.to_string())
}
