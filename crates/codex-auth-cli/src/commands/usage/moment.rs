//! A moment as a person types it: so long ago, a date, or milliseconds.

use std::time::Duration;

use codex_auth_core::{Day, Timestamp};

/// What may be typed.
pub(super) const MOMENTS: &str =
    "Give 30m, 24h, 7d or 2w, a date such as 2026-09-21, a time such as 2026-09-21T14:00:00Z, or milliseconds.";

/// The moment of a text; `None` for one that names none.
pub(super) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(Timestamp::from_millis);
    }
    if let Some(ago) = ago(text) {
        let millis = i64::try_from(ago.as_millis()).ok()?;
        return Some(Timestamp::from_millis(now.as_millis().saturating_sub(millis)));
    }
    Day::parse(text).map(Day::begins).or_else(|| instant(text))
}

fn ago(text: &str) -> Option<Duration> {
    if let Some(weeks) = text.strip_suffix('w') {
        let days = weeks.parse::<u64>().ok()?.checked_mul(7)?;
        return crate::span::span(&format!("{days}d"));
    }
    crate::span::span(text)
}

/// `2026-09-21T14:00:00Z`: a date, a `T`, hours, minutes and seconds in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok().filter(|_| part.len() == 2));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let is_time = hours < 24 && minutes < 60 && seconds < 60 && parts.next().is_none();
    let begins = Day::parse(date)?.begins();
    is_time.then(|| begins.after(Duration::from_secs((hours * 60 + minutes) * 60 + seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

    #[track_caller]
    fn check(text: &str, expect: Option<i64>) {
        assert_eq!(moment(text, NOW).map(Timestamp::as_millis), expect, "{text}");
    }

    #[test]
    fn moments() {
        check("30m", Some(1_789_998_200_000));
        check("24h", Some(1_789_913_600_000));
        check("7d", Some(1_789_395_200_000));
        check("2w", Some(1_788_790_400_000));
        check("1789948800000", Some(1_789_948_800_000));
        check("2026-09-21", Some(1_789_948_800_000));
        check("2026-09-21T14:00:01Z", Some(1_789_999_201_000));
        for wrong in ["yesterday", "", "2026-09-31", "2026-09-21T25:00:00Z", "2026-09-21T14:00Z", "-3d", "1y", "w"] {
            check(wrong, None);
        }
    }
}
