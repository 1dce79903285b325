//! An account's quota: what was told of each window of each limit, by whom and when, and which telling counts.
//!
//! Windows are known by their length, never by the place they were told in: one plan's first window is five hours,
//! another's a week. A limit is the account's own or that of one model; neither says anything about the other.
//!
//! Tellings arrive late, twice and out of order, so what is kept is a union: of each sort of source the telling that
//! wins for good. Which of them counts is asked only when somebody looks:
//!
//! - a better source counts, unless a worse one that spoke later says that more is used, or that the window began anew;
//! - within one run of a window its use only grows; a later run replaces an earlier one;
//! - a telling ends with its window. Where nobody told the end, it is believed for one window, but no longer than
//!   [`GUESS_HOLDS`]: after that the account is asked again, which costs one answer and brings the truth.

use std::time::Duration;

use crate::{Headroom, Timestamp};

mod account;
mod events;
mod headers;
mod memory;
mod plan;
mod report;
mod scalar;
mod slots;
mod usage;

pub use account::{Quota, WindowState};
pub use events::LimitsEvent;
pub use memory::{QuotaMemory, Remembered};
pub use plan::plan_size;
pub use report::{Refused, Report};
pub use slots::{QuotaSnapshot, QuotaWindow};
pub use usage::UsagePayload;

/// How long a telling without an end is believed; the shortest window there is.
pub const GUESS_HOLDS: Duration = Duration::from_hours(5);

/// Ends of one run of a window that lie this close together are one end, told by two clocks.
const SAME_RUN: Duration = Duration::from_mins(5);

/// Whose limit a window belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// The account's own.
    Account,
    /// One that is metered apart, such as a model's: its id, lower-cased with `_`.
    Family(String),
}

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Five hours.
    FiveHours,
    /// Any other number of minutes.
    Other(u64),
    /// A week.
    Week,
    /// A month, of 28 to 31 days.
    Month,
    /// Nobody told; only its place among the others is known, counted from 0.
    Untold(u8),
}

/// Who told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The usage endpoint.
    Usage,
    /// Headers of an answer.
    Headers,
    /// The body of a refusal.
    ErrorBody,
    /// An event of a stream, the first or a later one.
    Event,
    /// Counters of requests and tokens in headers, from which a share was reckoned.
    Counters,
    /// A file, written by us or by another program.
    File,
}

/// How sure a telling is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The backend counted it on purpose for us.
    Counted,
    /// The backend said so by the way.
    Told,
    /// Part of it was reckoned: the share, or the end.
    Reckoned,
    /// It was read from a file.
    Remembered,
}

/// One telling about one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Share used, in percent; 100 or more means spent.
    pub used_percent: f64,
    /// When the window starts anew, where told.
    pub resets_at: Option<Timestamp>,
    /// Its length in minutes, where told.
    pub window_minutes: Option<u64>,
    /// When it was told.
    pub seen_at: Timestamp,
    /// By whom.
    pub source: Source,
}

/// What an account may use beyond its windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credits {
    /// Whether there are any.
    pub has_credits: bool,
    /// Whether there is no end to them.
    pub unlimited: bool,
    /// How many, as the backend writes it.
    pub balance: Option<String>,
    /// When it was told.
    pub seen_at: Timestamp,
}

impl Limit {
    /// The limit of this id; `codex` is the account's own.
    pub fn of_id(id: &str) -> Self {
        let id = normal(id);
        if id.is_empty() || id == "codex" { Self::Account } else { Self::Family(id) }
    }
}

/// Ids, display names and models are compared in one spelling.
fn normal(name: &str) -> String {
    let plain = |letter: char| if letter == '-' || letter == ' ' { '_' } else { letter.to_ascii_lowercase() };
    name.trim().chars().map(plain).collect()
}

/// Whether two names are one in that spelling. Asked for every account of every request: hardly any are as long.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |letter: u8| if letter == b'-' || letter == b' ' { b'_' } else { letter.to_ascii_lowercase() };
    let (one, other) = (one.trim(), other.trim());
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

