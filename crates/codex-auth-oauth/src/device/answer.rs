//! What the issuer says about a device code: the code itself, and what bought it (protocol 3, domain 3.6). Nothing of
//! an answer is kept that is not one of these.

use std::{fmt, time::Duration};

use serde_json::Value;

use codex_auth_core::Timestamp;

use crate::authorize::AuthorizationCode;

/// Seconds between two questions where the issuer names none.
const DEFAULT_INTERVAL: f64 = 5.0;
/// Shortest and longest interval, in seconds; the longest is the life of a code.
const INTERVALS: (f64, f64) = (1.0, 900.0);
/// Below this a number is seconds since the epoch, from it on milliseconds.
const FIRST_MILLIS: f64 = 1e10;
/// Longest code a person could type, in letters.
const USER_CODE_LIMIT: usize = 64;

/// A code somebody is to type.
pub(crate) struct DeviceCode {
    pub id: String,
    pub user_code: String,
    pub interval: Duration,
    /// Where the issuer says so.
    pub expires_at: Option<Timestamp>,
}

/// What the code bought: an authorization code and the issuer's own verifier for it.
#[derive(Debug)]
pub(crate) struct DeviceGrant {
    pub code: AuthorizationCode,
    pub verifier: IssuersVerifier,
}

/// A verifier that the issuer made itself.
pub(crate) struct IssuersVerifier(String);

impl IssuersVerifier {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IssuersVerifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IssuersVerifier([redacted])")
    }
}

impl fmt::Debug for DeviceCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interval, expires_at, .. } = self;
        let mut out = out.debug_struct("DeviceCode");
        out.field("interval", interval).field("expires_at", expires_at).finish_non_exhaustive()
    }
}

/// The code of a good answer; `None` when it holds none that can be shown.
pub(crate) fn read_code(body: &[u8], now: Timestamp) -> Option<DeviceCode> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let id = text(&answer, "device_auth_id")?;
    let user_code = text(&answer, "user_code").or_else(|| text(&answer, "usercode"))?;
    // It is written to a terminal.
    let is_typed = user_code.len() <= USER_CODE_LIMIT && user_code.chars().all(|letter| letter.is_ascii_graphic());
    if !is_typed {
        return None;
    }
    let interval = answer.get("interval").and_then(number).filter(|secs| *secs > 0.0).unwrap_or(DEFAULT_INTERVAL);
    let interval = Duration::from_secs_f64(interval.clamp(INTERVALS.0, INTERVALS.1));
    Some(DeviceCode { id, user_code, interval, expires_at: expiry(&answer, now) })
}

/// What a used code bought; `None` when a part is missing.
pub(crate) fn read_grant(body: &[u8]) -> Option<DeviceGrant> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let code = AuthorizationCode::new(text(&answer, "authorization_code")?);
    Some(DeviceGrant { code, verifier: IssuersVerifier(text(&answer, "code_verifier")?) })
}

fn text(answer: &Value, key: &str) -> Option<String> {
    let text = answer.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A finite number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

/// When the code ends: `expires_at` (seconds, milliseconds or a date), else `expires_in` (seconds or a date).
fn expiry(answer: &Value, now: Timestamp) -> Option<Timestamp> {
    let at = answer.get("expires_at").and_then(|at| {
        let number = number(at).filter(|number| *number > 0.0);
        number
            .and_then(|number| millis(if number < FIRST_MILLIS { number * 1000.0 } else { number }))
            .or_else(|| date(at))
    });
    at.or_else(|| {
        let within = answer.get("expires_in")?;
        let seconds = number(within).filter(|seconds| *seconds > 0.0);
        let span = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        span.map(|span| now.after(span)).or_else(|| date(within))
    })
}

/// Milliseconds since the epoch, as far as clocks of this age go.
#[expect(clippy::cast_possible_truncation, reason = "bounded above and below just before, and fractions do not matter")]
fn millis(number: f64) -> Option<Timestamp> {
    (number < 1e15).then(|| Timestamp::from_millis(number as i64))
}

fn date(value: &Value) -> Option<Timestamp> {
    let instant: jiff::Timestamp = value.as_str()?.trim().parse().ok()?;
    Some(Timestamp::from_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    /// As `code interval expiry`, the times in milliseconds, the expiry from now on.
    #[track_caller]
    fn check(rest: &str, expect: &str) {
        let body = format!(r#"{{"device_auth_id":"d-1",{rest}}}"#);
        let said = read_code(body.as_bytes(), NOW).map_or_else(
            || "nothing".to_owned(),
            |code| {
                let ends = code.expires_at.map(|end| end.as_millis() - NOW.as_millis());
                format!("{} {} {ends:?}", code.user_code, code.interval.as_millis())
            },
        );
        assert_eq!(said, expect, "{rest}");
    }

    #[test]
    fn a_code_has_either_name() {
        check(r#""user_code":"AB-12""#, "AB-12 5000 None");
        check(r#""usercode":"AB-12","user_code":" ""#, "AB-12 5000 None");
        check(r#""user_code":7"#, "nothing");
        check(r#""code":"AB-12""#, "nothing");
        assert!(read_code(br#"{"user_code":"AB-12"}"#, NOW).is_none(), "nothing to ask after");
    }

    #[test]
    fn a_code_that_cannot_be_shown_is_none() {
        check(r#""user_code":"AB\u001b[2J""#, "nothing");
        check(&format!(r#""user_code":"{}""#, "A".repeat(65)), "nothing");
    }

    #[test]
    fn intervals_are_numbers_or_texts() {
        check(r#""user_code":"A","interval":"7""#, "A 7000 None");
        check(r#""user_code":"A","interval":7.5"#, "A 7500 None");
        check(r#""user_code":"A","interval":"0""#, "A 5000 None");
        check(r#""user_code":"A","interval":-3"#, "A 5000 None");
        check(r#""user_code":"A","interval":"soon""#, "A 5000 None");
        check(r#""user_code":"A","interval":0.1"#, "A 1000 None");
        check(r#""user_code":"A","interval":1e300"#, "A 900000 None");
    }

    #[test]
    fn ends_are_instants_spans_or_dates() {
        check(r#""user_code":"A","expires_at":1790000060"#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_at":"1790000060000""#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_at":"2026-09-21T14:14:20Z""#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_in":"60""#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_in":60.5"#, "A 5000 Some(60500)");
        check(r#""user_code":"A","expires_in":"2026-09-21T14:14:20Z""#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_at":1790000060,"expires_in":5"#, "A 5000 Some(60000)");
        check(r#""user_code":"A","expires_at":"never","expires_in":5"#, "A 5000 Some(5000)");
        check(r#""user_code":"A","expires_at":1e300,"expires_in":1e300"#, "A 5000 None");
    }

    #[test]
    fn a_grant_is_whole_or_none() {
        let grant = read_grant(br#"{"authorization_code":"AC","code_verifier":"v","code_challenge":"c"}"#);
        assert_eq!(grant.map(|grant| (grant.code.expose().len(), grant.verifier.expose().len())), Some((2, 1)));
        assert!(read_grant(br#"{"authorization_code":"AC"}"#).is_none());
        assert!(read_grant(br#"{"authorization_code":"AC","code_verifier":" "}"#).is_none());
        assert!(read_grant(b"<html>").is_none());
    }
}
