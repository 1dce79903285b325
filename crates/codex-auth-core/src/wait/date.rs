//! Dates as a `retry-after` header spells them: `Thu, 01 Jan 2026 12:01:30 GMT` and `2026-01-01T12:00:10Z`.

use crate::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads either form. Everything in its place, or it is no date.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    of_http(text).or_else(|| of_iso(text))
}

/// The preferred form of HTTP (RFC 9110, 5.6.7).
fn of_http(text: &str) -> Option<Timestamp> {
    let (_weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let is_all = zone == "GMT" && parts.next().is_none();
    let at = instant((number(year, 4)?, month, number(day, 2)?), clock(time)?)?;
    is_all.then_some(at)
}

/// An instant of RFC 3339, with a fraction or an offset where there is one.
fn of_iso(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once(['T', 't'])?;
    let mut parts = day.split('-');
    let date = (number(parts.next()?, 4)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    if parts.next().is_some() {
        return None;
    }
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let at = instant(date, clock(time)?)?;
    let offset = offset(zone)?;
    is_fraction.then(|| Timestamp::from_secs(at.as_secs_ceil() - offset))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let span = number(hours, 2)? * 3600 + number(minutes, 2)? * 60;
    Some(if zone.starts_with('-') { -span } else { span })
}

/// Hours, minutes and seconds.
fn clock(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(':');
    let told = (number(parts.next()?, 2)?, number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    (parts.next().is_none() && told.0 < 24 && told.1 < 60 && told.2 <= 60).then_some(told)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The instant of a day of the Gregorian calendar.
fn instant((year, month, day): (i64, i64, i64), (hour, minute, second): (i64, i64, i64)) -> Option<Timestamp> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || year < 1970 {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(Timestamp::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}
