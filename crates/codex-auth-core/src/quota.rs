//! Quota windows as the backend reports them in response headers.
//!
//! Source: `x-codex-{primary,secondary}-{used-percent,window-minutes,reset-at,reset-after-seconds}` on model answers.

use std::time::Duration;

use crate::Timestamp;

/// One quota window of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaWindow {
    /// Share used, in percent; 100 or more means exhausted.
    pub used_percent: f64,
    /// Length of the window in minutes, where told.
    pub window_minutes: Option<u64>,
    /// When the window starts anew, where told.
    pub resets_at: Option<Timestamp>,
}

/// The windows of an account as of one answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaSnapshot {
    /// The short window (five hours for most plans).
    pub primary: Option<QuotaWindow>,
    /// The long window (a week for most plans).
    pub secondary: Option<QuotaWindow>,
    /// When the answer came.
    pub seen_at: Timestamp,
}

impl QuotaWindow {
    /// Whether the window is spent at `now`.
    pub fn is_exhausted(&self, now: Timestamp) -> bool {
        self.used_percent >= 100.0 && self.resets_at.is_none_or(|reset| now < reset)
    }

    /// Percent left at `now`; a window past its reset is full again.
    pub fn left_percent(&self, now: Timestamp) -> f64 {
        if self.resets_at.is_some_and(|reset| reset <= now) {
            return 100.0;
        }
        (100.0 - self.used_percent).clamp(0.0, 100.0)
    }
}

impl QuotaSnapshot {
    /// Reads the windows out of a header look-up; `None` when the answer carries none.
    pub fn from_headers<'a>(look_up: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> Option<Self> {
        let window = |name: &str| -> Option<QuotaWindow> {
            let field = |part: &str| look_up(&format!("x-codex-{name}-{part}")).map(str::trim);
            let used_percent = field("used-percent")?.parse::<f64>().ok().filter(|used| used.is_finite())?;
            let after = field("reset-after-seconds")
                .and_then(|text| text.parse::<u64>().ok())
                .filter(|seconds| *seconds > 0)
                .map(|seconds| now.after(Duration::from_secs(seconds)));
            Some(QuotaWindow {
                used_percent,
                window_minutes: field("window-minutes").and_then(|text| text.parse().ok()),
                resets_at: after.or_else(|| field("reset-at").and_then(epoch)),
            })
        };
        let (primary, secondary) = (window("primary"), window("secondary"));
        (primary.is_some() || secondary.is_some()).then_some(Self { primary, secondary, seen_at: now })
    }

    /// Percent left in the tightest window.
    pub fn left_percent(&self, now: Timestamp) -> f64 {
        self.windows().map(|window| window.left_percent(now)).fold(100.0, f64::min)
    }

    /// When the last exhausted window starts anew; `None` when nothing is exhausted or no reset is known.
    pub fn exhausted_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.windows().filter(|window| window.is_exhausted(now)).filter_map(|window| window.resets_at).max()
    }

    fn windows(&self) -> impl Iterator<Item = &QuotaWindow> {
        self.primary.iter().chain(self.secondary.iter())
    }
}

/// Reads an instant given in epoch seconds, or in milliseconds from ten digits on.
pub fn epoch(text: &str) -> Option<Timestamp> {
    let number = text.trim().parse::<i64>().ok().filter(|number| *number > 0)?;
    Some(if number < 10_000_000_000 { Timestamp::from_secs(number) } else { Timestamp::from_millis(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn read(pairs: &[(&str, &'static str)]) -> Option<QuotaSnapshot> {
        QuotaSnapshot::from_headers(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value), NOW)
    }

    #[test]
    fn no_headers_no_snapshot() {
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn the_tightest_window_counts() {
        let seen = read(&[("x-codex-primary-used-percent", "12.5"), ("x-codex-secondary-used-percent", "90")]);
        assert!((seen.expect("two windows").left_percent(NOW) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_full_window_counts_until_its_reset() {
        let seen = read(&[("x-codex-primary-used-percent", "100"), ("x-codex-primary-reset-at", "1000060")]);
        let seen = seen.expect("one window");
        assert_eq!(seen.exhausted_until(NOW), Some(Timestamp::from_secs(1_000_060)));
        assert_eq!(seen.exhausted_until(Timestamp::from_secs(1_000_060)), None);
    }

    #[test]
    fn milliseconds_are_told_by_their_length() {
        assert_eq!(epoch("1767268809000"), Some(Timestamp::from_millis(1_767_268_809_000)));
    }
}
