//! A span of time, or an instant, as a person types it.

use std::time::Duration;

use codex_auth_core::Timestamp;

/// `90s`, `30m`, `8h` or `7d`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let (at, unit) = text.char_indices().next_back()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..at];
    // The parser of numbers takes a sign, a person's span has none.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(seconds)?))
}

/// An age before `now`, a day by the clock of this machine, or an instant.
pub(crate) fn instant(text: &str, now: Timestamp) -> Option<Timestamp> {
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::system()).ok();
    let at = text.parse::<jiff::Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
    if let Some(at) = at {
        return Some(Timestamp::from_millis(at.as_millisecond()));
    }
    let age = i64::try_from(span(text)?.as_millis()).ok()?;
    Some(Timestamp::from_millis(now.as_millis().checked_sub(age)?))
}

/// The span as a person would type it.
pub(crate) fn typed(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let whole = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<u64>) {
        assert_eq!(span(text).map(|span| span.as_secs()), expect, "{text}");
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["90s", "30m", "8h", "7d", "25h"] {
            assert_eq!(typed(span(text).expect("a span")), text);
        }
    }

    #[test]
    fn a_number_and_a_unit() {
        check("90s", Some(90));
        check("30m", Some(1800));
        check("8h", Some(28_800));
        check("30d", Some(2_592_000));
        check("0h", Some(0));
        for wrong in ["", "h", "8", "-1h", "+1h", "1.5h", "1w", "99999999999999999999d", "8 h", "8é", "é"] {
            check(wrong, None);
        }
    }
}
