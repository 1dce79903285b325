//! A client that hides nothing: raw sockets, and what became of the answer down to how it ended.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use codex_auth_testkit::{FakeOpenAi, LoginKnobs, Who};
use serde_json::Value;

/// Long enough for a busy machine, short enough to end a hung test.
const PATIENCE: Duration = Duration::from_secs(20);

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Cut,
    Reset,
    Silence,
}

/// An answer as far as it came; status 0 if not even a head did.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `error.code`, `error`, or `detail`: whatever names the refusal.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        let named = [&body["error"]["code"], &body["error"]["type"], &body["error"], &body["detail"]];
        named.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// A request that is being put together.
pub(crate) struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    silence: Duration,
    host: IpAddr,
}

pub(crate) fn get(path: impl Into<String>) -> Ask {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ask { method: "GET", path: path.into(), headers: Vec::new(), body: Vec::new(), silence: PATIENCE, host }
}

pub(crate) fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Ask {
    Ask { method: "POST", body: body.into(), ..get(path) }.with("content-type", "application/json")
}

pub(crate) fn form(path: &str, fields: &[(&str, &str)]) -> Ask {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Ask { method: "POST", body: body.into_bytes(), ..get(path) }
        .with("content-type", "application/x-www-form-urlencoded")
}

impl Ask {
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// Gives up after so long a silence, and calls it that.
    pub(crate) fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    pub(crate) fn at(self, host: IpAddr) -> Self {
        Self { host, ..self }
    }

    pub(crate) fn send(self, fake: &FakeOpenAi) -> Answer {
        self.send_to(fake.port())
    }

    pub(crate) fn send_to(self, port: u16) -> Answer {
        let mut stream = TcpStream::connect(SocketAddr::from((self.host, port))).unwrap();
        stream.set_read_timeout(Some(self.silence)).unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\nconnection: close\r\n\r\n", self.body.len()).unwrap();
        stream.write_all(&[head.as_bytes(), &self.body].concat()).unwrap();
        let mut raw = Vec::new();
        let end = stream.read_to_end(&mut raw);
        parse(&raw, end)
    }
}

fn parse(raw: &[u8], end: io::Result<usize>) -> Answer {
    let early = match end {
        Ok(_) => End::Cut,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
        Err(_) => End::Silence,
    };
    let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answer { status: 0, headers: Vec::new(), body: Vec::new(), end: early };
    };
    let head = String::from_utf8_lossy(&raw[..at]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into())).collect();
    let rest = &raw[at + 4..];
    let chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    let (body, whole) = if chunked {
        dechunk(rest)
    } else {
        let length = headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse().unwrap());
        (rest.to_vec(), rest.len() == length.unwrap_or(0))
    };
    Answer { status, headers, body, end: if whole { End::Complete } else { early } }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&rest[..line]), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        let data = &rest[line + 2..];
        body.extend_from_slice(&data[..size.min(data.len())]);
        rest = data.get(size + 2..).unwrap_or_default();
    }
    (body, false)
}

/// A secret out of the login document of somebody.
pub(crate) fn secret(fake: &FakeOpenAi, who: Who, key: &str) -> String {
    let document = fake.login_document(who, &LoginKnobs::default());
    document["tokens"][key].as_str().unwrap().to_owned()
}

pub(crate) fn access(fake: &FakeOpenAi, who: Who) -> String {
    secret(fake, who, "access_token")
}

pub(crate) fn refresh_of(fake: &FakeOpenAi, who: Who) -> String {
    secret(fake, who, "refresh_token")
}

/// Presents a refresh token the way the official client does.
pub(crate) fn refresh(fake: &FakeOpenAi, token: &str) -> Answer {
    let body = serde_json::json!({
        "client_id": codex_auth_testkit::CLIENT_ID, "grant_type": "refresh_token",
        "refresh_token": token, "refresh_reason": "scheduled",
    });
    post("/oauth/token", body.to_string()).send(fake)
}

/// The smallest turn a client asks for.
pub(crate) fn turn() -> Ask {
    post("/backend-api/codex/responses", TURN)
}

pub(crate) const TURN: &str = r#"{"model":"gpt-x","stream":true,"store":false,"prompt_cache_key":"thread-1","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"say hi"}]}]}"#;

/// The `type` of every event of a stream.
pub(crate) fn event_types(answer: &Answer) -> Vec<String> {
    events(answer).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

pub(crate) fn events(answer: &Answer) -> Vec<Value> {
    answer
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

pub(crate) fn start(setup: &codex_auth_testkit::Setup) -> FakeOpenAi {
    FakeOpenAi::start_blocking(setup).unwrap()
}
