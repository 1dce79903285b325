//! HTTP requests and bound ports from inside a world, made by a small program of ours.

use std::time::Duration;

use serde_json::{Value, json};

use crate::codex;
use crate::namespace::Namespace;
use crate::process::Running;

/// Longest span a probe may take: a large body through a slow debug build included.
const LIMIT: Duration = Duration::from_mins(1);

/// One HTTP request to a loopback port.
#[derive(Debug, Clone)]
pub struct Request(Value);

/// What a request was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status; 0 where the other side closed without a word.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Value,
    /// The whole body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

impl Request {
    /// A request without headers of its own and without a body.
    #[must_use]
    pub fn new(method: &str, port: u16, path: &str) -> Self {
        Self(json!({ "act": "exchange", "method": method, "port": port, "path": path, "headers": {} }))
    }

    /// With a header; `host` and `content-length` replace the usual ones.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0["headers"][name] = value.into();
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.0["body"] = body.to_string().into();
        self.header("content-type", "application/json")
    }

    /// With this many bytes of padding after the body.
    #[must_use]
    pub fn fill(mut self, bytes: usize) -> Self {
        self.0["fill"] = bytes.into();
        self
    }

    /// Makes the request inside `namespace`.
    #[track_caller]
    pub fn send(&self, namespace: &Namespace) -> Answer {
        let answer = ask(namespace, &self.0);
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Answer {
            status: status.expect("the probe reports a status"),
            headers: answer["headers"].clone(),
            body: answer["body"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

/// Tries for a while to listen on a port inside `namespace`; true when it could be taken.
#[track_caller]
#[must_use]
pub fn can_bind(namespace: &Namespace, port: u16, span: Duration) -> bool {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    ask(namespace, &json!({ "act": "bind", "port": port, "millis": millis }))["bound"] == true
}

#[track_caller]
fn ask(namespace: &Namespace, order: &Value) -> Value {
    let mut command = namespace.command(codex::program("codex-auth-e2e-probe"));
    command.env_clear();
    let probe = Running::start(command, "probe".to_owned(), order.to_string().as_bytes());
    let done = probe.wait(LIMIT).succeeds();
    serde_json::from_str(&done.stdout).expect("the probe answers JSON")
}
