//! Owns the sockets: both loopback addresses, one task per connection, one thread per fake.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::ask::Ask;
use crate::backend::{self, unauthorized};
use crate::control;
use crate::deliver::{Asker, Closed, ReplyBody, deliver};
use crate::fault::Act;
use crate::line::{Line, LineIo};
use crate::reply::{Content, Reply};
use crate::route::{Route, is_platform};
use crate::world::{Shared, World};

/// How often a free port is looked for that both loopback addresses have.
const PORT_TRIES: u32 = 20;

/// Both listeners of one port, before anybody is served.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub port: u16,
    sockets: Vec<StdListener>,
}

impl Listeners {
    /// Binds `127.0.0.1` and, where the machine has it, `[::1]`.
    pub(crate) fn bind(port: u16) -> io::Result<Self> {
        let mut tries = PORT_TRIES;
        loop {
            let four = StdListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
            let taken = four.local_addr()?.port();
            let six = StdListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, taken)));
            let sockets = match six {
                Ok(six) => vec![four, six],
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    tries -= 1;
                    if port != 0 || tries == 0 {
                        return Err(error);
                    }
                    continue;
                }
                // No IPv6 here: `localhost` is 127.0.0.1.
                Err(_) => vec![four],
            };
            sockets.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
            return Ok(Self { port: taken, sockets });
        }
    }
}

/// A thread that serves; dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// Serves every connection of the listeners with `connection`, on a thread and a runtime of its own.
    pub(crate) fn start<F, T>(name: &str, listeners: Listeners, connection: F) -> io::Result<Self>
    where
        F: Fn(TcpStream) -> T + Clone + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sockets = {
            let _inside = runtime.enter();
            listeners.sockets.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?
        };
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                for socket in sockets {
                    tokio::spawn(accept(socket, connection.clone()));
                }
                // A dropped sender means the same as a sent word.
                let _ = stopped.await;
            });
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was printed there.
            let _ = thread.join();
        }
    }
}

async fn accept<F, T>(socket: TcpListener, connection: F)
where
    F: Fn(TcpStream) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    loop {
        match socket.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream))),
            // Out of descriptors, or a client that left before we looked.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Starts the fake's thread.
pub(crate) fn start(listeners: Listeners, shared: Arc<Shared>) -> io::Result<Serving> {
    let count = Arc::new(AtomicU64::new(0));
    Serving::start("fake-openai", listeners, move |stream| {
        let line = Line::new(count.fetch_add(1, Ordering::SeqCst) + 1);
        connection(stream, line, Arc::clone(&shared))
    })
}

async fn connection(stream: TcpStream, line: Line, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(LineIo::new(stream, line.clone()));
    let service = service_fn(move |request| serve(Arc::clone(&shared), line.clone(), request));
    // An error here is a client that left, or a fault that worked.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

async fn serve(shared: Arc<Shared>, line: Line, request: Request<Incoming>) -> Result<Response<ReplyBody>, Closed> {
    let Some(ask) = Ask::read(request, line.connection).await else { return Err(Closed) };
    if ask.route == Route::Control {
        return Ok(plain(control::answer(&shared, &ask)));
    }
    let now_ms = shared.clock.now_ms();
    let (serial, act) = shared.change(|world| world.arrive(&ask, now_ms));
    let asker = Asker { shared: Arc::clone(&shared), line, serial };
    let reply = match &act {
        Some(first) if first.comes_first() => instead(first, &ask),
        Some(_) | None => shared.change(|world| answer(world, &ask, act.as_ref(), now_ms)),
    };
    deliver(asker, reply, act).await
}

/// The answer of a fault that strikes before the fake's own work.
fn instead(act: &Act, ask: &Ask) -> Reply {
    match act {
        Act::Answer { status, headers, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let reply = match body.as_str() {
                Some(text) => Reply { content: Content::Whole(text.to_owned().into()), ..Reply::empty(status) },
                None if body.is_null() => Reply::empty(status),
                None => Reply::json(status, body),
            };
            headers.iter().fold(reply, |reply, (name, value)| reply.with(&name.to_ascii_lowercase(), value))
        }
        Act::Unauthorized(denial) => unauthorized(*denial, is_platform(&ask.path)),
        Act::DropBeforeHeaders
        | Act::Reset
        | Act::LoseAnswer
        | Act::Delay { .. }
        | Act::Hang
        | Act::HoldBeforeHeaders
        | Act::Hold { .. }
        | Act::StallAfter { .. }
        | Act::CutAfter { .. }
        | Act::ResetAfter { .. }
        | Act::EndWith { .. }
        | Act::Pace { .. }
        | Act::MalformedTokens(_) => Reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn answer(world: &mut World, ask: &Ask, act: Option<&Act>, now_ms: i64) -> Reply {
    match ask.route {
        Route::Authorize
        | Route::Token
        | Route::Revoke
        | Route::DeviceCode
        | Route::DeviceToken
        | Route::DevicePage => {
            let malformed = if let Some(Act::MalformedTokens(form)) = act { Some(*form) } else { None };
            world.issuer.answer(&world.people, ask, now_ms, malformed)
        }
        Route::Responses
        | Route::WebSocket
        | Route::Models
        | Route::AccountsCheck
        | Route::SettingsUser
        | Route::Usage
        | Route::ConfigBundle
        | Route::ResetCredits
        | Route::ConsumeResetCredit
        | Route::PsMcp
        | Route::Analytics
        | Route::Control
        | Route::Other => backend::answer(world, ask, act, now_ms),
    }
}

/// An answer of the control API: never struck by a fault, never logged.
fn plain(reply: Reply) -> Response<ReplyBody> {
    let body = match reply.content {
        Content::Whole(body) => body,
        Content::Events { .. } => bytes::Bytes::new(),
    };
    let mut response = Response::new(ReplyBody::Whole(http_body_util::Full::new(body)));
    *response.status_mut() = reply.status;
    response
}
