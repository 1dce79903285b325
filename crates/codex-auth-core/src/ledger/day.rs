//! A day of the calendar in UTC, which groups of a summary and prices are named by.

use std::fmt;

use crate::Timestamp;

const DAY_MS: i64 = 86_400_000;
/// Days of an era of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to the epoch.
const TO_EPOCH: i64 = 719_468;

/// A day: how many days after the epoch it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(i64);

impl Day {
    /// The day of an instant.
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_millis().div_euclid(DAY_MS))
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(DAY_MS))
    }

    /// The day of a date; `None` for one that no calendar has.
    pub fn of_date(year: i64, month: i64, day: i64) -> Option<Self> {
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Years that begin in March have their leap day at the end.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * month + 2) / 5 + day - 1;
        let made = Self(era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_EPOCH);
        // The thirtieth of February comes out as another date.
        let (_, told_month, told_day) = made.date();
        let month = if month < 10 { month + 3 } else { month - 9 };
        (told_month == month && told_day == day).then_some(made)
    }

    /// `2026-09-21` as a day.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |digits: usize| {
            let part =
                parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()));
            part?.parse().ok()
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        parts.next().is_none().then(|| Self::of_date(year, month, day))?
    }

    /// Year, month and day.
    fn date(self) -> (i64, i64, i64) {
        let from_march = self.0 + TO_EPOCH;
        let (era, of_era) = (from_march.div_euclid(ERA), from_march.rem_euclid(ERA));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year_of_era + i64::from(month <= 2), month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: i64) {
        let day = Day::parse(text).expect("a date");
        assert_eq!((day.begins().as_millis(), day.to_string().as_str()), (millis, text));
        assert_eq!(Day::of(Timestamp::from_millis(millis + DAY_MS - 1)), day);
    }

    #[test]
    fn dates_and_instants_are_the_same_days() {
        check("1970-01-01", 0);
        check("2000-02-29", 951_782_400_000);
        check("2026-09-21", 1_789_948_800_000);
        check("1969-12-31", -DAY_MS);
        for wrong in ["2026-02-30", "2025-02-29", "2026-13-01", "2026-00-10", "26-01-01", "2026-1-1", "", "2026-01-01-"]
        {
            assert_eq!(Day::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_day_of_five_centuries_is_read_as_it_is_written() {
        let (first, last) = (Day::parse("1600-01-01").expect("a date"), Day::parse("2100-12-31").expect("a date"));
        for number in first.0..=last.0 {
            assert_eq!(Day::parse(&Day(number).to_string()), Some(Day(number)));
        }
    }
}
