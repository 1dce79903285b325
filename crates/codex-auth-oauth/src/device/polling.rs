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
