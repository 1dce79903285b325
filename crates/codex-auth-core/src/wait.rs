//! How long an answer asks to wait: every spelling that is known, read strictly and never believed without bounds.

use std::time::Duration;

use crate::{LONGEST_REST, Timestamp};

mod date;
mod words;

use date::date;
pub use words::wait_in_words;

/// The longest wait before a retry that we believe. A quota may take longer to start anew: [`LONGEST_REST`].
pub const LONGEST_RETRY: Duration = Duration::from_hours(7 * 24);

/// The wait-related fields of an answer, as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct WaitFields<'a> {
    /// Header `retry-after-ms`.
    pub retry_after_ms: Option<&'a str>,
    /// Header `retry-after`: seconds or a date.
    pub retry_after: Option<&'a str>,
    /// Body `error.resets_at` or `error.reset_at`: epoch seconds, or milliseconds from ten digits on.
    pub resets_at: Option<&'a str>,
    /// Body `error.resets_in_seconds`.
    pub resets_in_seconds: Option<&'a str>,
    /// Body `error.retry_after_ms`.
    pub body_retry_after_ms: Option<&'a str>,
    /// Body `error.retry_after`: seconds.
    pub body_retry_after: Option<&'a str>,
    /// The message, for the sentence "try again in …".
    pub message: Option<&'a str>,
}

/// When an answer asks to come back. A reset named in the body is the truth about a quota; headers speak of retries;
/// words are asked last.
pub fn retry_at(fields: WaitFields<'_>, now: Timestamp) -> Option<Timestamp> {
    let in_secs = |text: &str| Some(Duration::from_secs(count(text)?));
    let in_millis = |text: &str| Some(Duration::from_millis(count(text)?));
    let reset = fields.resets_at.and_then(epoch).filter(|reset| *reset > now);
    let reset = reset.or_else(|| fields.resets_in_seconds.and_then(in_secs).map(|wait| now.after(wait)));
    if let Some(reset) = reset {
        return Some(reset.min(now.after(LONGEST_REST)));
    }
    let wait = None
        .or_else(|| fields.retry_after_ms.and_then(in_millis))
        .or_else(|| fields.retry_after.and_then(|text| retry_after(text, now)))
        .or_else(|| fields.body_retry_after_ms.and_then(in_millis))
        .or_else(|| fields.body_retry_after.and_then(in_secs))
        .or_else(|| fields.message.and_then(wait_in_words));
    wait.map(|wait| now.after(wait.min(LONGEST_RETRY)))
}

/// How long an answer asks to wait, for callers that wait themselves.
pub fn wait_of(fields: WaitFields<'_>, now: Timestamp) -> Option<Duration> {
    retry_at(fields, now).map(|at| at.since(now))
}

/// Reads an instant given in epoch seconds, or in milliseconds from ten digits on.
pub fn epoch(text: &str) -> Option<Timestamp> {
    let number = text.trim().parse::<i64>().ok().filter(|number| *number > 0)?;
    Some(if number < 10_000_000_000 { Timestamp::from_secs(number) } else { Timestamp::from_millis(number) })
}

/// The header: a date where it is one, else its whole seconds. What stands behind the digits is passed over, as the
/// predecessor does it; a date must not be, or its year would become a wait.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Some(at) = date(text) {
        return Some(at.since(now)).filter(|wait| !wait.is_zero());
    }
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let is_date_like = text[digits..].starts_with(['-', '/', ':', ' ']);
    if is_date_like { None } else { count(&text[..digits]).map(Duration::from_secs) }
}

/// A reset as rate counters spell it: `12s`, `1.5s`, `900ms`, seconds from now, or an instant.
pub(crate) fn span_of(text: &str, now: Timestamp) -> Option<Duration> {
    const DAY: u64 = 86_400;
    let text = text.trim();
    if let Some(millis) = text.strip_suffix("ms") {
        return Some(Duration::from_millis(count(millis)?));
    }
    if let Some(secs) = text.strip_suffix('s') {
        let secs = secs.parse::<f64>().ok().filter(|secs| *secs > 0.0)?;
        return Duration::try_from_secs_f64(secs).ok();
    }
    match count(text)? {
        secs @ ..=DAY => Some(Duration::from_secs(secs)),
        _ => epoch(text).map(|at| at.since(now)).filter(|wait| !wait.is_zero()),
    }
}

/// A whole number above zero.
fn count(text: &str) -> Option<u64> {
    text.trim().parse::<u64>().ok().filter(|number| *number > 0)
}
