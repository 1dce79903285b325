//! Owns one attempt's row. Its version is 2, which the predecessor passes over: what it counts is requests, as we do.

use codex_auth_core::{Timestamp, UsageOutcome};
use serde::Serialize;
use serde_json::Value;

use super::row::{AccountMark, Tokens, put, read, status};
use crate::json;

const KIND: &str = "attempt";

/// One attempt with one account; in no sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The request it was made for.
    pub request_id: String,
    /// Which of its attempts, from 1.
    pub number: u64,
    /// When it ended.
    pub created_at: Timestamp,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// With which account.
    pub account: Option<AccountMark>,
    /// For which model, where the request asked for more than one.
    pub model: Option<String>,
    /// HTTP status of the backend, 100 to 599.
    pub status: Option<u16>,
    /// The code of what went wrong.
    pub error_code: Option<String>,
    /// From its beginning to its end, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What it took.
    pub tokens: Tokens,
}

/// An attempt in the keys of the file, in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: i64,
    kind: &'static str,
    id: String,
    request_id: &'a str,
    attempt: u64,
    created_at: i64,
    outcome: &'a str,
    account: Option<&'a AccountMark>,
    status_code: Option<u16>,
    error_code: Option<&'a str>,
    duration_ms: Option<u64>,
    tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

impl AttemptRow {
    /// The row as a document, in the keys of the file.
    pub fn document(&self) -> Value {
        serde_json::to_value(self.written()).unwrap_or_default()
    }

    /// Adds it as a line to this text.
    pub(super) fn put(&self, text: &mut Vec<u8>) {
        put(&self.written(), text);
    }

    fn written(&self) -> Written<'_> {
        Written {
            version: 2,
            kind: KIND,
            id: format!("{}-{}", self.request_id, self.number),
            request_id: &self.request_id,
            attempt: self.number,
            created_at: self.created_at.as_millis(),
            outcome: self.outcome.as_str(),
            account: self.account.as_ref(),
            status_code: self.status,
            error_code: self.error_code.as_deref(),
            duration_ms: self.duration_ms,
            tokens: self.tokens,
            model: self.model.as_deref(),
        }
    }

    /// A row of a line; `None` for one that is torn or something else.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let row: Value = serde_json::from_slice(line).ok()?;
        let row = row.as_object()?;
        let is_one = row.get("version").and_then(json::integer) == Some(2) && json::text(row, "kind") == Some(KIND);
        is_one.then_some(())?;
        Some(Self {
            request_id: json::text(row, "requestId")?.to_owned(),
            number: json::count(row, "attempt")?,
            created_at: json::millis(row, "createdAt")?,
            outcome: UsageOutcome::parse(json::text(row, "outcome").unwrap_or_default()),
            account: json::object(row, "account").map(AccountMark::read),
            model: json::text(row, "model").map(str::to_owned),
            status: status(row),
            error_code: json::text(row, "errorCode").map(str::to_owned),
            duration_ms: json::count(row, "durationMs"),
            tokens: read(json::object(row, "tokens")).0,
        })
    }
}
