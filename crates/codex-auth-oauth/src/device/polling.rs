//! What follows from each answer to "was the code used?": the tokens, another question, or the end. Pure: time and
//! chance are handed in.

use std::time::Duration;

use http::Response;

use codex_auth_core::Timestamp;

use super::answer::{DeviceCode, DeviceGrant, read_grant};
use crate::{error::DeviceError, grant::error_code, http::HttpError, issuer::asked_wait};

/// No two questions are closer, whatever the issuer asks for.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The interval does not grow beyond this by being told to slow down (plugin contract 5.7).
const SLOWEST: Duration = Duration::from_secs(30);
/// What the issuer puts before a code of this sign-in.
const PREFIX: &str = "deviceauth_";
/// Codes that say no.
const DENIALS: [&str; 3] = ["access_denied", "authorization_denied", "authorization_declined"];
/// Codes that say it is over.
const ENDS: [&str; 4] = ["expired_token", "code_expired", "device_code_expired", "authorization_expired"];

/// How often is asked whether the code was used, and how long; each product has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRhythm {
    /// Added to every interval.
    pub margin: Duration,
    /// How long at most, from the code on.
    pub limit: Duration,
    /// By how much a pause after a fault is varied, either way, in per cent.
    pub jitter_percent: u8,
}

impl DeviceRhythm {
    /// The command line's (domain 3.6).
    pub const CODEX: Self = Self { margin: Duration::ZERO, limit: Duration::from_mins(15), jitter_percent: 10 };
    /// The plugin's (plugin contract 5.7).
    pub const OPENCODE: Self =
        Self { margin: Duration::from_secs(3), limit: Duration::from_mins(10), jitter_percent: 0 };
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Somebody used the code.
    Granted(DeviceGrant),
    /// Ask again after this.
    Wait(Duration),
    /// Nobody will.
    Over(DeviceError),
}

/// One code's questions.
#[derive(Debug)]
pub(crate) struct Polling {
    rhythm: DeviceRhythm,
    base: Duration,
    interval: Duration,
    begun: Timestamp,
    deadline: Timestamp,
}

/// What one answer says.
enum Said {
    Granted(DeviceGrant),
    /// Not yet, or not so fast.
    NotYet {
        wait: Option<Duration>,
    },
    /// The issuer, or the way to it, has a fault that passes.
    Fault {
        wait: Option<Duration>,
        /// There was no answer at all.
        unanswered: Option<String>,
    },
    SlowDown,
    Over(DeviceError),
}

impl Polling {
    /// The questions about `code`, which came at `now`.
    pub(crate) fn new(rhythm: DeviceRhythm, code: &DeviceCode, now: Timestamp) -> Self {
        let limit = now.after(rhythm.limit);
        let deadline = code.expires_at.map_or(limit, |end| end.min(limit)).max(now);
        Self { rhythm, base: code.interval, interval: code.interval, begun: now, deadline }
    }

    /// When it is over at the latest.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What follows from an answer that came at `now`; `fraction` is a number from 0 up to 1 by chance.
    pub(crate) fn step(
        &mut self,
        answer: &Result<Response<Vec<u8>>, HttpError>,
        now: Timestamp,
        fraction: f64,
    ) -> Step {
        let (pause, unanswered) = match said(answer, now) {
            Said::Granted(grant) => return Step::Granted(grant),
            Said::Over(error) => return Step::Over(error),
            Said::NotYet { wait } => (wait.unwrap_or(self.interval + self.rhythm.margin), None),
            Said::SlowDown => {
                self.interval = (self.interval + self.base).min(SLOWEST.max(self.base));
                (self.interval + self.rhythm.margin, None)
            }
            Said::Fault { wait, unanswered } => (wait.unwrap_or_else(|| self.varied(fraction)), unanswered),
        };
        let left = self.deadline.since(now);
        if left.is_zero() {
            let waited = self.deadline.since(self.begun);
            let timed_out = DeviceError::TimedOut { waited };
            return Step::Over(unanswered.map_or(timed_out, |why| DeviceError::Unanswered { why }));
        }
        // The last question is asked at the very end.
        Step::Wait(pause.max(SHORTEST_PAUSE).min(left))
    }

