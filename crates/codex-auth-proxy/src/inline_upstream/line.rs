//! One connection to the backend, driven by whoever holds it: it moves only while its holder polls it.
//!
//! What passes between the two halves of a connection wakes nobody, since both are polled in turn by one task; only
//! the last look at the connection before waiting leaves a waker behind, for the socket.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Connection, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::upstream::UpstreamError;

/// Bytes read at a time; a response head must fit. A fixed size keeps an open stream's memory at that size, where one
/// that grows would keep its smaller beginnings too.
const BUFFER: usize = 16 * 1024;

/// A connection and the handle that sends on it.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended; dropping it settles what waits for it.
    connection: Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>,
}

/// Why an exchange brought no answer.
pub(super) enum Failed {
    /// Nothing of the request was sent; here it is again.
    Unsent(Box<Request<Full<Bytes>>>, String),
    /// The connection broke with the request under way.
    Broken(String),
}

impl Line {
    /// Connects to `host:port`.
    pub(super) async fn connect(address: &str) -> Result<Self, UpstreamError> {
        let stream = TcpStream::connect(address).await.map_err(|error| UpstreamError::Unsent(error.to_string()))?;
        // Lone events must not wait for an acknowledgement; failing to say so costs time, not correctness.
        let _unsupported = stream.set_nodelay(true);
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(BUFFER))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| UpstreamError::Unsent(error.to_string()))?;
        Ok(Self { sender, connection: Some(connection) })
    }

    /// Sends a request and returns as soon as the response head is there.
    pub(super) async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let answered = poll_fn(|context| {
            // The answer is looked at after the connection moved, since nothing else can bring it.
            drive(connection, &mut quiet());
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut quiet()) {
                return Poll::Ready(answer);
            }
            drive(connection, context);
            answer.as_mut().poll(&mut quiet())
        });
        answered.await.map_err(|mut failed| {
            let why = cause(failed.error());
            match failed.take_message() {
                Some(request) => Failed::Unsent(Box::new(request), why),
                None => Failed::Broken(why),
            }
        })
    }

    /// Moves the connection as far as it goes now and leaves the waker where the socket will find it.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        drive(&mut self.connection, context);
    }

    /// Moves the connection as far as it goes now, for somebody who does not wait for it.
    pub(super) fn settle(&mut self) {
        drive(&mut self.connection, &mut quiet());
    }

    /// Whether it is open and done with its last exchange.
    pub(super) fn is_free(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// A context for polls after which nobody waits.
pub(super) fn quiet() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn drive(line: &mut Option<Connection<TokioIo<TcpStream>, Full<Bytes>>>, context: &mut Context<'_>) {
    let Some(connection) = line else { return };
    match Pin::new(connection).poll(context) {
        Poll::Pending => {}
        Poll::Ready(ended) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the backend ended early");
            }
            *line = None;
        }
    }
}

/// The innermost reason, which is the one a person can act on.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
