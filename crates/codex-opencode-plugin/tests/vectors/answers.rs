//! Performs the groups of file 10: waits that an answer asks for, and how waits and refusals are told.

use std::time::Duration;

use codex_auth_core::{RestPolicy, RestReason, Timestamp, WaitFields, wait_of};
use codex_opencode_plugin::wait_label;
use serde_json::{Value, json};

use super::case::{Case, Found, Outcome, field};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    let found = match group {
        "retry_after" => retry_after(&case.input),
        "backoff_429_without_header" => Ok(json!(RestPolicy::default().of(RestReason::UsageLimit).as_millis())),
        "wait_label" => case.input.as_i64().ok_or_else(|| "no number".to_owned()).map(|millis| {
            // A wait that is over is none.
            let wait = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
            json!(wait_label(Some(wait)))
        }),
        "backoff" | "toast" | "prompt_cache_key" | "synthetic_error" => Err("the product has no such rule yet".into()),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

fn retry_after(input: &Value) -> Result<Value, String> {
    let header = input.get("Retry-After").and_then(Value::as_str);
    let now = match header {
        Some(_) => field(input, "nowMs")?.as_i64().ok_or("`nowMs` is no number")?,
        None => 0,
    };
    let fields = WaitFields { retry_after: header, ..WaitFields::default() };
    Ok(json!(wait_of(fields, Timestamp::from_millis(now)).map(|wait| wait.as_millis())))
}
