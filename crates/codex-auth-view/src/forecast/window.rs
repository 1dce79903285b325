//! How long one window lasts, in words and as a document.

use std::time::Duration;

use codex_auth_core::{Outlook, RunOut, Timestamp};
use serde::Serialize;

use crate::wait::left;

/// One window of an account, and when it runs out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowForecast {
    /// What it is called: `5h`, `7d`.
    pub window: String,
    /// Its length in minutes.
    pub window_minutes: u64,
    /// Share left, in percent.
    pub left_percent: f64,
    /// When it starts anew, in milliseconds since the epoch.
    pub resets_at: i64,
    /// When it runs out at the pace of the past.
    pub runs_out: RunsOut,
}

/// When a window runs out. Instants are milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum RunsOut {
    /// It is spent.
    Spent,
    /// It starts anew before.
    Lasts {
        /// How sure that is, from 0 to 1.
        surely: f64,
    },
    /// Nine times in ten not before `from`, and not after `to`, where there is one.
    Between {
        /// Not before this.
        from: i64,
        /// As likely before as after; none where it rather lasts.
        likely: Option<i64>,
        /// Not after this; none where it may also last until it starts anew.
        to: Option<i64>,
    },
}

impl From<RunOut> for RunsOut {
    fn from(says: RunOut) -> Self {
        match says {
            RunOut::Spent => Self::Spent,
            RunOut::Lasts { surely } => Self::Lasts { surely },
            RunOut::Between { from, likely, to } => Self::Between {
                from: from.as_millis(),
                likely: likely.map(Timestamp::as_millis),
                to: to.map(Timestamp::as_millis),
            },
        }
    }
}

/// `5h`, `7d`, `90m`; `quota` where nobody told.
pub(super) fn name_of(length: Option<Duration>) -> String {
    match length.map(|length| length.as_secs() / 60) {
        Some(minutes) if minutes > 0 && minutes % 1440 == 0 => format!("{}d", minutes / 1440),
        Some(minutes) if minutes > 0 && minutes % 60 == 0 => format!("{}h", minutes / 60),
        Some(minutes) => format!("{minutes}m"),
        None => "quota".to_owned(),
    }
}

impl WindowForecast {
    /// A window with what was said of it.
    pub fn new(length: Duration, outlook: &Outlook, runs_out: RunOut) -> Self {
        Self {
            window: name_of(Some(length)),
            window_minutes: length.as_secs() / 60,
            left_percent: outlook.left(),
            resets_at: outlook.resets_at().as_millis(),
            runs_out: runs_out.into(),
        }
    }

    /// `5h 58% left: runs out in 1h 20m (90%: 50m 0s to 2h 10m)`
    pub(super) fn words(&self, now: Timestamp) -> String {
        let span = |at: i64| left(Timestamp::from_millis(at), now);
        let Self { window, left_percent, resets_at, .. } = self;
        let reset = span(*resets_at);
        let said = match &self.runs_out {
            RunsOut::Spent => format!("spent, starts anew in {reset}"),
            RunsOut::Lasts { surely } => format!("lasts until it starts anew in {reset} ({:.0}% sure)", surely * 100.0),
            RunsOut::Between { from, likely: Some(likely), to: Some(to) } => {
                format!("runs out in {} (90%: {} to {})", span(*likely), span(*from), span(*to))
            }
            RunsOut::Between { from, likely: Some(likely), to: None } => {
                format!("runs out in {}, or lasts (90%: not before {})", span(*likely), span(*from))
            }
            RunsOut::Between { from, likely: None, .. } => {
                format!("rather lasts until it starts anew in {reset} (90%: not spent before {})", span(*from))
            }
        };
        format!("{window} {left_percent:.0}% left: {said}")
    }
}
