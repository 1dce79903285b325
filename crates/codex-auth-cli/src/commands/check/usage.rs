//! What the backend's usage answer says. Source: `GET /wham/usage` as the official client maps it.

use codex_auth_core::{AnswerFacts, Outcome, Quota, QuotaSnapshot, Timestamp, UsagePayload, classify};
use serde_json::Value;

/// The usage of an account.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Usage {
    /// Its windows; business plans may have none.
    pub(super) quota: Option<QuotaSnapshot>,
    /// Its plan, as the backend spells it.
    pub(super) plan: Option<String>,
    /// Whether the backend would refuse a turn now.
    pub(super) is_exhausted: bool,
}

/// Reads a good answer; `None` when it is no usage document.
pub(super) fn read(body: &[u8], now: Timestamp) -> Option<Usage> {
    let document: UsagePayload = serde_json::from_slice(body).ok().filter(UsagePayload::tells_usage)?;
    let mut quota = Quota::default();
    quota.learn(&document.report(now));
    let is_spent = quota.is_spent(now);
    let plan = quota.plan().map(str::to_owned);
    Some(Usage { quota: quota.snapshot(now), plan, is_exhausted: is_spent || document.is_refusing() })
}

/// What an answer that is not good means for the account.
pub(super) fn refusal(status: u16, body: &[u8]) -> Outcome {
    let document: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |path: &str| document.pointer(path).and_then(Value::as_str);
    let code = ["/error/code", "/error/type", "/detail/code", "/code"].into_iter().find_map(text);
    let message = ["/error/message", "/detail/message", "/detail", "/message"].into_iter().find_map(text);
    classify(AnswerFacts { status, code, kind: text("/error/type"), message, ..AnswerFacts::default() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[track_caller]
    fn check(limits: &Value, expect: Option<(Option<f64>, bool)>) {
        let body = json!({ "plan_type": "plus", "rate_limit": limits }).to_string();
        let read = read(body.as_bytes(), NOW);
        let seen = read.map(|usage| (usage.quota.map(|quota| quota.left_percent(NOW)), usage.is_exhausted));
        assert_eq!(seen, expect);
    }

    fn used(percent: i64) -> Value {
        json!({ "used_percent": percent, "limit_window_seconds": 18_000, "reset_after_seconds": 60, "reset_at": 1 })
    }

    #[test]
    fn the_tightest_window_counts() {
        check(
            &json!({ "allowed": true, "primary_window": used(12), "secondary_window": used(33) }),
            Some((Some(67.0), false)),
        );
        check(&json!({ "primary_window": used(100), "secondary_window": null }), Some((Some(0.0), true)));
        check(&json!({ "limit_reached": true, "primary_window": used(99) }), Some((Some(1.0), true)));
    }

    #[test]
    fn a_plan_without_windows_is_available() {
        check(&Value::Null, Some((None, false)));
    }

    #[test]
    fn what_is_no_usage_tells_nothing() {
        assert_eq!(read(b"<html>", NOW), None);
        assert_eq!(read(b"{}", NOW), None);
    }

    #[test]
    fn refusals_are_told_apart() {
        let invalidated = json!({ "error": { "code": "token_invalidated" } }).to_string();
        assert!(matches!(refusal(401, invalidated.as_bytes()), Outcome::TokenInvalidated { .. }));
        assert_eq!(refusal(401, b"{}"), Outcome::Unauthorized);
        assert_eq!(refusal(403, b"<html>"), Outcome::Refused { status: 403 });
    }
}
