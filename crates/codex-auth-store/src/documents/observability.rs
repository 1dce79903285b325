//! `runtime-observability.json`: what the router last did, for other programs to show. Who was skipped, and why, is
//! kept by record; the predecessor's positions are derived from that at each write.

use std::collections::BTreeMap;

use codex_auth_core::{RecordId, SavedPool, Timestamp};
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

const SKIPS: &str = "accountSkipReasons";
const SKIPS_BY_RECORD: &str = "accountSkipReasonsByRecordId";
const METRICS: &str = "runtimeMetrics";

/// The snapshot. It is changed by patches over fresh state, so that two writers add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observability {
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// The account that served last.
    pub last_account: Option<LastAccount>,
    /// Why and when nobody could serve.
    pub exhaustion: Option<Exhaustion>,
    /// The last error, masked by its writer.
    pub last_error: Option<String>,
    /// When the last request ended.
    pub last_request_at: Option<Timestamp>,
    skips: BTreeMap<String, String>,
    positions: BTreeMap<String, usize>,
    counters: BTreeMap<&'static str, u64>,
}

/// The account that served last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAccount {
    /// Its record; `None` in a snapshot of the predecessor.
    pub record: Option<String>,
    /// Its workspace.
    pub account_id: Option<String>,
    /// Its place in the pool, from 0, at that time.
    pub index: usize,
    /// When.
    pub at: Timestamp,
}

/// Nobody could serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhaustion {
    /// The word of the answer.
    pub reason: String,
    /// How long the client was told to wait, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $key:literal,)+) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter { $($(#[$doc])* $name,)+ }

        impl Counter {
            const ALL: &[Self] = &[$(Self::$name,)+];

            /// The key of the file.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key,)+ }
            }
        }
    };
}

counters! {
    /// Requests.
    Total => "totalRequests",
    /// Requests that ended well.
    Successful => "successfulRequests",
    /// Requests that did not.
    Failed => "failedRequests",
    /// Requests for model answers.
    Responses => "responsesRequests",
    /// Renewals of tokens.
    AuthRefreshes => "authRefreshRequests",
    /// Questions of our own.
    Probes => "diagnosticProbeRequests",
    /// Attempts a request may make.
    AttemptBudget => "outboundRequestAttemptBudget",
    /// Attempts made.
    Attempts => "outboundRequestAttemptsConsumed",
    /// Requests whose attempts were used up.
    BudgetExhaustions => "requestAttemptBudgetExhaustions",
    /// Requests refused because nobody could serve.
    PoolFastFails => "poolExhaustionFastFails",
    /// Requests refused during a burst of server faults.
    BurstFastFails => "serverBurstFastFails",
    /// Answers that named a limit.
    RateLimited => "rateLimitedResponses",
    /// Answers of 500 and above.
    ServerErrors => "serverErrors",
    /// Requests without an answer.
    NetworkErrors => "networkErrors",
    /// Requests the client gave up.
    UserAborts => "userAborts",
    /// Renewals that failed.
    RefreshFailures => "authRefreshFailures",
    /// Retries after an empty answer.
    EmptyRetries => "emptyResponseRetries",
    /// Changes of account.
    Rotations => "accountRotations",
    /// Retries with the same account.
    SameAccountRetries => "sameAccountRetries",
    /// Streams begun anew.
    Failovers => "streamFailoverAttempts",
    /// Accounts considered for that.
    FailoverCandidates => "streamFailoverCandidatesConsidered",
    /// Streams that went on.
    Recoveries => "streamFailoverRecoveries",
    /// Streams that went on with another account.
    CrossAccountRecoveries => "streamFailoverCrossAccountRecoveries",
    /// Time spent on requests, in milliseconds.
    Latency => "cumulativeLatencyMs",
}

impl Observability {
    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, by: u64) {
        let count = self.counters.entry(counter.key()).or_default();
        *count = count.saturating_add(by);
    }

    /// How much was counted.
    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter.key()).copied().unwrap_or_default()
    }

    /// Notes why an account was passed over; `None` when it no longer is.
    pub fn skip(&mut self, record: &RecordId, reason: Option<&str>) {
        match reason {
            Some(reason) => drop(self.skips.insert(record.to_string(), reason.to_owned())),
            None => drop(self.skips.remove(record.as_str())),
        }
    }

    /// Why an account was passed over; a position of the file is never asked.
    pub fn skip_reason(&self, record: &RecordId) -> Option<&str> {
        self.skips.get(record.as_str()).map(String::as_str)
    }

    /// Derives the predecessor's positions from this pool, and forgets accounts it no longer has.
    pub fn place(&mut self, pool: &SavedPool) {
        let rows = pool.accounts.iter().enumerate();
        self.positions = rows.map(|(index, held)| (held.account.record.to_string(), index)).collect();
        self.skips.retain(|record, _| self.positions.contains_key(record));
    }
}

