//! The control socket: HTTP with JSON for programs of the same user, and the raw hand-over of sockets beside it.

mod permits;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use codex_auth_core::{Alert, ClientToken, Entropy, Kind, Query, RecordId, RefreshReason, Timestamp};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
    sync::{Notify, mpsc},
};

use super::pass;
use crate::{
    LeaseId, LeaseRequest, Listeners, Proxy, StreamError,
    respond::{Answer, document},
    rules::Origin,
};

/// Requests here are small documents.
const LARGEST: usize = 64 * 1024;

/// What the control socket works on.
#[derive(Debug)]
pub(super) struct Control {
    proxy: Arc<Proxy>,
    entropy: Arc<dyn Entropy>,
    version: String,
    sockets: Mutex<Option<Listeners>>,
    gave: mpsc::Sender<Listeners>,
    end: Notify,
}

impl Control {
    /// Control over this proxy; sockets brought by clients go to `gave`.
    pub(super) fn new(
        proxy: Arc<Proxy>,
        entropy: Arc<dyn Entropy>,
        version: String,
        gave: mpsc::Sender<Listeners>,
    ) -> Self {
        Self { proxy, entropy, version, sockets: Mutex::default(), gave, end: Notify::new() }
    }

    /// Notes that the agent listens, so that clients can be told the port and given duplicates.
    pub(super) fn listening(&self, listeners: Listeners) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = Some(listeners);
    }

    /// Returns when a client asked the agent to end.
    pub(super) async fn asked_to_end(&self) {
        self.end.notified().await;
    }

    fn duplicate(&self) -> Option<Listeners> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.duplicate().ok()
    }

    fn port(&self) -> Option<u16> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Listeners::port)
    }
}

/// Serves until aborted.
pub(super) async fn serve_control(control: Arc<Control>, socket: UnixListener) {
    loop {
        let Ok((stream, _)) = socket.accept().await else { continue };
        let is_same_user = stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::getuid().as_raw());
        if is_same_user {
            tokio::spawn(converse(control.clone(), stream));
        }
    }
}

