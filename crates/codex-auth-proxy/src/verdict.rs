//! Reads what an answer of the backend says: its codes, its message, the wait it asks for, and what it tells of quotas.
//! The fields are found here; what they mean is core's.

use codex_auth_core::{
    AnswerFacts, Limit, LimitsEvent, Outcome, Refused, Report, Timestamp, WaitFields, classify, classify_event,
    retry_at,
};
use http::HeaderMap;
use serde_json::Value;

use crate::observe::{Event, EventKind, Observed};

/// What an answer came to, and what it told of the account's quota.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) told: Vec<Report>,
}

/// What the headers of an answer tell of quotas.
pub(crate) fn told_by(headers: &HeaderMap, now: Timestamp) -> Option<Report> {
    let pairs = headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    Report::of_headers(pairs, now)
}

/// Judges a refusal whose body was read (bounded); bodies that are no JSON speak by their status alone.
pub(crate) fn of_refusal(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Verdict {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let told = told_by(headers, now);
    let wait = WaitFields {
        retry_after_ms: header("retry-after-ms"),
        retry_after: header("retry-after"),
        ..WaitFields::default()
    };
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let read = Read { status, active_limit: header("x-codex-active-limit"), wait, now };
    let (mut outcome, spent) = read.judge(&body, &body, classify);
    // A limit without an end of its own ends with the windows that the same answer calls spent.
    if let (Outcome::UsageLimited { until } | Outcome::RateLimited { until }, Some(report)) = (&mut outcome, &told) {
        *until = until.or_else(|| report.spent_until(&Limit::Account));
    }
    Verdict { outcome, told: told.into_iter().chain(spent).collect() }
}

/// Judges a stream by its terminal event. A failure that is the request's own is an answer like any other.
pub(crate) fn of_end(seen: &Observed, now: Timestamp) -> Verdict {
    let told = seen.limits.as_ref().and_then(|event| serde_json::from_slice::<LimitsEvent>(&event.data).ok());
    let told = told.and_then(|event| event.report(now));
    let (outcome, spent) = match &seen.terminal {
        Some(event) if is_failure(event) => of_failure(event, now),
        Some(_) | None => (Outcome::Served, None),
    };
    Verdict { outcome, told: told.into_iter().chain(spent).collect() }
}

/// Whether an event says that the answer failed.
pub(crate) fn is_failure(event: &Event) -> bool {
    match event.kind {
        EventKind::Failed | EventKind::Error => true,
        EventKind::Completed | EventKind::Incomplete | EventKind::Limits | EventKind::Other => false,
    }
}

fn of_failure(event: &Event, now: Timestamp) -> (Outcome, Option<Report>) {
    let document = event.json().unwrap_or(Value::Null);
    // `response.failed` has its error inside the response, a bare `error` beside its type.
    let place = document.get("response").unwrap_or(&document);
    let read = Read { status: 200, active_limit: None, wait: WaitFields::default(), now };
    read.judge(place, &document, classify_event)
}

/// What is known of an answer besides its document.
struct Read<'a> {
    status: u16,
    active_limit: Option<&'a str>,
    wait: WaitFields<'a>,
    now: Timestamp,
}

