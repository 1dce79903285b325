//! Bytes to the client. From the first one on there is no second attempt: a broken upstream breaks the connection,
//! and the client, which knows what it has shown, repeats the request itself.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use codex_auth_core::{Finish, Outcome};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::{
    attempt::Attempt,
    begun::Begun,
    body::{BodyStream, StreamError},
};

/// An upstream body on its way to the client, with the attempt it belongs to.
#[derive(Debug)]
struct Relay {
    begun: Begun,
    attempt: Option<Attempt>,
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// Passes a body on; silence longer than `silence` breaks it off. The attempt is settled when the body ends.
pub(crate) fn relay(begun: Begun, attempt: Option<Attempt>, silence: Duration) -> BodyStream {
    let mut relay = Relay { begun, attempt, silence, deadline: Box::pin(sleep(silence)) };
    let is_over = relay.begun.is_over();
    if is_over || relay.begun.seen().is_over() {
        relay.complete();
    }
    relay.boxed_unsync()
}

/// Passes on a body that belongs to no attempt; silence longer than `silence` breaks it off.
pub(crate) fn bounded(upstream: BodyStream, silence: Duration) -> BodyStream {
    relay(Begun::unseen(upstream), None, silence)
}

impl Relay {
    /// The answer is complete, or said in its last event what it came to.
    fn complete(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.complete(&mut self.begun);
        }
    }

    fn end(&mut self, outcome: &Outcome, finish: Finish) {
        let Some(attempt) = self.attempt.take() else { return };
        let (ending, last_words) = self.begun.ending(attempt.status(), finish);
        attempt.end(outcome, ending, last_words);
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        match this.begun.poll(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let next = deadline_after(this.silence);
                this.deadline.as_mut().reset(next);
                // A client may leave after the terminal event. A body of known length says so with its last frame
                // and is not asked again.
                if this.begun.seen().is_over() || this.begun.is_over() {
                    this.complete();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.end(&Outcome::NetworkFault, Finish::BrokeOff);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                this.complete();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.deadline.as_mut().poll(context));
                this.end(&Outcome::Stalled, Finish::BrokeOff);
                Poll::Ready(Some(Err(StreamError::Silent)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.begun.size_hint()
    }
}

/// Counts in tokio's own monotonic clock, which tests can pause.
fn deadline_after(span: Duration) -> Instant {
    Instant::now() + span
}
