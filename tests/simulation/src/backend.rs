//! The backend behind the upstream port: what it answers to a request, by its books and by chance.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use codex_auth_core::Timestamp;
use codex_auth_proxy::{BodyStream, Upstream, UpstreamError};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::{
    judge::Judge,
    limits::Share,
    stream::{Ends, Failure, Stream},
    vendor::{Standing, Vendor},
    world::{Flaw, World},
};

/// Name of the header that names a request over all its attempts.
pub(crate) const REQUEST: &str = "x-simulated-request";
/// Name of the header of a request whose content the vendor refuses.
pub(crate) const FORBIDDEN: &str = "x-simulated-forbidden";

/// The code of a refusal by the vendor's policy.
pub(crate) const POLICY: &str = "cyber_policy";
/// The header by which a client names its model, and the one model that may be metered apart.
pub(crate) const HINT: &str = "x-codex-routing-hint";
pub(crate) const MODEL: &str = "gpt-5.5";

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
        let answer = self.answer(&head.headers, &access);
        self.judge.told(&head.headers, answer.status().as_u16());
        Ok(answer)
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
            let code = if status == 400 { POLICY } else { "oops" };
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
        let model = asked.get(HINT).and_then(|hint| hint.to_str().ok()).map(|_| MODEL);
        let share = self.vendor.limits().take(person, model, self.world.now());
        let until = match share {
            Share::Taken { used_percent, resets_at } => {
                self.judge.used(person, used_percent);
                return with_quota(self.good(asked, person), used_percent, resets_at);
            }
            Share::Spent { resets_at } | Share::ModelSpent { resets_at } => resets_at,
        };
        let spent =
            refusal(429, &json!({ "error": { "type": "usage_limit_reached", "resets_at": until.as_secs_ceil() } }));
        if let Share::Spent { .. } = share {
            self.judge.limited((person, None), until);
            return with_quota(spent, 100, until);
        }
        self.judge.limited((person, Some(MODEL.to_owned())), until);
        self.world.count(|tally| tally.model_limits += 1);
        let mut spent = spent;
        spent.headers_mut().insert("x-codex-active-limit", http::HeaderValue::from_static(MODEL));
        spent
    }

    /// An answer that begins well.
    fn good(&self, asked: &HeaderMap, person: usize) -> Response<BodyStream> {
        let how = match self.world.below(20) {
            0 if !self.world.is_calm() => Ends::BreaksOff,
            1 if self.world.strikes(3) => Ends::FallsSilent,
            2 | 3 if !self.world.is_calm() => Ends::Fails(self.failure(person)),
            _ => Ends::Well,
        };
        let stream = Stream::new(&self.world, &self.judge, request_of(asked), person, how);
        let mut answer = Response::new(stream.boxed_unsync());
        answer.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        answer
    }

    fn failure(&self, person: usize) -> Failure {
        match self.world.below(6) {
            0 | 1 => Failure::Server,
            2 | 3 => Failure::Overload,
            4 => {
                let until = self.world.now().after(Duration::from_mins(1));
                Failure::Limit(self.vendor.limits().tell((person, None), until))
            }
            _ => Failure::Policy,
        }
    }
}

/// Which request this is an attempt of.
pub(crate) fn request_of(headers: &HeaderMap) -> String {
    headers.get(REQUEST).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn refusal(status: u16, said: &Value) -> Response<BodyStream> {
    let body = Full::new(Bytes::from(said.to_string())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    answer
}

fn with_quota(mut answer: Response<BodyStream>, used_percent: u32, resets_at: Timestamp) -> Response<BodyStream> {
    let said = [
        ("x-codex-primary-used-percent", i64::from(used_percent)),
        ("x-codex-primary-window-minutes", 300),
        ("x-codex-primary-reset-at", resets_at.as_secs_ceil()),
    ];
    for (name, value) in said {
        answer.headers_mut().insert(name, value.into());
    }
    answer
}
