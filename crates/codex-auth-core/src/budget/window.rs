//! Owns the calendar windows of budgets, in UTC.

use crate::Timestamp;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A calendar window in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first of the month.
    Month,
}

impl Window {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The window of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.as_str() == word)
    }

    /// When the window that holds at `now` began.
    pub fn begins(self, now: Timestamp) -> Timestamp {
        let floor = |unit: i64| now.as_millis().div_euclid(unit) * unit;
        let today = now.as_millis().div_euclid(DAY);
        Timestamp::from_millis(match self {
            Self::Hour => floor(HOUR),
            Self::Day => floor(DAY),
            // The epoch was a Thursday, three days after a Monday.
            Self::Week => (today - (today + 3).rem_euclid(7)) * DAY,
            Self::Month => (today - day_of_month(today) + 1) * DAY,
        })
    }

    /// When the window that holds at `now` ends and the next one begins.
    pub fn ends(self, now: Timestamp) -> Timestamp {
        let begin = self.begins(now).as_millis();
        Timestamp::from_millis(match self {
            Self::Hour => begin + HOUR,
            Self::Day => begin + DAY,
            Self::Week => begin + 7 * DAY,
            // No month has 32 days, and the 32nd day after a first lies in the month after it.
            Self::Month => self.begins(Timestamp::from_millis(begin + 31 * DAY)).as_millis().max(begin + 28 * DAY),
        })
    }
}

/// The day of the month, from 1, of a day counted from the epoch, in the calendar without end in both directions.
fn day_of_month(day: i64) -> i64 {
    // Counted from a first of March, a leap day is the last of its year and months have a pattern of five.
    const FROM_MARCH_OF_YEAR_0: i64 = 719_468;
    const FOUR_CENTURIES: i64 = 146_097;
    let of_era = (day + FROM_MARCH_OF_YEAR_0).rem_euclid(FOUR_CENTURIES);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(window: Window, now: i64, expect: (i64, i64)) {
        let now = Timestamp::from_secs(now);
        let secs = |at: Timestamp| at.as_millis() / 1000;
        assert_eq!((secs(window.begins(now)), secs(window.ends(now))), expect);
    }

    #[test]
    fn windows_follow_the_calendar() {
        // 2026-01-11 13:45:10 UTC, a Sunday; the contract's own vector.
        let now = 1_768_139_110;
        check(Window::Hour, now, (1_768_136_400, 1_768_140_000));
        check(Window::Day, now, (1_768_089_600, 1_768_176_000));
        check(Window::Week, now, (1_767_571_200, 1_768_176_000));
        check(Window::Month, now, (1_767_225_600, 1_769_904_000));
    }

    #[test]
    fn months_have_their_lengths() {
        // 2028-02-29 12:00 UTC; 2100-02-28, which is no leap year; 2026-12-31 23:59:59.
        check(Window::Month, 1_835_438_400, (1_832_976_000, 1_835_481_600));
        check(Window::Month, 4_107_456_000, (4_105_123_200, 4_107_542_400));
        check(Window::Month, 1_798_761_599, (1_796_083_200, 1_798_761_600));
    }
}
