//! A response body that moves its own connection and hands ready bytes on together, up to [`ENOUGH`], never waiting
//! for more: a lone event passes at once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    idle::Idle,
    line::{Line, quiet},
};
use crate::body::StreamError;

/// How much is handed on at a time; four times as much gained nothing when measured.
const ENOUGH: usize = 16 * 1024;

/// The body of one response. It parks its connection when it was read to its end, and closes it when not.
pub(super) struct Gather {
    body: Incoming,
    /// The connection; `None` once the body has ended.
    line: Option<Line>,
    idle: Arc<Idle>,
    /// What came after bytes that were handed on first.
    next: Option<Result<Frame<Bytes>, StreamError>>,
}

/// What is ready now.
enum Ready {
    Data(Bytes),
    Other(Result<Frame<Bytes>, StreamError>),
    End,
    NotYet,
}

/// How hard a look at the body is.
#[derive(Clone, Copy)]
enum Look {
    AtHand,
    Moved,
    Waiting,
}

impl Gather {
    /// The body that comes over this connection.
    pub(super) fn new(body: Incoming, line: Line, idle: Arc<Idle>) -> Self {
        Self { body, line: Some(line), idle, next: None }
    }

    /// The next frame as it came. When nothing is ready, the socket will wake us.
    fn poll_one(&mut self, context: &mut Context<'_>) -> Ready {
        // First what is there, then what the socket holds, then once more with the promise to be woken.
        for look in [Look::AtHand, Look::Moved, Look::Waiting] {
            match (look, &mut self.line) {
                (Look::AtHand, _) => {}
                (Look::Moved, Some(line)) => line.settle(),
                (Look::Waiting, Some(line)) => line.drive(context),
                (Look::Moved | Look::Waiting, None) => return Ready::End,
            }
            match Pin::new(&mut self.body).poll_frame(&mut quiet()) {
                Poll::Ready(Some(Ok(frame))) => {
                    return frame.into_data().map_or_else(|other| Ready::Other(Ok(other)), Ready::Data);
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "a stream of the backend broke off");
                    self.line = None;
                    return Ready::Other(Err(StreamError::BrokeOff));
                }
                Poll::Ready(None) => return Ready::End,
                Poll::Pending => {}
            }
        }
        Ready::NotYet
    }

    /// Keeps the connection for the next request, now that its exchange is over.
    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            self.idle.park(line);
        }
    }
}

impl Body for Gather {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if let Some(next) = this.next.take() {
            return Poll::Ready(Some(next));
        }
        let mut gathered = Gathered::Nothing;
        loop {
            match this.poll_one(context) {
                Ready::Data(data) => {
                    gathered = gathered.and(data);
                    if this.body.is_end_stream() {
                        this.end();
                        break;
                    }
                    if gathered.len() >= ENOUGH {
                        break;
                    }
                }
                Ready::Other(other) if gathered.is_nothing() => return Poll::Ready(Some(other)),
                Ready::Other(other) => {
                    this.next = Some(other);
                    break;
                }
                Ready::End => {
                    this.end();
                    break;
                }
                Ready::NotYet if gathered.is_nothing() => return Poll::Pending,
                Ready::NotYet => break,
            }
        }
        Poll::Ready(gathered.into_bytes().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.line.is_none() && self.next.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes on their way out; the first piece is passed on as it is when it stays alone.
enum Gathered {
    Nothing,
    One(Bytes),
    Several(BytesMut),
}

impl Gathered {
    fn and(self, data: Bytes) -> Self {
        match self {
            Self::Nothing => Self::One(data),
            Self::One(first) => {
                let mut several = BytesMut::with_capacity(ENOUGH.max(first.len() + data.len()));
                several.extend_from_slice(&first);
                several.extend_from_slice(&data);
                Self::Several(several)
            }
            Self::Several(mut several) => {
                several.extend_from_slice(&data);
                Self::Several(several)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(one) => one.len(),
            Self::Several(several) => several.len(),
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Nothing => None,
            Self::One(one) => Some(one),
            Self::Several(several) => Some(several.freeze()),
        }
    }
}
