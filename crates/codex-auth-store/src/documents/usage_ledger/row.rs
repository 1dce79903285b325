//! Owns one row of the ledger: one request or one question, without any text, token or name of a person.

use codex_auth_core::{
    Account, Cell, Entry, Owner, PriceTable, Sums, Timestamp, TokenUse, UsageOperation, UsageOutcome, UsageSource,
};
use serde::Serialize;
use serde_json::Value;

use super::salt::Salt;
use crate::{
    hash::sha256_hex,
    json::{self, Object},
};

const E8: f64 = 1e8;
/// The version of a question's row. The predecessor passes it over: its budgets count every row of version 1.
const QUESTION: (i64, &str) = (2, "question");

/// Tokens of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Read by the model, cached ones included.
    #[serde(rename = "inputTokens")]
    pub input: u64,
    /// Written by the model, reasoning included.
    #[serde(rename = "outputTokens")]
    pub output: u64,
    /// Of the input, what came from a cache.
    #[serde(rename = "cachedInputTokens")]
    pub cached_input: u64,
    /// Of the output, what was reasoning.
    #[serde(rename = "reasoningTokens")]
    pub reasoning: u64,
    /// All in all.
    #[serde(rename = "totalTokens")]
    pub total: u64,
}

/// An account as the ledger names it: by hashes, which cannot be read back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountMark {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
}

/// A row in the keys of the file, in their order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    version: i64,
    id: &'a str,
    created_at: i64,
    source: &'a str,
    operation: &'a str,
    outcome: &'a str,
    model: Option<&'a str>,
    project_key: Option<&'a str>,
    account: Option<&'a AccountMark>,
    request_id: Option<&'a str>,
    status_code: Option<u16>,
    error_code: Option<&'a str>,
    duration_ms: Option<u64>,
    tokens: Tokens,
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of_model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_hash: Option<&'a str>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// A UUID.
    pub id: String,
    /// When it ended.
    pub created_at: Timestamp,
    /// Who asked.
    pub source: UsageSource,
    /// What for.
    pub operation: UsageOperation,
    /// How it ended.
    pub outcome: UsageOutcome,
    /// For which model.
    pub model: Option<String>,
    /// The model the client named, where another one was asked for in its place; not in rows of the predecessor.
    pub instead_of: Option<String>,
    /// In which project.
    pub project: Option<String>,
    /// By which account.
    pub account: Option<AccountMark>,
    /// The request's own id.
    pub request_id: Option<String>,
    /// HTTP status, 100 to 599.
    pub status: Option<u16>,
    /// The code of what went wrong.
    pub error_code: Option<String>,
    /// From the request's beginning to its end, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What it took.
    pub tokens: Tokens,
    /// Estimated cost in 10⁻⁸ dollars; `None` for a model without a price.
    pub cost_e8: Option<u64>,
    /// The conversation, hashed; not in rows of the predecessor.
    pub session: Option<String>,
    /// The answer's own id, hashed; not in rows of the predecessor.
    pub response: Option<String>,
}

impl Tokens {
    /// As the backend tells them: reasoning is part of the output.
    pub fn new(input: u64, output: u64, cached_input: u64, reasoning: u64) -> Self {
        Self { input, output, cached_input, reasoning, total: input.saturating_add(output) }
    }
}

impl From<TokenUse> for Tokens {
    fn from(took: TokenUse) -> Self {
        Self::new(took.input, took.output, took.cached_input, took.reasoning)
    }
}

impl From<Tokens> for TokenUse {
    fn from(told: Tokens) -> Self {
        let Tokens { input, output, cached_input, reasoning, total: _ } = told;
        Self { input, cached_input, output, reasoning }
    }
}

impl AccountMark {
    /// Names an account as the predecessor does: by its workspace, by e-mail only where no workspace is known.
    pub fn of(account: &Account, index: usize) -> Self {
        let hash = |name: &str| format!("sha256:{}", sha256_hex(name.trim()));
        let account_hash = account.owner.workspace.as_ref().map(|id| hash(id.as_str()));
        let email = account.owner.email.as_ref().filter(|_| account_hash.is_none());
        let email_hash = email.map(|email| hash(&email.to_lowercase()));
        Self { account_hash, email_hash, index: u64::try_from(index).ok() }
    }

    /// Names an account so that nobody who guesses its address or id finds it in the file, and so that two people of one
    /// workspace are two.
    pub fn salted(owner: &Owner, salt: &Salt) -> Self {
        let workspace = owner.workspace.as_ref().map(|id| id.as_str().trim().to_owned());
        let person = owner.user.as_ref().map(|id| id.as_str().trim().to_owned());
        let names = match (person, workspace, &owner.email) {
            (Some(person), Some(workspace), _) => Some(("identity", format!("{person}\0{workspace}"))),
            (None, Some(workspace), _) => Some(("workspace", workspace)),
            (_, None, Some(email)) => Some(("email", email.to_lowercase())),
            (_, None, None) => None,
        };
        Self { account_hash: names.map(|(kind, name)| salt.hash(kind, &name)), ..Self::default() }
    }

    /// The hash that stands for the account in summaries.
    pub fn name(&self) -> Option<&str> {
        self.account_hash.as_deref().or(self.email_hash.as_deref())
    }