impl Span {
    /// The window of this length; the backend rounds, and months differ.
    pub fn of_minutes(minutes: Option<u64>, place: u8) -> Self {
        match minutes {
            Some(295..=305) => Self::FiveHours,
            Some(10_000..=10_160) => Self::Week,
            Some(40_320..=44_640) => Self::Month,
            Some(minutes) if minutes > 0 => Self::Other(minutes),
            Some(_) | None => Self::Untold(place),
        }
    }

    /// How much one percent of it is, as a multiple of one of a five-hour window. The vendor does not say; a week's
    /// window is larger than five hours' one, and twice as large is a cautious guess: were it more, sessions would leave
    /// an account a little early.
    pub(crate) fn percent_size(self) -> f64 {
        const LONG: Duration = Duration::from_hours(24);
        if self.length().is_some_and(|length| length > LONG) { 2.0 } else { 1.0 }
    }

    /// Its length, where told.
    pub fn length(self) -> Option<Duration> {
        match self {
            Self::FiveHours => Some(Duration::from_hours(5)),
            Self::Week => Some(Duration::from_hours(7 * 24)),
            Self::Month => Some(Duration::from_hours(30 * 24)),
            Self::Other(minutes) => Some(Duration::from_mins(minutes.min(366 * 24 * 60))),
            Self::Untold(_) => None,
        }
    }
}

impl Reading {
    /// How sure it is.
    pub fn confidence(&self) -> Confidence {
        match self.source {
            Source::File => Confidence::Remembered,
            Source::Counters => Confidence::Reckoned,
            Source::Usage | Source::Headers | Source::ErrorBody | Source::Event if self.resets_at.is_none() => {
                Confidence::Reckoned
            }
            Source::Usage => Confidence::Counted,
            Source::Headers | Source::ErrorBody | Source::Event => Confidence::Told,
        }
    }

    /// When it stops being believed.
    pub fn ends_at(&self, span: Span) -> Timestamp {
        self.resets_at.unwrap_or_else(|| {
            let guess = span.length().map_or(GUESS_HOLDS, |length| length.min(GUESS_HOLDS));
            self.seen_at.after(guess)
        })
    }

    /// Percent left.
    pub fn left_percent(&self) -> f64 {
        (100.0 - self.used_percent).clamp(0.0, 100.0)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.used_percent >= 100.0
    }

    /// The one of two tellings of equal confidence that stays.
    fn later(self, other: Self) -> Self {
        let run = |reading: &Self| match reading.confidence() {
            // A reckoned or remembered end is no proof of a run: whoever spoke last stays.
            Confidence::Reckoned | Confidence::Remembered => reading.seen_at.as_millis(),
            Confidence::Counted | Confidence::Told => reading.resets_at.map_or(i64::MIN, |reset| {
                reset.as_millis().div_euclid(i64::try_from(SAME_RUN.as_millis()).unwrap_or(i64::MAX))
            }),
        };
        let order = run(&self)
            .cmp(&run(&other))
            .then(self.used_percent.total_cmp(&other.used_percent))
            .then(self.seen_at.cmp(&other.seen_at))
            .then(self.resets_at.cmp(&other.resets_at))
            .then(self.window_minutes.cmp(&other.window_minutes))
            .then(self.source.cmp(&other.source));
        if order.is_lt() { other } else { self }
    }

    /// Whether this telling of a worse source counts in place of a better one's.
    fn outdoes(&self, better: &Self) -> bool {
        if self.seen_at <= better.seen_at {
            return false;
        }
        match (self.resets_at, better.resets_at) {
            (Some(own), Some(other)) if own > other.after(SAME_RUN) => true,
            (Some(own), Some(other)) if other > own.after(SAME_RUN) => false,
            (_, _) => self.used_percent > better.used_percent,
        }
    }
}

impl Credits {
    /// Whether a spent window is no end.
    pub fn pays(&self) -> bool {
        let is_empty = |balance: &String| balance.trim().parse::<f64>().is_ok_and(|balance| balance <= 0.0);
        self.unlimited || (self.has_credits && !self.balance.as_ref().is_some_and(is_empty))
    }
}
