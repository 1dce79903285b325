//! Owns how an answer reaches the wire, and every way it can fail to: late, held, cut, stalled, reset.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::fault::Act;
use crate::line::Line;
use crate::log::{Answer, Ending};
use crate::reply::{Content, Reply, sse};
use crate::world::Shared;

/// A connection that is to end without (the rest of) an answer.
#[derive(Debug, thiserror::Error)]
#[error("the fake closes this connection on purpose")]
pub(crate) struct Closed;

/// The body of an answer.
pub(crate) enum ReplyBody {
    Whole(Full<Bytes>),
    Pieces(mpsc::Receiver<Result<Bytes, Closed>>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        match self.get_mut() {
            Self::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never: Infallible| match never {}),
            Self::Pieces(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(full) => full.is_end_stream(),
            Self::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(full) => full.size_hint(),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// How a body stops before its end.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Stall,
    Cut,
    Reset,
}

/// What a fault makes of the delivery.
#[derive(Debug, Default)]
struct Plan {
    hold_after: Option<usize>,
    stop: Option<(usize, Stop)>,
}

/// The request an answer belongs to.
#[derive(Clone)]
pub(crate) struct Asker {
    pub shared: Arc<Shared>,
    pub line: Line,
    pub serial: u64,
}

impl Asker {
    fn ended(&self, status: Option<StatusCode>, ending: Ending, body_bytes: usize) {
        let answer = Answer { status: status.map(|status| status.as_u16()), ending, body_bytes };
        self.shared.change(|world| world.log.ended(self.serial, answer));
    }

    /// Closes the connection without a head.
    pub(crate) fn close(&self) -> Closed {
        self.ended(None, Ending::Cut, 0);
        Closed
    }

    /// Resets the connection without a head.
    pub(crate) fn reset(&self) -> Closed {
        self.line.reset_on_close();
        self.ended(None, Ending::Reset, 0);
        Closed
    }
}

/// Sends an answer, as the fault has it.
pub(crate) async fn deliver(asker: Asker, reply: Reply, act: Option<Act>) -> Result<Response<ReplyBody>, Closed> {
    let mut plan = Plan::default();
    let mut reply = reply;
    let is_stream = matches!(reply.content, Content::Events { .. });
    // An answer that is no stream is held whole.
    let act = act.map(|act| if matches!(act, Act::Hold { .. }) && !is_stream { Act::HoldBeforeHeaders } else { act });
    match act {
        Some(Act::LoseAnswer | Act::DropBeforeHeaders) => return Err(asker.close()),
        Some(Act::Reset) => return Err(asker.reset()),
        Some(Act::Hang) => {
            let _left = Leaving::new(&asker);
            std::future::pending::<()>().await;
        }
        Some(Act::HoldBeforeHeaders) => {
            let left = Leaving::new(&asker);
            asker.shared.hold().await;
            left.stayed();
        }
        Some(Act::Delay { ms }) => {
            let left = Leaving::new(&asker);
            tokio::time::sleep(Duration::from_millis(ms)).await;
            left.stayed();
        }
        Some(Act::Hold { after_events }) => plan.hold_after = Some(after_events),
        Some(Act::StallAfter { bytes }) => plan.stop = Some((bytes, Stop::Stall)),
        Some(Act::CutAfter { bytes }) => plan.stop = Some((bytes, Stop::Cut)),
        Some(Act::ResetAfter { bytes }) => plan.stop = Some((bytes, Stop::Reset)),
        Some(Act::EndWith { after_events, event }) => end_with(&mut reply, after_events, &sse(&event)),
        // These changed the reply where it was made.
        Some(Act::Answer { .. } | Act::Unauthorized(_) | Act::Pace { .. } | Act::MalformedTokens(_)) | None => {}
    }
    Ok(send(asker, reply, plan))
}

fn end_with(reply: &mut Reply, after_events: usize, last: &Bytes) {
    if let Content::Events { events, .. } = &mut reply.content {
        events.truncate(after_events);
        events.push(last.clone());
    }
}

fn send(asker: Asker, reply: Reply, plan: Plan) -> Response<ReplyBody> {
    let Reply { status, headers, content } = reply;
    let (pieces, gap_ms) = match content {
        Content::Whole(body) if plan.stop.is_none() => {
            asker.ended(Some(status), Ending::Complete, body.len());
            return head(status, headers, ReplyBody::Whole(Full::new(body)));
        }
        Content::Whole(body) => (vec![body], 0),
        Content::Events { events, gap_ms } => (events, gap_ms),
    };
    let (sender, receiver) = mpsc::channel(64);
    tokio::spawn(stream(asker, Pieces { status, bytes: pieces, gap: Duration::from_millis(gap_ms), plan }, sender));
    head(status, headers, ReplyBody::Pieces(receiver))
}

fn head(status: StatusCode, headers: Vec<(String, String)>, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        let named = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        // Framing is hyper's; a scripted header that is no header is left out.
        if let Some((name, value)) = named.filter(|(name, _)| *name != header::TRANSFER_ENCODING) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

struct Pieces {
    status: StatusCode,
    bytes: Vec<Bytes>,
    gap: Duration,
    plan: Plan,
}

async fn stream(asker: Asker, pieces: Pieces, sender: mpsc::Sender<Result<Bytes, Closed>>) {
    let status = Some(pieces.status);
    let mut sent = 0;
    let last = pieces.bytes.len().saturating_sub(1);
    for (number, piece) in pieces.bytes.into_iter().enumerate() {
        if pieces.plan.hold_after == Some(number) {
            tokio::select! {
                () = asker.shared.hold() => {}
                () = sender.closed() => return asker.ended(status, Ending::ClientLeft, sent),
            }
        }
        let room = pieces.plan.stop.map_or(usize::MAX, |(limit, _)| limit - sent);
        let piece = if piece.len() > room { piece.slice(..room) } else { piece };
        let full = piece.len() == room;
        sent += piece.len();
        if !piece.is_empty() && sender.send(Ok(piece)).await.is_err() {
            return asker.ended(status, Ending::ClientLeft, sent);
        }
        if let Some((_, stop)) = pieces.plan.stop.filter(|_| full) {
            return cease(&asker, stop, &sender, status, sent).await;
        }
        if !pieces.gap.is_zero() && number != last {
            tokio::select! {
                () = tokio::time::sleep(pieces.gap) => {}
                () = sender.closed() => return asker.ended(status, Ending::ClientLeft, sent),
            }
        }
    }
    asker.ended(status, Ending::Complete, sent);
}

async fn cease(
    asker: &Asker,
    stop: Stop,
    sender: &mpsc::Sender<Result<Bytes, Closed>>,
    status: Option<StatusCode>,
    sent: usize,
) {
    match stop {
        Stop::Stall => {
            sender.closed().await;
            asker.ended(status, Ending::ClientLeft, sent);
        }
        Stop::Cut | Stop::Reset => {
            // Everything before the cut has to reach the wire first: hyper drops what it still holds on an error.
            let _ = sender.reserve_many(sender.max_capacity()).await.map(drop);
            asker.line.flushed().await;
            let ending = if matches!(stop, Stop::Reset) { Ending::Reset } else { Ending::Cut };
            if matches!(stop, Stop::Reset) {
                asker.line.reset_on_close();
            }
            asker.ended(status, ending, sent);
            let _ = sender.send(Err(Closed)).await;
        }
    }
}

/// Notes that the client left, should the waiting for an answer be dropped half way.
struct Leaving<'a> {
    asker: &'a Asker,
    left: bool,
}

impl<'a> Leaving<'a> {
    fn new(asker: &'a Asker) -> Self {
        Self { asker, left: true }
    }

    fn stayed(mut self) {
        self.left = false;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.left {
            self.asker.ended(None, Ending::ClientLeft, 0);
        }
    }
}
