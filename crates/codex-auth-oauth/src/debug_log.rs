//! The debug log of a sign-in: one JSON line for each event, redacted before anybody sees it (plugin 5.9).
//!
//! Where lines go is the product's: it hands in what prints and keeps them.

use std::fmt;
use std::sync::Arc;

use codex_auth_core::Clock;
use serde_json::{Value, json};

use crate::{
    events::{LoginEvent, LoginEvents},
    redact::redacted,
};

/// Names the variable that turns the log on.
pub const DEBUG_VARIABLE: &str = "CODEX_AUTH_DEBUG";
/// Names the variable that bounds it.
pub const DEBUG_MAX_BYTES_VARIABLE: &str = "CODEX_AUTH_DEBUG_MAX_BYTES";
/// What a line on stderr begins with.
pub const DEBUG_PREFIX: &str = "[codex-auth-debug] ";
/// Name of the file.
pub const DEBUG_LOG: &str = "oauth-lifecycle.log";

/// Whether [`DEBUG_VARIABLE`] turns the log on: `1`, `true`, `yes`, `on`, in any case.
pub fn is_debugging(value: Option<&str>) -> bool {
    value.is_some_and(|value| matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on"))
}

/// Makes lines of events.
pub struct DebugLog {
    clock: Arc<dyn Clock>,
    pid: u32,
    keep: Box<dyn Fn(&str) + Send + Sync>,
}

impl DebugLog {
    /// A log of the process `pid` whose lines, without their end, go to `keep`.
    pub fn new(clock: Arc<dyn Clock>, pid: u32, keep: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { clock, pid, keep: Box::new(keep) }
    }

    /// Notes an event by its name.
    pub fn note(&self, event: &str, meta: Value) {
        let now = self.clock.now();
        let stamp = jiff::Timestamp::from_millisecond(now.as_millis()).map(|stamp| format!("{stamp:.3}"));
        let line = json!({ "ts": stamp.ok(), "pid": self.pid, "event": event, "meta": redacted(meta) });
        (self.keep)(&line.to_string());
    }
}

impl LoginEvents for DebugLog {
    fn happened(&self, event: LoginEvent, meta: Value) {
        self.note(event.name(), meta);
    }
}

impl fmt::Debug for DebugLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DebugLog").field("pid", &self.pid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use codex_auth_core::{Timestamp, testing::ManualClock};

    use super::*;

    #[test]
    fn a_line_says_when_who_and_what_and_no_secret() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_790_000_000_007)));
        let log = DebugLog::new(clock, 7, move |line| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        });
        log.happened(LoginEvent::CallbackHit, json!({ "url": "/x?code=CANARY", "access_token": "CANARY" }));
        assert_eq!(
            *lines.lock().unwrap_or_else(PoisonError::into_inner),
            [
                r#"{"ts":"2026-09-21T14:13:20.007Z","pid":7,"event":"callback_hit","meta":{"url":"/x?code=[redacted]","access_token":"[redacted]"}}"#
            ]
        );
    }

    #[test]
    fn words_that_turn_it_on() {
        let on = |value| is_debugging(Some(value));
        assert!(on("1") && on("YES") && on(" on ") && on("True"));
        assert!(!on("0") && !on("") && !on("2") && !on("enabled") && !is_debugging(None));
    }
}
