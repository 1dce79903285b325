//! Owns the issuer of a case: its scripted answers, and what it was asked when.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use codex_auth_oauth::{HttpClient, HttpError};
use http::{Request, Response};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// Answers by the path it is asked at; a list of answers repeats its last.
#[derive(Default)]
pub(crate) struct Issuer(Mutex<Desk>);

#[derive(Default)]
struct Desk {
    scripts: Vec<Script>,
    asked: Vec<(Instant, Request<Vec<u8>>)>,
}

struct Script {
    path: &'static str,
    answers: Vec<Value>,
    next: usize,
}

impl Issuer {
    /// Lays down what is answered at a path.
    pub(crate) fn answering(self, path: &'static str, answers: Vec<Value>) -> Self {
        self.lock().scripts.push(Script { path, answers, next: 0 });
        self
    }

    pub(crate) fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// Every request so far, with the header members spelt as in the vectors.
    pub(crate) fn requests(&self, member: impl Fn(&Request<Vec<u8>>) -> Value) -> Value {
        self.lock().asked.iter().map(|(_, request)| member(request)).collect()
    }

    /// The pauses between one question at this path and the next, in milliseconds.
    pub(crate) fn pauses(&self, path: &str) -> Vec<u64> {
        let desk = self.lock();
        let times: Vec<Instant> =
            desk.asked.iter().filter(|(_, request)| request.uri().path() == path).map(|(at, _)| *at).collect();
        let pause = |pair: &[Instant]| u64::try_from((pair[1] - pair[0]).as_millis()).unwrap_or(u64::MAX);
        times.windows(2).map(pause).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Issuer")
    }
}

#[async_trait]
impl HttpClient for Issuer {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let answer = {
            let mut desk = self.lock();
            let path = request.uri().path().to_owned();
            desk.asked.push((Instant::now(), request));
            let script = desk.scripts.iter_mut().find(|script| script.path == path);
            let script = script.ok_or_else(|| HttpError::Unsent { why: format!("nothing is scripted at {path}") })?;
            let answer = script.answers.get(script.next).or(script.answers.last()).cloned();
            script.next += 1;
            answer.unwrap_or_default()
        };
        if answer == "never" {
            return std::future::pending().await;
        }
        if let Some(why) = answer.get("throw") {
            return Err(HttpError::BrokeOff { why: why.to_string() });
        }
        let status = answer.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        let body = match answer.get("body") {
            Some(Value::String(text)) => text.clone(),
            Some(body) => body.to_string(),
            None => String::new(),
        };
        Ok(Response::builder().status(status.unwrap_or(200)).body(body.into_bytes()).expect("a good status"))
    }
}

/// A request as the vectors show it; `more` members come after.
pub(crate) fn shown(request: &Request<Vec<u8>>, more: &[(&str, Value)]) -> Value {
    let spelt = |name: &str| match name {
        "content-type" => "Content-Type".to_owned(),
        "user-agent" => "User-Agent".to_owned(),
        other => other.to_owned(),
    };
    let headers: Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (spelt(name.as_str()), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let mut shown = json!({
        "url": request.uri().to_string(), "headers": headers, "body": String::from_utf8_lossy(request.body()),
    });
    for (key, value) in more {
        shown[*key] = value.clone();
    }
    shown
}
