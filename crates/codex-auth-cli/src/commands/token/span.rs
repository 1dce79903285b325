//! How long a capability lives, as a person types it.

use std::time::Duration;

use codex_auth_core::LONGEST_PERMIT;

/// `90s`, `30m`, `8h` or `7d`; at most 30 days.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "use a number and a unit, such as 30m, 8h or 7d; at most 30d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let span = Duration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?);
    if span.is_zero() || span > LONGEST_PERMIT { Err(wrong()) } else { Ok(span) }
}

/// The span as a person would type it.
pub(super) fn typed(span: Duration) -> String {
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
        assert_eq!(span(text).ok().map(|span| span.as_secs()), expect, "{text}");
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
        for wrong in
            ["", "h", "8", "0h", "-1h", "+1h", "1.5h", "31d", "721h", "1w", "99999999999999999999d", "8 h", "8é"]
        {
            check(wrong, None);
        }
    }
}
