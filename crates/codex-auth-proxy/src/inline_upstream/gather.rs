//! A response body that moves its own connection and hands ready bytes on together, one reading's worth at most, never
//! waiting for more: a lone event passes at once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::{framing::Framing, idle::Idle, line::Line};
use crate::body::StreamError;

/// The body of one response. It parks its connection when it was read to its end, and closes it when not.
pub(super) struct Gather {
    framing: Framing,
    /// The connection; `None` once the body has ended.
    line: Option<Line>,
    idle: Arc<Idle>,
}

impl Gather {
    /// The body that comes over this connection.
    pub(super) fn new(framing: Framing, line: Line, idle: Arc<Idle>) -> Self {
        Self { framing, line: Some(line), idle }
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
        let Some(line) = &mut this.line else { return Poll::Ready(None) };
        let taken = ready!(line.poll_body(&mut this.framing, context));
        if taken.is_err() {
            this.line = None;
        } else if this.framing.is_over() {
            // The connection is kept for the next request, now that its exchange is over.
            this.line.take().into_iter().for_each(|line| this.idle.park(line));
        }
        let taken = taken.map(|bytes| (!bytes.is_empty()).then(|| Frame::data(bytes)));
        Poll::Ready(taken.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.line.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            Framing::Chunked(_) | Framing::UntilClose => SizeHint::default(),
        }
    }
}
