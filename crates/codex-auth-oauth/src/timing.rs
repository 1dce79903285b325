//! How long the parts of a sign-in may take, as the environment says it (plugin 5.8). Numbers are read as JavaScript
//! reads them, because the variables are older than this program.

use std::time::Duration;

/// Longest time a variable can set: what a timer of the predecessor could hold.
const LONGEST_MS: f64 = 2_147_483_647.0;
const DEBUG_LOG_BYTES: u64 = 1_000_000;
const LEAST_DEBUG_LOG_BYTES: u64 = 16_384;

/// How long each part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// One request to the token endpoint: `CODEX_OAUTH_HTTP_TIMEOUT_MS`, at least a second.
    pub http: Duration,
    /// A whole sign-in by device code: `CODEX_DEVICE_AUTH_TIMEOUT_MS`, at least a second.
    pub device: Duration,
    /// The wait for the browser: `CODEX_OAUTH_CALLBACK_TIMEOUT_MS`, at least a minute.
    pub callback: Duration,
    /// How long the callback server stays after a success: `CODEX_OAUTH_SERVER_SHUTDOWN_GRACE_MS`.
    pub grace: Duration,
    /// The same after a failure, so that its page can be loaded again:
    /// `CODEX_OAUTH_SERVER_SHUTDOWN_ERROR_GRACE_MS`.
    pub error_grace: Duration,
}

impl Timing {
    /// The times of OpenCode's plugin where no variable is set.
    pub const OPENCODE: Self = Self {
        http: Duration::from_secs(15),
        device: Duration::from_mins(10),
        callback: Duration::from_mins(10),
        grace: Duration::from_secs(2),
        error_grace: Duration::from_mins(1),
    };

    /// These times where no variable says otherwise. `lookup` hands a variable out as it stands, blank or not: blank is
    /// zero. What is no number or too small changes nothing.
    #[must_use]
    pub fn told_by(self, lookup: impl Fn(&str) -> Option<String>) -> Self {
        let told = |name: &str, least_ms: f64, usual: Duration| {
            let ms = lookup(name).and_then(|text| number(&text)).filter(|ms| *ms >= least_ms);
            ms.map_or(usual, |ms| Duration::from_secs_f64(ms.min(LONGEST_MS) / 1000.0))
        };
        Self {
            http: told("CODEX_OAUTH_HTTP_TIMEOUT_MS", 1_000.0, self.http),
            device: told("CODEX_DEVICE_AUTH_TIMEOUT_MS", 1_000.0, self.device),
            callback: told("CODEX_OAUTH_CALLBACK_TIMEOUT_MS", 60_000.0, self.callback),
            grace: told("CODEX_OAUTH_SERVER_SHUTDOWN_GRACE_MS", 0.0, self.grace),
            error_grace: told("CODEX_OAUTH_SERVER_SHUTDOWN_ERROR_GRACE_MS", 0.0, self.error_grace),
        }
    }
}

/// How long the debug log grows before it is put aside: `CODEX_AUTH_DEBUG_MAX_BYTES`, never less than 16 KiB.
pub fn debug_log_limit(value: Option<&str>) -> u64 {
    let Some(bytes) = value.and_then(number) else { return DEBUG_LOG_BYTES };
    // Whole numbers far below 2^53, so the text of one is exact.
    let whole = format!("{:.0}", bytes.floor().clamp(0.0, 1e15)).parse().unwrap_or(DEBUG_LOG_BYTES);
    LEAST_DEBUG_LOG_BYTES.max(whole)
}

/// A text as JavaScript's `Number` reads it; `None` for what is no number, and for an infinite one.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
    if text.is_empty() {
        return Some(0.0);
    }
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return whole(digits, radix);
        }
    }
    // Rust reads words such as `inf` and `nan` too, JavaScript only these letters.
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| is_decimal && number.is_finite())
}

fn whole(digits: &str, radix: u32) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    let number = digits
        .chars()
        .try_fold(0.0, |number, digit| Some(number * f64::from(radix) + f64::from(digit.to_digit(radix)?)))?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expect: Option<f64>) {
        assert_eq!(number(text), expect, "{text:?}");
    }

    #[test]
    fn numbers_are_read_as_javascript_reads_them() {
        for (text, expect) in [
            ("", 0.0),
            (" \t\n", 0.0),
            ("1500", 1500.0),
            (" 1500 ", 1500.0),
            ("+7", 7.0),
            ("-1", -1.0),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-1", 0.1),
            ("0x1F", 31.0),
            ("0XfF", 255.0),
            ("0o17", 15.0),
            ("0b101", 5.0),
            ("010", 10.0),
            ("\u{feff}3", 3.0),
        ] {
            reads(text, Some(expect));
        }
        for text in [
            "abc", "10s", "0x", "0xg", "-0x1", "+0b1", "1_000", "1,000", "inf", "NaN", "Infinity", "1e999", "e5", ".",
            "1 2",
        ] {
            reads(text, None);
        }
    }

    #[track_caller]
    fn callback(value: &str, expect_ms: u64) {
        let told = |name: &str| (name == "CODEX_OAUTH_CALLBACK_TIMEOUT_MS").then(|| value.to_owned());
        assert_eq!(Timing::OPENCODE.told_by(told).callback, Duration::from_millis(expect_ms), "{value:?}");
    }

    #[test]
    fn what_is_too_small_or_no_number_changes_nothing() {
        callback("60000", 60_000);
        callback("59999.9", 600_000);
        callback("", 600_000);
        callback("soon", 600_000);
        callback("6.1e4", 61_000);
        callback("1e300", 2_147_483_647);
    }

    #[test]
    fn a_log_is_never_smaller_than_its_least() {
        for (value, expect) in [
            (None, 1_000_000),
            (Some("10"), 16_384),
            (Some(""), 16_384),
            (Some("-5"), 16_384),
            (Some("x"), 1_000_000),
            (Some("20000.9"), 20_000),
            (Some("1e6"), 1_000_000),
        ] {
            assert_eq!(debug_log_limit(value), expect, "{value:?}");
        }
    }
}
