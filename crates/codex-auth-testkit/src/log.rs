//! Owns the record of every request: typed, in order, as JSON lines too, and without a single token.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Write as _;

use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use crate::grants::{Bearer, Verdict};
use crate::jwt::CANARY_MARK;
use crate::people::Who;
use crate::route::Route;

/// One request and, once it ended, what it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Counts from 1 over the life of the fake.
    pub serial: u64,
    /// Arrival of the whole request, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// Method, path and what they mean.
    #[serde(flatten)]
    pub asked: Asked,
    /// Who asked.
    #[serde(flatten)]
    pub caller: Caller,
    /// Its header lines.
    #[serde(flatten)]
    pub headers: Headers,
    /// What its body said.
    pub body: Body,
    /// How it ended; none while it is under way.
    pub answer: Option<Answer>,
}

/// Method, path and what they mean.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// HTTP method.
    pub method: String,
    /// Path without query.
    pub path: String,
    /// What the path means here.
    pub route: Route,
    /// Names of the query parameters; their values may be secret.
    pub query_keys: Vec<String>,
}

/// Who asked, as far as the bearer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Whose bearer it is.
    pub account: Option<Who>,
    /// What the bearer is.
    pub bearer: Bearer,
}

/// Names of all header lines, and the values of those that never carry a secret.
#[derive(Clone, Debug, Serialize)]
pub struct Headers {
    /// Lower-case names in order of arrival.
    pub header_names: Vec<String>,
    /// Values of harmless headers.
    #[serde(rename = "headers")]
    pub safe: BTreeMap<String, String>,
}

/// What a body said.
#[derive(Clone, Debug, Serialize)]
pub struct Body {
    /// Size on the wire.
    pub bytes: usize,
    /// Hex SHA-256 of the bytes on the wire; none for requests that may carry a token.
    pub sha256: Option<String>,
    /// At a model route.
    pub turn: Option<TurnNote>,
    /// At the token and revoke endpoints.
    pub presented: Option<Presented>,
}

/// What a turn asked for, by measure rather than by word.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TurnNote {
    /// `model`.
    pub model: Option<String>,
    /// `stream`.
    pub stream: bool,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// Number of items in `input`.
    pub input_items: usize,
    /// Characters of all text in `input`.
    pub prompt_chars: usize,
    /// Items that carry `encrypted_content`.
    pub encrypted_items: usize,
    /// Names of the top-level keys, in order.
    pub keys: Vec<String>,
}

/// A grant as it was presented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Presented {
    /// `grant_type`, or `revoke`.
    pub grant_type: String,
    /// `refresh_reason`, where the client sends one.
    pub refresh_reason: Option<String>,
    /// Whose token or code it is.
    pub account: Option<Who>,
    /// First 12 hex digits of the SHA-256 of the token or code.
    pub token: Option<String>,
    /// What presenting it means; judged before any fault strikes.
    pub verdict: Verdict,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// HTTP status; none if not even a head was sent.
    pub status: Option<u16>,
    /// How the answer ended.
    pub ending: Ending,
    /// Bytes of body handed to the connection.
    pub body_bytes: usize,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Whole.
    Complete,
    /// Closed by a fault, before or after the head.
    Cut,
    /// Reset by a fault.
    Reset,
    /// The client went away.
    ClientLeft,
}

/// All records since the last reset, and the file they are copied to.
#[derive(Debug, Default)]
pub(crate) struct Log {
    records: VecDeque<Record>,
    serial: u64,
    file: Option<File>,
}

impl Log {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { file, ..Self::default() }
    }

    /// The records in order, the oldest beyond [`KEPT`] forgotten.
    pub(crate) fn records(&self) -> &VecDeque<Record> {
        &self.records
    }

    pub(crate) fn reset(&mut self) {
        self.records.clear();
    }

    /// Writes a request down and numbers it.
    pub(crate) fn arrived(&mut self, mut record: Record) -> u64 {
        self.serial += 1;
        record.serial = self.serial;
        self.line("request", serde_json::to_value(&record).unwrap_or_default());
        if self.records.len() == KEPT {
            self.records.pop_front();
        }
        self.records.push_back(record);
        self.serial
    }

    /// Writes down how a request ended.
    pub(crate) fn ended(&mut self, serial: u64, answer: Answer) {
        let value = json!({ "serial": serial, "answer": answer });
        self.line("answer", value);
        let first = self.records.front().map_or(u64::MAX, |record| record.serial);
        let place = serial.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(record) = place.and_then(|place| self.records.get_mut(place)) {
            record.answer = Some(answer);
        }
    }

    fn line(&mut self, event: &str, mut value: Value) {
        let Some(file) = &mut self.file else { return };
        value["event"] = event.into();
        // A full disk must not change what the client under test sees.
        let _ = writeln!(file, "{value}");
    }
}

impl Headers {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let header_names = headers.iter().map(|(name, _)| name.as_str().to_owned()).collect();
        let harmless = headers.iter().filter(|(name, _)| SAFE_HEADERS.contains(&name.as_str()));
        let safe = harmless
            .map(|(name, value)| (name.as_str().to_owned(), shown(&String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        Self { header_names, safe }
    }
}

/// A text as the log may show it: whatever could be a token is withheld.
pub(crate) fn shown(text: &str) -> String {
    if text.contains(CANARY_MARK) || text.contains("eyJ") { "[withheld]".to_owned() } else { text.to_owned() }
}

/// How many records are kept in memory; the file keeps all.
const KEPT: usize = 50_000;

const SAFE_HEADERS: [&str; 28] = [
    "accept",
    "chatgpt-account-id",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "conversation_id",
    "host",
    "openai-beta",
    "origin",
    "originator",
    "session-id",
    "session_id",
    "thread-id",
    "thread_id",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "version",
    "x-client-request-id",
    "x-codex-beta-features",
    "x-codex-routing-hint",
    "x-codex-turn-state",
    "x-codex-window-id",
    "x-openai-account-routing-override",
    "x-openai-fedramp",
    "x-openai-internal-codex-responses-lite",
    "x-session-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_unlisted_headers_stay_out() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", http::HeaderValue::from_static("Bearer x"));
        headers.insert("originator", http::HeaderValue::from_static("codex_exec"));
        headers.insert("session-id", http::HeaderValue::from_static("CANARY-1"));
        let seen = Headers::of(&headers);
        assert_eq!(seen.header_names, ["authorization", "originator", "session-id"]);
        let safe: Vec<_> = seen.safe.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(safe, [("originator", "codex_exec"), ("session-id", "[withheld]")]);
    }
}
