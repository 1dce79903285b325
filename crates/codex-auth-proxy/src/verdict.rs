//! Reads what an error answer of the backend says: its codes, its message and the wait it asks for.

use codex_auth_core::{AnswerFacts, Outcome, Timestamp, WaitFields, classify, retry_at};
use http::HeaderMap;
use serde_json::Value;

use crate::observe::{EventKind, Observed};

/// Classifies an answer whose body was read (bounded); bodies that are no JSON speak by their status alone.
pub(crate) fn outcome_of(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Outcome {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let at = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let number =
        |pointer: &str| body.pointer(pointer).filter(|value| value.is_number() || value.is_string()).map(plain);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let resets_at = number("/error/resets_at").or_else(|| number("/error/reset_at"));
    let resets_in = number("/error/resets_in_seconds");
    let (millis, seconds) = (number("/error/retry_after_ms"), number("/error/retry_after"));
    let retry_at = retry_at(
        WaitFields {
            retry_after_ms: header("retry-after-ms"),
            retry_after: header("retry-after"),
            resets_at: resets_at.as_deref(),
            resets_in_seconds: resets_in.as_deref(),
            body_retry_after_ms: millis.as_deref(),
            body_retry_after: seconds.as_deref(),
            message: at("/error/message").filter(|_| status == 429),
        },
        now,
    );
    classify(AnswerFacts {
        status,
        code: at("/error/code").or_else(|| at("/detail/code")).or_else(|| at("/code")).or_else(|| at("/error")),
        kind: at("/error/type"),
        message: at("/error/message").or_else(|| at("/detail")).or_else(|| at("/message")),
        retry_at,
    })
}

/// What a stream came to, by its terminal event. A failure that is the request's own is an answer like any other.
pub(crate) fn outcome_of_end(seen: &Observed) -> Outcome {
    let Some(event) = seen.terminal.as_ref().filter(|event| event.kind == EventKind::Failed) else {
        return Outcome::Served;
    };
    let told = event.json();
    let code = told.as_ref().and_then(|told| told.pointer("/response/error/code")).and_then(Value::as_str);
    match code {
        Some("usage_limit_reached" | "rate_limit_exceeded") => Outcome::UsageLimited { until: None },
        Some("server_error" | "server_is_overloaded" | "slow_down") => Outcome::ServerFault { status: 503 },
        Some(_) | None => Outcome::Served,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expect: &Outcome) {
        let now = Timestamp::from_secs(1_767_268_800);
        assert_eq!(&outcome_of(status, &HeaderMap::new(), body.as_bytes(), now), expect);
    }

    #[test]
    fn bodies_are_read_by_their_codes() {
        let limited = Outcome::UsageLimited { until: Some(Timestamp::from_secs(1_767_268_860)) };
        check(429, r#"{"error":{"type":"usage_limit_reached","resets_at":1767268860}}"#, &limited);
        check(429, "<html>", &Outcome::UsageLimited { until: None });
        check(401, r#"{"error":{"code":"token_expired"}}"#, &Outcome::Unauthorized);
        check(
            402,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
            &Outcome::Deactivated { code: "deactivated_workspace".into() },
        );
        check(403, "<html>Cloudflare</html>", &Outcome::Served);
    }
}
