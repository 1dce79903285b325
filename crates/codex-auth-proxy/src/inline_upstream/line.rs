//! One connection to the backend: it moves only while its holder polls it, so nothing is handed from task to task, and
//! what was read lies in one place until the body is taken out of it.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, buf::Chain};
use http::{HeaderValue, Request};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    framing::{Framing, Malformed},
    head::{Head, of_request},
};
use crate::{body::StreamError, upstream::UpstreamError};

/// Bytes read at a time; the head of an answer must fit. Four times as much gained nothing when measured.
const BUFFER: usize = 16 * 1024;

/// A connection.
pub(super) struct Line {
    stream: TcpStream,
    /// What was read and not yet understood stands between the two places.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// What is still to be sent of a request.
    unsent: Option<Chain<Bytes, Bytes>>,
    /// Whether it serves again after this exchange.
    keeps_alive: bool,
}

/// Why an exchange brought no answer.
pub(super) enum Failed {
    /// Nothing of the request was sent; here it is again.
    Unsent(Box<Request<Bytes>>, String),
    /// The connection broke with the request under way.
    Broken(String),
}

impl Line {
    /// Connects to `host:port`.
    pub(super) async fn connect(address: &str) -> Result<Self, UpstreamError> {
        let stream = TcpStream::connect(address).await.map_err(|error| UpstreamError::Unsent(error.to_string()))?;
        // Lone events must not wait for an acknowledgement; failing to say so costs time, not correctness.
        let _unsupported = stream.set_nodelay(true);
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Ok(Self { stream, buffer, start: 0, end: 0, unsent: None, keeps_alive: true })
    }

    /// Sends a request and returns as soon as the head of the answer is there.
    pub(super) async fn exchange(&mut self, request: Request<Bytes>, host: &HeaderValue) -> Result<Head, Failed> {
        let (head, method) = (Bytes::from(of_request(&request, host)), request.method().clone());
        self.unsent = Some(head.chain(request.body().clone()));
        let length = self.left();
        let answered = poll_fn(|context| {
            if let Poll::Ready(Err(error)) = self.poll_send(context)
                && self.left() == length
            {
                return Poll::Ready(Err((true, error.to_string())));
            }
            // A peer that closes its side may have answered all the same.
            self.poll_head(&method, context).map_err(|why| (false, why))
        });
        match answered.await {
            Ok(head) => {
                self.keeps_alive = head.keeps_alive;
                Ok(head)
            }
            Err((true, why)) => Err(Failed::Unsent(Box::new(request), why)),
            Err((false, why)) => Err(Failed::Broken(why)),
        }
    }

    /// Takes what comes next of the body; nothing where it is over. The request goes on being sent meanwhile: a peer
    /// may answer while it still reads.
    pub(super) fn poll_body(
        &mut self,
        framing: &mut Framing,
        context: &mut Context<'_>,
    ) -> Poll<Result<Bytes, StreamError>> {
        if self.poll_send(context).is_ready() && self.unsent.take().is_some() {
            self.keeps_alive = false;
        }
        loop {
            if framing.is_over() {
                return Poll::Ready(Ok(Bytes::new()));
            }
            match self.take(framing) {
                Ok(body) if body.is_empty() => {}
                Ok(body) => return Poll::Ready(Ok(body.into())),
                Err(error) => return Poll::Ready(Err(broke_off(&error))),
            }
            match ready!(self.poll_read(context)) {
                Ok(0) if *framing == Framing::UntilClose => *framing = Framing::Length(0),
                Ok(0) => return Poll::Ready(Err(broke_off(&Malformed("the connection was closed")))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(broke_off(&error))),
            }
        }
    }

    /// Whether it is open and done with its last exchange: a peer that says something now says it to nobody.
    pub(super) fn is_free(&mut self) -> bool {
        let is_done = self.keeps_alive && self.unsent.is_none() && self.start == self.end;
        is_done && self.stream.try_read(&mut self.buffer).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn left(&self) -> usize {
        self.unsent.as_ref().map_or(0, Buf::remaining)
    }

    /// Sends what is left; ready with nothing left, or when it cannot be sent.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(unsent) = &mut self.unsent {
            let mut parts = [IoSlice::new(&[]); 2];
            let count = unsent.chunks_vectored(&mut parts);
            match ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &parts[..count]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => unsent.advance(sent),
            }
            if !unsent.has_remaining() {
                self.unsent = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_head(&mut self, method: &http::Method, context: &mut Context<'_>) -> Poll<Result<Head, String>> {
        loop {
            match Head::read(&self.buffer[self.start..self.end], method) {
                Ok(Some((head, used))) => {
                    self.start += used;
                    return Poll::Ready(Ok(head));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.to_string())),
            }
            match ready!(self.poll_read(context)) {
                Ok(0) => return Poll::Ready(Err("the connection was closed".to_owned())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error.to_string())),
            }
        }
    }

    fn take(&mut self, framing: &mut Framing) -> Result<Vec<u8>, Malformed> {
        let at_hand = &self.buffer[self.start..self.end];
        let mut body = Vec::with_capacity(at_hand.len());
        self.start += framing.take(at_hand, &mut body)?;
        Ok(body)
    }

    /// Reads more behind what there is; none means that the peer has closed.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Poll::Ready(Err(io::Error::other("the head of its answer is too long")));
        }
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
        let count = room.filled().len();
        self.end += count;
        Poll::Ready(Ok(count))
    }
}

fn broke_off(error: &dyn std::error::Error) -> StreamError {
    tracing::debug!(%error, "a stream of the backend broke off");
    StreamError::BrokeOff
}
