//! The backend behind the upstream port: heads and bodies as the vendor sends them, late, broken off, or silent.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use codex_auth_core::Timestamp;
use codex_auth_proxy::{BodyStream, StreamError, Upstream, UpstreamError};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::time::Sleep;

use crate::{
    judge::Judge,
    vendor::{Left, Standing, Vendor},
    world::{Flaw, World},
};

/// Name of the header that names a request over all its attempts.
pub(crate) const REQUEST: &str = "x-simulated-request";
/// Name of the header of a request whose content the vendor refuses.
pub(crate) const FORBIDDEN: &str = "x-simulated-forbidden";

/// The backend as one agent reaches it.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) world: Arc<World>,
    pub(crate) vendor: Arc<Vendor>,
    pub(crate) judge: Arc<Judge>,
}

#[async_trait]
impl Upstream for Backend {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<BodyStream>, UpstreamError> {
        let (head, _) = request.into_parts();
        let access =
            head.headers[http::header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
        self.judge.asked(&head.headers, &access, self.vendor.person(&access));
        self.world.a_while(Duration::from_secs(2)).await;
        if self.world.strikes(50) {
            return Err(UpstreamError::Unsent("connection refused".into()));
        }
        if self.world.strikes(50) {
            return Err(UpstreamError::Broken("reset".into()));
        }
        Ok(self.answer(&head.headers, &access))
    }
}

impl Backend {
    fn answer(&self, asked: &HeaderMap, access: &str) -> Response<BodyStream> {
        let error = |code: &str| json!({ "error": { "code": code, "message": "as the vendor says it" } });
        let person = match self.vendor.standing(access) {
            Standing::Ended => return refusal(401, &error("token_expired")),
            Standing::SignedOut => {
                self.judge.signed_out(asked, access);
                return refusal(401, &error("token_invalidated"));
            }
            Standing::Good(person) => person,
        };
        if self.vendor.is_failing() {
            return refusal(503, &error("server_is_overloaded"));
        }
        if asked.contains_key(FORBIDDEN) {
            self.judge.forbidden(asked);
            let status = if self.world.flaw == Flaw::PolicyAsFault { 503 } else { 400 };
            let code = if status == 400 { "cyber_policy" } else { "oops" };
            return refusal(status, &error(code));
        }
        if self.world.strikes(80) {
            return refusal(401, &error("token_expired"));
        }
        if self.world.strikes(300) {
            return refusal(402, &json!({ "detail": { "code": "deactivated_workspace" } }));
        }
        if self.world.strikes(60) {
            return refusal(404, &error("not_found"));
        }
        let left = self.vendor.take(person);
        if left.is_spent {
            self.judge.limited(person, left.resets_at);
            let said =
                json!({ "error": { "type": "usage_limit_reached", "resets_at": left.resets_at.as_secs_ceil() } });
            return with_quota(refusal(429, &said), left);
        }
        let how = match self.world.below(20) {
            0 if !self.world.is_calm() => Ends::BreaksOff,
            1 if self.world.strikes(3) => Ends::FallsSilent,
            _ => Ends::Well,
        };
        let events = 1 + self.world.below(3);
        let stream = Stream { world: self.world.clone(), left: events, how, pause: None };
        let mut answer = Response::new(stream.boxed_unsync());
        answer.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        with_quota(answer, left)
    }
}

fn refusal(status: u16, said: &Value) -> Response<BodyStream> {
    let body = Full::new(Bytes::from(said.to_string())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}

fn with_quota(mut answer: Response<BodyStream>, left: Left) -> Response<BodyStream> {
    let said = [
        ("x-codex-primary-used-percent", i64::from(left.used_percent)),
        ("x-codex-primary-window-minutes", 300),
        ("x-codex-primary-reset-at", whole_seconds(left.resets_at)),
    ];
    for (name, value) in said {
        answer.headers_mut().insert(name, value.into());
    }
    answer
}

fn whole_seconds(at: Timestamp) -> i64 {
    at.as_secs_ceil()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    BreaksOff,
    FallsSilent,
}

/// Events with pauses between them.
struct Stream {
    world: Arc<World>,
    left: usize,
    how: Ends,
    pause: Option<Pin<Box<Sleep>>>,
}

const DELTA: &[u8] =
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n";
const COMPLETED: &[u8] = b"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":\
{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":60},\"output_tokens\":20,\"output_tokens_details\":\
{\"reasoning_tokens\":5},\"total_tokens\":120}}}\n\n";

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
                Ends::Well => Poll::Ready(None),
                Ends::BreaksOff => Poll::Ready(Some(Err(StreamError::BrokeOff))),
                Ends::FallsSilent => Poll::Pending,
            };
        }
        let pause = this.pause.get_or_insert_with(|| {
            let millis = this.world.below(6000) as u64;
            Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
        });
        ready!(pause.as_mut().poll(context));
        this.pause = None;
        this.left -= 1;
        let is_last = this.left == 0 && this.how == Ends::Well;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(if is_last { COMPLETED } else { DELTA })))))
    }
}