impl Document for Observability {
    const NAME: &'static str = "runtime-observability.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let blank = Object::new();
        let metrics = json::object(object, METRICS).unwrap_or(&blank);
        let text = |key: &str| json::text(object, key).map(str::to_owned);
        let counted = |counter: &Counter| Some((counter.key(), json::count(metrics, counter.key())?));
        Self {
            updated_at: json::millis(object, "updatedAt"),
            last_account: last_account(object),
            exhaustion: text("lastPoolExhaustionReason").map(|reason| Exhaustion {
                reason,
                retry_after_ms: json::count(object, "lastPoolExhaustionRetryAfterMs"),
            }),
            last_error: json::text(metrics, "lastError").map(str::to_owned),
            last_request_at: json::millis(metrics, "lastRequestAt"),
            skips: texts_of(object, SKIPS_BY_RECORD),
            positions: BTreeMap::new(),
            counters: Counter::ALL.iter().filter_map(counted).collect(),
        }
    }

    fn encode(&self, object: &mut Object) {
        json::set(object, "updatedAt", Some(json!(self.updated_at.map(Timestamp::as_millis))));
        for counter in [Counter::Responses, Counter::AuthRefreshes, Counter::Probes] {
            json::set(object, counter.key(), Some(json!(self.count(counter))));
        }
        if let Some(last) = &self.last_account {
            json::set(object, "lastAccountIndex", Some(json!(last.index)));
            json::set(object, "lastAccountLabel", Some(json!(format!("Account {}", last.index + 1))));
            json::set(object, "lastAccountEmail", Some(Value::Null));
            json::set(object, "lastAccountId", Some(json!(last.account_id)));
            json::set(object, "lastAccountRecordId", Some(json!(last.record)));
            json::set(object, "lastAccountUpdatedAt", Some(json!(last.at.as_millis())));
        }
        let exhaustion = self.exhaustion.as_ref();
        json::set(object, "lastPoolExhaustionReason", Some(json!(exhaustion.map(|known| &known.reason))));
        let retry = exhaustion.and_then(|known| known.retry_after_ms);
        json::set(object, "lastPoolExhaustionRetryAfterMs", Some(json!(retry)));
        json::set(object, SKIPS_BY_RECORD, Some(json!(self.skips)));
        if !self.positions.is_empty() {
            let mut placed: Vec<_> =
                self.skips.iter().filter_map(|(record, reason)| Some((*self.positions.get(record)?, reason))).collect();
            placed.sort_unstable();
            let placed: Object = placed.into_iter().map(|(index, reason)| (index.to_string(), json!(reason))).collect();
            json::set(object, SKIPS, Some(Value::Object(placed)));
        }
        let mut metrics = json::object(object, METRICS).cloned().unwrap_or_default();
        for (key, count) in &self.counters {
            json::set(&mut metrics, key, Some(json!(count)));
        }
        json::set(&mut metrics, "lastRequestAt", Some(json!(self.last_request_at.map(Timestamp::as_millis))));
        json::set(&mut metrics, "lastError", Some(json!(self.last_error)));
        json::set(object, METRICS, Some(Value::Object(metrics)));
    }
}

fn last_account(object: &Object) -> Option<LastAccount> {
    Some(LastAccount {
        record: json::text(object, "lastAccountRecordId").map(str::to_owned),
        account_id: json::text(object, "lastAccountId").map(str::to_owned),
        index: json::count(object, "lastAccountIndex").and_then(|index| usize::try_from(index).ok())?,
        at: json::millis(object, "lastAccountUpdatedAt")?,
    })
}

fn texts_of(object: &Object, table: &str) -> BTreeMap<String, String> {
    let rows = json::object(object, table).into_iter().flatten();
    rows.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing;

    use super::*;

    #[test]
    fn f8_a_reason_stays_with_its_account_when_positions_move() {
        let mut pool = testing::pool(3);
        let record = pool.accounts[2].account.record.clone();
        let mut seen = Observability::default();
        seen.skip(&record, Some("rate-limit"));
        seen.place(&pool);
        let mut object = Object::new();
        seen.encode(&mut object);
        assert_eq!(object[SKIPS], json!({ "2": "rate-limit" }));
        pool.accounts.remove(0);
        let mut later = Observability::decode(&object);
        later.place(&pool);
        later.encode(&mut object);
        assert_eq!(object[SKIPS], json!({ "1": "rate-limit" }));
        assert_eq!(Observability::decode(&object).skip_reason(&record), Some("rate-limit"));
        pool.accounts.clear();
        later.place(&pool);
        assert_eq!(later.skip_reason(&record), None, "an account that is gone is not skipped");
    }
}