    fn varied(&self, fraction: f64) -> Duration {
        let share = f64::from(self.rhythm.jitter_percent) / 100.0;
        (self.interval + self.rhythm.margin).mul_f64(1.0 - share + 2.0 * share * fraction)
    }
}

fn said(answer: &Result<Response<Vec<u8>>, HttpError>, now: Timestamp) -> Said {
    let answer = match answer {
        Ok(answer) => answer,
        Err(HttpError::Unsent { why } | HttpError::BrokeOff { why }) => {
            return Said::Fault { wait: None, unanswered: Some(why.clone()) };
        }
    };
    let status = answer.status();
    if status.is_success() {
        return read_grant(answer.body()).map_or(Said::Over(DeviceError::GrantUnusable), Said::Granted);
    }
    let code = error_code(answer.body());
    let word = code.as_deref().map(|code| code.strip_prefix(PREFIX).unwrap_or(code));
    let among = |known: &[&'static str]| word.and_then(|word| known.iter().copied().find(|known| *known == word));
    if let Some(code) = among(&DENIALS) {
        return Said::Over(DeviceError::Denied { code });
    }
    if among(&ENDS).is_some() {
        return Said::Over(DeviceError::Expired);
    }
    let wait = asked_wait(answer.headers(), now);
    match (word, status.as_u16()) {
        (Some("slow_down"), 400..=499) => Said::SlowDown,
        (Some("authorization_pending"), 400..=499) | (_, 403 | 404) => Said::NotYet { wait },
        (_, 408 | 429 | 500..=599) => Said::Fault { wait, unanswered: None },
        (_, status) => Said::Over(DeviceError::Refused { status, code }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    fn polling(rhythm: DeviceRhythm) -> Polling {
        let (id, user_code) = ("d-1".to_owned(), "AB-12".to_owned());
        Polling::new(rhythm, &DeviceCode { id, user_code, interval: Duration::from_secs(5), expires_at: None }, NOW)
    }

    fn says(status: u16, wait: &str, body: &str) -> Response<Vec<u8>> {
        let answer = Response::builder().status(status);
        let answer = if wait.is_empty() { answer } else { answer.header("retry-after", wait) };
        answer.body(body.as_bytes().to_vec()).expect("a good status")
    }

    fn shown(step: Step) -> String {
        match step {
            Step::Granted(_) => "granted".to_owned(),
            Step::Wait(pause) => format!("{} ms", pause.as_millis()),
            Step::Over(error) => error.to_string(),
        }
    }

    /// What both products make of an answer; chance is in the middle.
    #[track_caller]
    fn check(status: u16, wait: &str, body: &str, [codex, opencode]: [&str; 2]) {
        for (rhythm, expect) in [(DeviceRhythm::CODEX, codex), (DeviceRhythm::OPENCODE, opencode)] {
            let said = shown(polling(rhythm).step(&Ok(says(status, wait, body)), NOW, 0.5));
            assert_eq!(said, expect, "{status} {wait} {body}");
        }
    }

    #[test]
    fn not_yet_is_asked_again_at_the_interval() {
        let at_the_interval = ["5000 ms", "8000 ms"];
        check(403, "", "", at_the_interval);
        check(404, "", r#"{"error":"not_found"}"#, at_the_interval);
        check(403, "", r#"{"error":{"code":"deviceauth_authorization_pending"}}"#, at_the_interval);
        check(400, "", r#"{"error":"authorization_pending"}"#, at_the_interval);
        check(403, "9", "", ["9000 ms"; 2]);
    }

    #[test]
    fn faults_pass() {
        for status in [408, 429, 500, 502, 503, 504] {
            check(status, "", "", ["5000 ms", "8000 ms"]);
            check(status, "1", "", ["1000 ms"; 2]);
        }
        let pauses = [0.0, 0.5, 0.999].map(|fraction| {
            let step = polling(DeviceRhythm::CODEX).step(&Ok(says(503, "", "")), NOW, fraction);
            shown(step)
        });
        assert_eq!(pauses, ["4500 ms", "5000 ms", "5499 ms"]);
        let gone = Err(HttpError::BrokeOff { why: "timed out".to_owned() });
        assert_eq!(shown(polling(DeviceRhythm::OPENCODE).step(&gone, NOW, 0.9)), "8000 ms");
    }

    #[test]
    fn slowing_down_adds_the_interval_up_to_half_a_minute() {
        let mut polling = polling(DeviceRhythm::OPENCODE);
        let slow = Ok(says(400, "", r#"{"error":"slow_down"}"#));
        let pauses: Vec<_> = (0..7).map(|_| shown(polling.step(&slow, NOW, 0.5))).collect();
        let grown = ["13000 ms", "18000 ms", "23000 ms", "28000 ms", "33000 ms", "33000 ms", "33000 ms"];
        assert_eq!(pauses, grown);
        assert_eq!(shown(polling.step(&Ok(says(403, "", "")), NOW, 0.5)), "33000 ms", "it stays slow");
    }

    #[test]
    fn a_denial_and_an_end_are_heard_whatever_the_status() {
        for status in [400, 403, 404] {
            let denied = "the device sign-in was denied: access_denied";
            check(status, "", r#"{"error":"access_denied"}"#, [denied; 2]);
            check(status, "", r#"{"error":{"code":"deviceauth_access_denied"}}"#, [denied; 2]);
            check(status, "", r#"{"error":"expired_token"}"#, ["the device code expired before it was used"; 2]);
        }
    }

    #[test]
    fn everything_else_ends_it() {
        check(400, "", r#"{"error":"invalid_request"}"#, ["Device auth failed with status 400: invalid_request"; 2]);
        check(410, "", "CANARY is no code", ["Device auth failed with status 410"; 2]);
        check(302, "", "", ["Device auth failed with status 302"; 2]);
        check(200, "", r#"{"authorization_code":"AC"}"#, ["Device auth response failed schema validation"; 2]);
        check(200, "", r#"{"authorization_code":"AC","code_verifier":"v"}"#, ["granted"; 2]);
    }

    #[track_caller]
    fn at(left_secs: u64, answer: &Result<Response<Vec<u8>>, HttpError>, expect: &str) {
        let mut polling = polling(DeviceRhythm::CODEX);
        let waited = DeviceRhythm::CODEX.limit.saturating_sub(Duration::from_secs(left_secs));
        assert_eq!(shown(polling.step(answer, NOW.after(waited), 0.5)), expect, "{left_secs} s left");
    }

    #[test]
    fn the_last_question_is_at_the_end() {
        let gone = Err(HttpError::Unsent { why: "no route".to_owned() });
        at(6, &Ok(says(403, "", "")), "5000 ms");
        at(3, &Ok(says(403, "", "")), "3000 ms");
        at(3, &Ok(says(429, "86400", "")), "3000 ms");
        at(0, &Ok(says(403, "", "")), "Device auth timed out after 15 min");
        at(0, &gone, "the issuer did not answer the device sign-in: no route");
        at(0, &Ok(says(200, "", r#"{"authorization_code":"AC","code_verifier":"v"}"#)), "granted");
    }

    #[track_caller]
    fn lasts(rhythm: DeviceRhythm, expires_in: Option<u64>, expect_secs: u64) {
        let expires_at = expires_in.map(|secs| NOW.after(Duration::from_secs(secs)));
        let code = DeviceCode { expires_at, id: String::new(), user_code: String::new(), interval: SHORTEST_PAUSE };
        assert_eq!(Polling::new(rhythm, &code, NOW).deadline().since(NOW), Duration::from_secs(expect_secs));
    }

    #[test]
    fn it_lasts_as_long_as_the_code_and_no_longer_than_the_product_waits() {
        lasts(DeviceRhythm::CODEX, None, 900);
        lasts(DeviceRhythm::CODEX, Some(90), 90);
        lasts(DeviceRhythm::CODEX, Some(3600), 900);
        lasts(DeviceRhythm::OPENCODE, Some(900), 600);
    }
}
