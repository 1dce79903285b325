//! How long an answer asks to wait: the contract's vectors, one line each, and its mended ones.

use std::time::Duration;

use codex_auth_core::{LONGEST_REST, LONGEST_RETRY, Timestamp, WaitFields, retry_at, wait_of};

/// 2026-01-01T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_767_268_800);

#[track_caller]
fn check(fields: WaitFields<'_>, millis: Option<u64>) {
    assert_eq!(wait_of(fields, NOW), millis.map(Duration::from_millis), "{fields:?}");
}

fn header(text: &str) -> WaitFields<'_> {
    WaitFields { retry_after: Some(text), ..WaitFields::default() }
}

fn both<'a>(millis: &'a str, seconds: &'a str) -> WaitFields<'a> {
    WaitFields { retry_after_ms: Some(millis), ..header(seconds) }
}

fn resets_at(text: &str) -> WaitFields<'_> {
    WaitFields { resets_at: Some(text), ..WaitFields::default() }
}

fn words(text: &str) -> WaitFields<'_> {
    WaitFields { message: Some(text), ..WaitFields::default() }
}

#[test]
fn the_header_in_seconds_milliseconds_and_as_a_date() {
    check(header("30"), Some(30_000));
    for nothing in ["0", "-5", "", "soon", "Thu, 01 Jan 2026 11:59:00 GMT", "2026-01-01T11:59:59Z"] {
        check(header(nothing), None);
    }
    check(WaitFields::default(), None);
    check(header("1.9"), Some(1000));
    check(header("12abc"), Some(12_000));
    check(header("Thu, 01 Jan 2026 12:01:30 GMT"), Some(90_000));
    check(both("1500", "30"), Some(1500));
    check(both("0", "30"), Some(30_000));
}

#[test]
fn f44_an_iso_date_is_no_number_of_seconds() {
    check(header("2026-01-01T12:00:10Z"), Some(10_000));
    check(header("2026-01-01T13:00:10.5+01:00"), Some(10_000));
    for broken in
        ["2026-13-01T12:00:10Z", "2026-02-29T12:00:10Z", "2026-01-01T25:00:00Z", "2026-01-01", "2026-01-01T12:00:10"]
    {
        check(header(broken), None);
    }
    check(header("2028-02-29T12:00:00Z"), Some(7 * 24 * 3_600_000));
}

#[test]
fn the_body() {
    let body = |millis, seconds| WaitFields {
        body_retry_after_ms: millis,
        body_retry_after: seconds,
        ..WaitFields::default()
    };
    check(body(Some("2500"), None), Some(2500));
    check(body(None, Some("7")), Some(7000));
    check(body(Some("0"), Some("3")), Some(3000));
    check(resets_at("1767268860"), Some(60_000));
    check(resets_at("1767268809000"), Some(9000));
    check(resets_at("1"), None);
    check(resets_at("-1767268860"), None);
}

#[test]
fn f44_the_seconds_of_a_usage_limit_are_read() {
    check(WaitFields { resets_in_seconds: Some("77"), ..WaitFields::default() }, Some(77_000));
}

#[test]
fn a_reset_is_truer_than_a_retry() {
    check(WaitFields { retry_after: Some("5"), ..resets_at("1767268860") }, Some(60_000));
    check(WaitFields { retry_after: Some("5"), resets_in_seconds: Some("77"), ..WaitFields::default() }, Some(77_000));
    check(WaitFields { retry_after: Some("5"), ..words("try again in 9s") }, Some(5000));
}

#[test]
fn the_sentence() {
    check(words("Try again in 5 minutes"), Some(300_000));
    check(words("Rate limit reached. Please try again in 1.5s. Visit …"), Some(1500));
    check(words("please retry in 250ms"), Some(250));
    check(words("Try again in 2 days"), Some(172_800_000));
    for nothing in ["try again later", "try again in a while", "try again in 5 moons", "try again in 0s", "5 minutes"] {
        check(words(nothing), None);
    }
}

#[test]
fn nothing_is_believed_without_bounds() {
    check(WaitFields { body_retry_after_ms: Some("99999999999"), ..WaitFields::default() }, Some(604_800_000));
    check(header("18446744073709551615"), Some(604_800_000));
    check(header("99999999999999999999999"), None);
    assert_eq!(retry_at(header("Sat, 01 Jan 2050 00:00:00 GMT"), NOW), Some(NOW.after(LONGEST_RETRY)));
    assert_eq!(retry_at(resets_at("9999999999"), NOW), Some(NOW.after(LONGEST_REST)));
    check(words("try again in 99999999999999999999999999 days"), None);
}