async fn converse(control: Arc<Control>, stream: UnixStream) {
    let Ok(is_raw) = begins_with_zero(&stream).await else { return };
    if is_raw {
        if let Err(error) = hand_over(&control, &stream).await {
            tracing::warn!(%error, "sockets could not be handed over");
        }
        return;
    }
    let service = service_fn(move |request| {
        let control = control.clone();
        async move { Ok::<_, Infallible>(answer(&control, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a control connection ended early");
    }
}

async fn begins_with_zero(stream: &UnixStream) -> io::Result<bool> {
    let mut first = [1_u8; 1];
    loop {
        stream.readable().await?;
        let peeked = stream
            .try_io(Interest::READABLE, || Ok(rustix::net::recv(stream, &mut first, rustix::net::RecvFlags::PEEK)?));
        match peeked {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(first[0] == 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn hand_over(control: &Control, stream: &UnixStream) -> io::Result<()> {
    stream.readable().await?;
    let mut words = [0; 8];
    let (length, brought) = stream.try_io(Interest::READABLE, || pass::receive(stream, &mut words))?;
    match &words[..length] {
        said if said == pass::TAKE => {
            let ours = control.duplicate();
            let sockets = ours.as_ref().map(Listeners::sockets).unwrap_or_default();
            stream.writable().await?;
            stream.try_io(Interest::WRITABLE, || pass::send(stream, &[0], sockets))
        }
        said if said == pass::GIVE => {
            // Several clients bring the same sockets; the first ones are as good as the others.
            let _had_some_already = control.gave.try_send(Listeners::of(brought)?);
            Ok(())
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

async fn answer(control: &Arc<Control>, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        return failed(StatusCode::BAD_REQUEST, "unreadable", "the request body could not be read");
    };
    let asked: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
    match (head.method, head.uri.path()) {
        (Method::GET, "/v1/hello") => document(StatusCode::OK, &hello(control)),
        (Method::GET, "/v1/status") => document(StatusCode::OK, &status(control).await),
        (Method::POST, "/v1/lease") => {
            catch_up(control).await;
            lease(control, asked)
        }
        (Method::POST, "/v1/decide") => {
            catch_up(control).await;
            document(StatusCode::OK, &decide(control, &asked))
        }
        (Method::POST, "/v1/permits") => permits::issue(control, asked).await,
        (Method::GET, "/v1/permits") => permits::list(control),
        (Method::POST, "/v1/permits/revoke") => permits::revoke(control, &asked).await,
        (Method::POST, "/v1/refresh") => refresh(control, &asked).await,
        (Method::POST, "/v1/reload") => match control.proxy.reload_if_changed().await {
            Ok(changed) => document(StatusCode::OK, &json!({ "changed": changed })),
            Err(error) => failed(StatusCode::CONFLICT, "storage", &error.to_string()),
        },
        (Method::POST, "/v1/handover") => {
            control.end.notify_one();
            document(StatusCode::OK, &json!({ "ending": true }))
        }
        _ => failed(StatusCode::NOT_FOUND, "not_found", "the agent does not know this request"),
    }
}

/// Whoever asks now is to meet the pool as it is on disk now, not as it was a fifth of a second ago. A pool that cannot
/// be read is told of by whoever watches it.
async fn catch_up(control: &Control) {
    if let Err(error) = control.proxy.reload_if_changed().await {
        tracing::warn!(%error, "the pool could not be read");
    }
}

fn hello(control: &Control) -> Value {
    json!({
        "protocol": 1,
        "pid": std::process::id(),
        "version": control.version,
        "port": control.port(),
        "listening": control.port().is_some(),
    })
}

async fn status(control: &Control) -> Value {
    let pool = control.proxy.rotation().pool();
    let number = |record: &RecordId| pool.number_of(record);
    let sessions: Vec<_> = control
        .proxy
        .leases()
        .list()
        .into_iter()
        .map(|lease| {
            json!({
                "pid": lease.request.pid,
                "cwd": lease.request.cwd,
                "codexHome": lease.request.codex_home,
                "since": lease.since.as_millis(),
                "account": lease.served_by.as_ref().and_then(number),
                "requests": lease.requests,
            })
        })
        .collect();
    let alerts: Vec<_> = control.proxy.alerts().await.iter().map(|alert| alert_of(alert, number)).collect();
    json!({
        "pid": std::process::id(),
        "port": control.port(),
        "version": control.version,
        "sessions": sessions,
        "alerts": alerts,
    })
}

/// A crossed threshold, as data for whoever shows it: a screen, a page, a toast.
fn alert_of(alert: &Alert, number: impl Fn(&RecordId) -> Option<usize>) -> Value {
    json!({
        "id": alert.id(),
        "toast": { "message": alert.toast(), "variant": "warning" },
        "account": number(&alert.record),
        "recordId": alert.record.as_str(),
        "window": alert.window(),
        "windowMinutes": alert.length.as_secs() / 60,
        "threshold": alert.threshold,
        "code": alert.code(),
        "exhaustedCode": alert.exhausted_code(),
        "at": alert.at.as_millis(),
        "resetsAt": alert.resets_at.map(Timestamp::as_millis),
    })
}

/// Decides as for a request from the directory that is asked about, if any.
fn decide(control: &Control, asked: &Value) -> Value {
    let rules = &control.proxy.rules;
    let place = asked.get("cwd").and_then(Value::as_str).and_then(|cwd| rules.source().place_of(cwd));
    let origin = Origin { project: place.map(|place| place.project), unclear: Vec::new() };
    let ruling = rules.for_free(&origin).unwrap_or_default();
    let pool = control.proxy.rotation().pool();
    let now = control.proxy.ports.clock.now();
    let decision = control.proxy.rotation().decide(&Query { ruling, ..Query::default() }, now);
    let choice = decision.choice.as_ref();
    json!({
        "account": choice.and_then(|(record, _)| pool.number_of(record)),
        "reason": choice.map(|(_, reason)| reason.as_str()),
        "decision": decision,
    })
}

async fn refresh(control: &Control, asked: &Value) -> Answer {
    let pool = control.proxy.rotation().pool();
    let record = asked.get("recordId").and_then(Value::as_str).and_then(RecordId::parse);
    let Some(held) = record.and_then(|record| pool.find(&record).cloned()) else {
        return failed(StatusCode::NOT_FOUND, "no_such_account", "the request names no account of the pool");
    };
    match control.proxy.renew(&held, RefreshReason::Forced).await {
        Ok(renewed) => document(StatusCode::OK, &json!({ "generation": renewed.held.credential.generation })),
        Err(error) => {
            let code = if error.kind() == Kind::NeedsLogin { "needs_login" } else { "refresh_failed" };
            failed(StatusCode::CONFLICT, code, &error.to_string())
        }
    }
}

fn failed(status: StatusCode, code: &str, message: &str) -> Answer {
    document(status, &json!({ "error": { "code": code, "message": message, "hint": Value::Null } }))
}

fn lease(control: &Arc<Control>, mut asked: Value) -> Answer {
    // A client that had a lease with the agent before this one keeps its token: its child shows no other.
    let resumed = asked.as_object_mut().and_then(|object| object.remove("resume"));
    let resumed = resumed.as_ref().and_then(Value::as_str).map(ClientToken::new).filter(|token| !token.is_blank());
    let Ok(request) = serde_json::from_value::<LeaseRequest>(asked) else {
        return failed(StatusCode::BAD_REQUEST, "bad_lease", "a lease names pid, cwd and codexHome");
    };
    let Some(port) = control.port() else {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "not_listening", "the agent waits for its sockets");
    };
    let token = resumed.unwrap_or_else(|| crate::mint(control.entropy.as_ref()));
    let place = control.proxy.rules.source().place_of(&request.cwd);
    let id = control.proxy.leases().open(request, token.clone(), control.proxy.ports.clock.now());
    control.proxy.leases().settle_in(id, place);
    let granted = json!({ "port": port, "token": token.expose() });
    let body = LeaseBody { first: Some(Bytes::from(format!("{granted}\n"))), proxy: control.proxy.clone(), id };
    http::Response::new(body.boxed_unsync())
}

/// A body that never ends by itself: the lease lives as long as the client keeps the connection.
struct LeaseBody {
    first: Option<Bytes>,
    proxy: Arc<Proxy>,
    id: LeaseId,
}

impl Body for LeaseBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match self.first.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

impl Drop for LeaseBody {
    fn drop(&mut self) {
        self.proxy.leases().close(self.id);
    }
}
