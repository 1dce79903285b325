//! The body of a good answer: events with pauses between them, and how they end. What is counted here is what the
//! ledger must say.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use codex_auth_core::{Timestamp, TokenUse};
use codex_auth_proxy::StreamError;
use hyper::body::{Body, Frame};
use serde_json::json;
use tokio::time::Sleep;

use crate::{judge::Judge, world::World};

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Well,
    BreaksOff,
    FallsSilent,
    /// With the backend's own word that it failed.
    Fails(Failure),
}

/// The word with which a stream fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Server,
    Overload,
    /// The account's quota is spent until then.
    Limit(Timestamp),
    /// The vendor refuses the content.
    Policy,
}

impl Failure {
    fn code(self) -> &'static str {
        match self {
            Self::Server => "server_error",
            Self::Overload => "server_is_overloaded",
            Self::Limit(_) => "usage_limit_reached",
            Self::Policy => "cyber_policy",
        }
    }
}

/// Events with pauses between them.
pub(crate) struct Stream {
    world: Arc<World>,
    judge: Arc<Judge>,
    /// Which request, whose account, which answer.
    request: String,
    person: usize,
    response: String,
    usage: TokenUse,
    left: usize,
    how: Ends,
    is_first: bool,
    waits: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Sooner than this the agent has a stream's first event before it passes anything on; later, it has not.
const HELD_FOR: Duration = Duration::from_millis(300);

impl Stream {
    /// The answer of a person's account to a request.
    pub(crate) fn new(world: &Arc<World>, judge: &Arc<Judge>, request: String, person: usize, how: Ends) -> Self {
        let input = 30_000 + world.below(1000) as u64;
        let output = 1 + world.below(2000) as u64;
        let (cached_input, reasoning) = (input - 1000, output / 2);
        let usage = TokenUse { input, cached_input, output, reasoning };
        let fails_at_once = matches!(how, Ends::Fails(_)) && world.below(2) == 0;
        let left = if fails_at_once { 1 } else { 1 + usize::from(how != Ends::Well) + world.below(3) };
        let response = judge.answer_of(&request);
        let (world, judge) = (world.clone(), judge.clone());
        Self {
            world,
            judge,
            request,
            person,
            response,
            usage,
            left,
            how,
            is_first: true,
            waits: Duration::ZERO,
            pause: None,
        }
    }

    fn pause(&self) -> Duration {
        // Never so close to the span that the agent holds an event back that nobody can say which was first.
        let may_be_held = self.left == 1 && self.is_first;
        let (least, most) = match may_be_held {
            true if self.world.below(4) > 0 => (0, 250),
            true => (350, 6000),
            false => (0, 6000),
        };
        Duration::from_millis((least + self.world.below(most - least)) as u64)
    }

    /// The event that ends it.
    fn last(&self, waited: Duration) -> Option<Bytes> {
        match self.how {
            Ends::Well => {
                self.judge.completed(&self.request, (&self.response, self.usage));
                let TokenUse { input, cached_input, output, reasoning } = self.usage;
                let usage = json!({
                    "input_tokens": input, "input_tokens_details": { "cached_tokens": cached_input },
                    "output_tokens": output, "output_tokens_details": { "reasoning_tokens": reasoning },
                    "total_tokens": input + output,
                });
                let response = json!({ "id": self.response, "model": "gpt-5.5", "output": [], "usage": usage });
                Some(event("response.completed", &json!({ "type": "response.completed", "response": response })))
            }
            Ends::Fails(how) => {
                let is_held = self.is_first && waited < HELD_FOR;
                self.judge.failed(&self.request, (self.person, how), is_held);
                let mut error = json!({ "code": how.code(), "message": "as the vendor says it" });
                if let Failure::Limit(until) = how {
                    error["resets_at"] = until.as_secs_ceil().into();
                }
                let response = json!({ "id": self.response, "error": error, "usage": null });
                Some(event("response.failed", &json!({ "type": "response.failed", "response": response })))
            }
            Ends::BreaksOff | Ends::FallsSilent => None,
        }
    }
}

fn event(name: &str, data: &serde_json::Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

const DELTA: &[u8] =
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n";

impl Body for Stream {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if this.left == 0 {
            return match this.how {
                Ends::Well | Ends::Fails(_) => Poll::Ready(None),
                Ends::BreaksOff => {
                    this.judge.broke_off(&this.request);
                    Poll::Ready(Some(Err(StreamError::BrokeOff)))
                }
                Ends::FallsSilent => Poll::Pending,
            };
        }
        if this.pause.is_none() {
            this.waits = this.pause();
            this.pause = Some(Box::pin(tokio::time::sleep(this.waits)));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(context));
        }
        this.pause = None;
        this.left -= 1;
        let last = if this.left == 0 { this.last(this.waits) } else { None };
        this.is_first = false;
        Poll::Ready(Some(Ok(Frame::data(last.unwrap_or(Bytes::from_static(DELTA))))))
    }
}