impl Read<'_> {
    /// Hands the document's fields to core; `outer` has the codes that stand beside the error.
    fn judge(
        &self,
        document: &Value,
        outer: &Value,
        rule: fn(AnswerFacts<'_>) -> Outcome,
    ) -> (Outcome, Option<Report>) {
        let at = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let number =
            |pointer: &str| document.pointer(pointer).filter(|value| value.is_number() || value.is_string()).map(plain);
        let resets_at = number("/error/resets_at").or_else(|| number("/error/reset_at"));
        let resets_in = number("/error/resets_in_seconds");
        let (millis, seconds) = (number("/error/retry_after_ms"), number("/error/retry_after"));
        let message = at("/error/message").or_else(|| at("/detail/message")).or_else(|| at("/detail"));
        let message = message.or_else(|| at("/message"));
        let retry_at = retry_at(
            WaitFields {
                resets_at: resets_at.as_deref(),
                resets_in_seconds: resets_in.as_deref(),
                body_retry_after_ms: millis.as_deref(),
                body_retry_after: seconds.as_deref(),
                message: message.filter(|_| matches!(self.status, 200 | 429)),
                ..self.wait
            },
            self.now,
        );
        let beside = outer.get("code").and_then(Value::as_str);
        let code = at("/error/code").or_else(|| at("/detail/code")).or(beside).or_else(|| at("/error"));
        let outcome = rule(AnswerFacts {
            status: self.status,
            code,
            kind: at("/error/type"),
            message,
            retry_at,
            active_limit: self.active_limit,
        });
        let spent = match &outcome {
            Outcome::UsageLimited { until } | Outcome::ModelLimited { until } => Report::of_refusal(
                Refused {
                    until: *until,
                    window_minutes: number("/error/limit_window_minutes").and_then(|text| text.parse().ok()),
                    plan: at("/error/plan_type"),
                    active_limit: self.active_limit,
                },
                self.now,
            ),
            Outcome::Served
            | Outcome::Refused { .. }
            | Outcome::RateLimited { .. }
            | Outcome::LacksModel
            | Outcome::Unauthorized
            | Outcome::TokenInvalidated { .. }
            | Outcome::Deactivated { .. }
            | Outcome::PolicyRefused
            | Outcome::ForeignCiphertext
            | Outcome::ServerFault { .. }
            | Outcome::Overloaded { .. }
            | Outcome::NetworkFault
            | Outcome::Stalled
            | Outcome::Cancelled => None,
        };
        (outcome, spent)
    }
}

/// The code of a refusal's body, for the ledger.
pub(crate) fn code_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let at = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let code = ["/error/code", "/error/type", "/detail/code", "/code"].into_iter().find_map(at);
    code.map(str::to_owned)
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
        assert_eq!(&of_refusal(status, &HeaderMap::new(), body.as_bytes(), now).outcome, expect);
    }

    #[test]
    fn bodies_are_read_by_their_codes() {
        let limited = Outcome::UsageLimited { until: Some(Timestamp::from_secs(1_767_268_860)) };
        check(429, r#"{"error":{"type":"usage_limit_reached","resets_at":1767268860}}"#, &limited);
        check(429, "<html>", &Outcome::RateLimited { until: None });
        check(401, r#"{"error":{"code":"token_expired"}}"#, &Outcome::Unauthorized);
        check(
            402,
            r#"{"detail":{"code":"deactivated_workspace"}}"#,
            &Outcome::Deactivated { code: "deactivated_workspace".into() },
        );
        check(403, "<html>Cloudflare</html>", &Outcome::Refused { status: 403 });
    }

    #[test]
    fn a_limit_without_an_end_ends_with_the_windows_that_are_spent() {
        let now = Timestamp::from_secs(1_767_268_800);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-codex-primary-used-percent", "100"),
            ("x-codex-primary-reset-after-seconds", "60"),
            ("x-codex-secondary-used-percent", "40"),
            ("x-codex-secondary-reset-after-seconds", "600000"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let body = br#"{"error":{"type":"usage_limit_reached"}}"#;
        let verdict = of_refusal(429, &headers, body, now);
        let soon = Timestamp::from_secs(1_767_268_860);
        assert_eq!(
            verdict.outcome,
            Outcome::UsageLimited { until: Some(soon) },
            "a week that is not spent is no matter"
        );
    }

    #[test]
    fn a_stream_says_in_words_when_to_come_back() {
        let text = r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Please try again in 1.5s."}}}"#;
        let terminal = Some(Event { kind: EventKind::Failed, data: text.into() });
        let verdict = of_end(&Observed { terminal, ..Observed::default() }, Timestamp::from_secs(1000));
        assert_eq!(verdict.outcome, Outcome::RateLimited { until: Some(Timestamp::from_millis(1_001_500)) });
    }
}