    pub(super) fn read(account: &Object) -> Self {
        Self {
            account_hash: json::text(account, "accountHash").map(str::to_owned),
            email_hash: json::text(account, "emailHash").map(str::to_owned),
            index: json::count(account, "index"),
        }
    }
}

impl UsageRow {
    /// Whether it asked no model and took nothing: such a row is in no sum and in no budget, whoever wrote it.
    pub fn is_question(&self) -> bool {
        !self.operation.asks_a_model() && self.tokens == Tokens::default()
    }

    /// The row as it is summed.
    pub fn entry(&self) -> Entry {
        let cell = Cell {
            model: self.model.clone(),
            account: self.account.as_ref().and_then(AccountMark::name).map(str::to_owned),
            project: self.project.clone(),
            outcome: self.outcome,
        };
        let Tokens { input, output, cached_input, reasoning, total } = self.tokens;
        let numbers = [1, input, output, cached_input, reasoning, total, self.cost_e8.unwrap_or_default()];
        Entry { at: self.created_at, cell, sums: Sums::of(numbers, self.outcome) }
    }

    /// The row as a document, in the keys of the file.
    pub fn document(&self) -> Value {
        serde_json::to_value(self.written()).unwrap_or_default()
    }

    /// Adds it as a line to this text.
    pub(crate) fn put(&self, text: &mut Vec<u8>) {
        put(&self.written(), text);
    }

    fn written(&self) -> Written<'_> {
        #[expect(clippy::cast_precision_loss, reason = "a cost of more than 90 million dollars may be rounded")]
        let cost_usd = self.cost_e8.map(|cost| cost as f64 / E8);
        let question = self.is_question().then_some(QUESTION);
        Written {
            version: question.map_or(1, |(version, _)| version),
            id: &self.id,
            created_at: self.created_at.as_millis(),
            source: self.source.as_str(),
            operation: self.operation.as_str(),
            outcome: self.outcome.as_str(),
            model: self.model.as_deref(),
            project_key: self.project.as_deref(),
            account: self.account.as_ref(),
            request_id: self.request_id.as_deref(),
            status_code: self.status,
            error_code: self.error_code.as_deref(),
            duration_ms: self.duration_ms,
            tokens: self.tokens,
            cost_usd,
            kind: question.map(|(_, kind)| kind),
            instead_of_model: self.instead_of.as_deref(),
            session_hash: self.session.as_deref(),
            response_hash: self.response.as_deref(),
        }
    }

    /// A row of a line; `None` for one that is torn or of another version. Sums that counted reasoning twice are
    /// corrected.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let row: Value = serde_json::from_slice(line).ok()?;
        let row = row.as_object().filter(|row| is_one(row))?;
        let text = |key: &str| json::text(row, key).map(str::to_owned);
        let word = |key: &str| json::text(row, key).unwrap_or_default();
        let (tokens, is_mended) = read(json::object(row, "tokens"));
        let (model, created_at) = (text("model"), json::millis(row, "createdAt")?);
        let anew = || PriceTable::default().cost_e8(model.as_deref()?, tokens.into(), created_at);
        let told = json::number(row, "costUsd").filter(|cost| *cost >= 0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; a cast saturates")]
        let cost_e8 = match told.map(|cost| (cost * E8).round() as u64) {
            Some(told) if is_mended => anew().or(Some(told)),
            told => told,
        };
        Some(Self {
            id: text("id")?,
            created_at,
            source: UsageSource::parse(word("source")),
            operation: UsageOperation::parse(word("operation")),
            outcome: UsageOutcome::parse(word("outcome")),
            project: text("projectKey"),
            account: json::object(row, "account").map(AccountMark::read),
            request_id: text("requestId"),
            status: status(row),
            error_code: text("errorCode"),
            duration_ms: json::count(row, "durationMs"),
            model,
            instead_of: text("insteadOfModel"),
            tokens,
            cost_e8,
            session: text("sessionHash"),
            response: text("responseHash"),
        })
    }
}

fn is_one(row: &Object) -> bool {
    let version = row.get("version").and_then(json::integer);
    version == Some(1) || (version, json::text(row, "kind")) == (Some(QUESTION.0), Some(QUESTION.1))
}

pub(super) fn status(row: &Object) -> Option<u16> {
    let status = json::count(row, "statusCode").and_then(|status| u16::try_from(status).ok());
    status.filter(|status| (100..600).contains(status))
}

/// Adds a row as a line. It has text keys and finite numbers alone, so it can always be written.
pub(super) fn put(row: &impl Serialize, text: &mut Vec<u8>) {
    let _infallible = serde_json::to_writer(&mut *text, row);
    text.push(b'\n');
}

/// The tokens, and whether their total had counted reasoning twice.
pub(super) fn read(told: Option<&Object>) -> (Tokens, bool) {
    let count = |key: &str| told.and_then(|told| json::count(told, key));
    let one = |key: &str| count(key).unwrap_or_default();
    let own = Tokens::new(one("inputTokens"), one("outputTokens"), one("cachedInputTokens"), one("reasoningTokens"));
    match count("totalTokens") {
        Some(total) if own.reasoning > 0 && total == own.total.saturating_add(own.reasoning) => (own, true),
        Some(total) => (Tokens { total, ..own }, false),
        None => (own, false),
    }
}
