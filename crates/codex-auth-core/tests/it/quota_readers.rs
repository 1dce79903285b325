//! The readers of quotas: what is well written is read, and nothing that is not can do harm.

use std::time::Duration;

use codex_auth_core::{
    Credits, LONGEST_REST, Limit, LimitsEvent, Quota, Refused, Report, Source, Span, Timestamp, UsagePayload,
};
use proptest::{
    prelude::{Strategy, any, prop, prop_assert},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn read(headers: &[(&str, &str)]) -> Option<Report> {
    Report::of_headers(headers.iter().copied(), NOW)
}

fn usage(text: &str) -> Report {
    serde_json::from_str::<UsagePayload>(text).expect("a usage document").report(NOW)
}

/// What a report tells of windows: limit, length, share, seconds until the end.
fn windows(report: &Report) -> Vec<(Limit, Span, f64, Option<u64>)> {
    let row = |(limit, span, reading): &(Limit, Span, codex_auth_core::Reading)| {
        (limit.clone(), *span, reading.used_percent, reading.resets_at.map(|at| at.since(NOW).as_secs()))
    };
    report.windows.iter().map(row).collect()
}

fn family(id: &str) -> Limit {
    Limit::Family(id.to_owned())
}

#[test]
fn headers_without_quotas_tell_nothing() {
    assert_eq!(read(&[("x-request-id", "r"), ("content-type", "text/event-stream")]), None);
    assert_eq!(read(&[("x-codex-primary-used-percent", "NaN"), ("x-codex-secondary-used-percent", "-3")]), None);
}

#[test]
fn the_accounts_own_windows_and_a_models() {
    let report = read(&[
        ("x-codex-primary-used-percent", "12.5"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "1800000600"),
        ("x-codex-secondary-used-percent", "90"),
        ("x-codex-secondary-window-minutes", "10080"),
        ("x-codex-secondary-reset-after-seconds", "7200"),
        ("x-codex-secondary-reset-at", "1"),
        ("x-codex-spark-primary-used-percent", "100"),
        ("x-codex-spark-primary-window-minutes", "300"),
        ("x-codex-spark-primary-reset-at", "1800000060"),
        ("x-codex-spark-limit-name", "GPT-5.3-Codex-Spark"),
        ("x-codex-plan-type", "Plus"),
    ])
    .expect("it tells");
    let expect = [
        (Limit::Account, Span::FiveHours, 12.5, Some(600)),
        (Limit::Account, Span::Week, 90.0, Some(7200)),
        (family("codex_spark"), Span::FiveHours, 100.0, Some(60)),
    ];
    assert_eq!(windows(&report), expect);
    assert_eq!(report.plan.as_deref(), Some("plus"));
    let mut quota = Quota::default();
    quota.learn(&report);
    let headroom = |model| quota.headroom(model, None, NOW);
    assert_eq!(headroom(Some("gpt-5.3-codex-spark")).spent_until, Some(NOW.after(Duration::from_mins(1))));
    assert_eq!(headroom(Some("gpt-5.3-codex")).spent_until, None, "a model's limit says nothing about the account");
    assert!((headroom(None).left_percent - 10.0).abs() < 1e-9);
    assert_eq!(headroom(None).expiring.map(|share| share.at), Some(NOW.after(Duration::from_mins(10))));
}

#[test]
fn an_accounts_limit_says_nothing_about_a_model_with_its_own() {
    let mut quota = Quota::default();
    quota.learn(&usage(
        r#"{"plan_type":"plus","rate_limit":{"primary_window":{"used_percent":100,"limit_window_seconds":18000,"reset_at":1800000060}},
        "additional_rate_limits":[{"limit_name":"GPT-5.3-Codex-Spark","metered_feature":"codex_bengalfox",
        "rate_limit":{"primary_window":{"used_percent":3,"limit_window_seconds":18000,"reset_at":1800000060}}}]}"#,
    ));
    assert!(quota.headroom(None, None, NOW).spent_until.is_some());
    assert_eq!(quota.headroom(Some("gpt-5.3-codex-spark"), None, NOW).spent_until, None);
}

#[test]
fn credits_pay_beyond_the_windows() {
    let spent = [
        ("x-codex-primary-used-percent", "100"),
        ("x-codex-primary-window-minutes", "300"),
        ("x-codex-primary-reset-at", "1800000600"),
    ];
    let with = |balance: &'static str| {
        let credits = [
            ("x-codex-credits-has-credits", "True"),
            ("x-codex-credits-unlimited", "0"),
            ("x-codex-credits-balance", balance),
        ];
        let report = read(&[&spent[..], &credits[..]].concat()).expect("it tells");
        let mut quota = Quota::default();
        quota.learn(&report);
        quota.headroom(None, None, NOW).spent_until
    };
    assert_eq!(with("12.5"), None);
    assert_eq!(with("0"), Some(NOW.after(Duration::from_mins(10))));
    assert_eq!(read(&[("x-codex-credits-has-credits", "true")]), None, "both flags are needed");
}

#[test]
fn counters_of_other_backends_are_a_share() {
    let report = read(&[
        ("x-ratelimit-remaining-requests", "25"),
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-reset-requests", "30s"),
        ("x-ratelimit-tokens-remaining", "0"),
        ("x-ratelimit-tokens-limit", "10"),
        ("x-ratelimit-tokens-reset", "1800000500"),
    ]);
    let expect =
        [(Limit::Account, Span::Untold(0), 75.0, Some(30)), (Limit::Account, Span::Untold(1), 100.0, Some(500))];
    assert_eq!(windows(&report.expect("it tells")), expect);
    assert_eq!(read(&[("ratelimit-remaining", "5"), ("ratelimit-limit", "0")]), None);
}

#[test]
fn the_usage_document_in_each_of_its_shapes() {
    let five = (Limit::Account, Span::FiveHours, 42.0, Some(60));
    let inner = r#"{"used_percent":42,"limit_window_seconds":18000,"reset_after_seconds":60,"reset_at":1}"#;
    let today = usage(&format!(
        r#"{{"plan_type":"pro","rate_limit":{{"allowed":true,"primary_window":{inner},"secondary_window":null}}}}"#
    ));
    assert_eq!((windows(&today), today.plan.as_deref()), (vec![five.clone()], Some("pro")));
    assert_eq!(windows(&usage(&format!(r#"{{"primary":{inner}}}"#))), vec![five]);
    let text = usage(
        r#"{"rate_limit":{"primary_window":{"used_percent":"42","limit_window_seconds":"2592000"}},"credits":{"has_credits":true,"unlimited":false,"balance":7.5}}"#,
    );
    assert_eq!(windows(&text), [(Limit::Account, Span::Month, 42.0, None)]);
    let credits = Credits { has_credits: true, unlimited: false, balance: Some("7.5".into()), seen_at: NOW };
    assert_eq!(text.credits, Some(credits));
    let rows = usage(r#"{"limits":[{"leftPct":30},{"remaining":1,"limit":4}]}"#);
    assert_eq!(
        windows(&rows),
        [(Limit::Account, Span::Untold(0), 70.0, None), (Limit::Account, Span::Untold(1), 75.0, None)]
    );
    let business = usage(r#"{"plan_type":"business","rate_limit":null,"additional_rate_limits":null}"#);
    assert_eq!(windows(&business), []);
}

#[test]
fn an_event_in_the_middle_of_a_stream() {
    let text = r#"{"type":"codex.rate_limits","plan_type":"plus","rate_limits":{"allowed":true,"primary":{"used_percent":42.5,"window_minutes":300,"reset_at":1800000060},"secondary":null}}"#;
    let report = serde_json::from_str::<LimitsEvent>(text).expect("an event").report(NOW).expect("it tells");
    assert_eq!(windows(&report), [(Limit::Account, Span::FiveHours, 42.5, Some(60))]);
    assert_eq!(report.windows[0].2.source, Source::Event);
}

#[test]
fn a_refusal_tells_the_window_it_names() {
    let until = Some(NOW.after(Duration::from_mins(9)));
    let told = Refused { until, window_minutes: Some(10_080), plan: Some("plus"), active_limit: None };
    let report = Report::of_refusal(told, NOW).expect("it tells");
    assert_eq!(windows(&report), [(Limit::Account, Span::Week, 100.0, Some(540))]);
    let other = Report::of_refusal(Refused { active_limit: Some("codex-spark"), ..told }, NOW).expect("it tells");
    assert_eq!(other.active, Some(family("codex_spark")));
    assert_eq!(Report::of_refusal(Refused { window_minutes: None, ..told }, NOW), None);
}

#[test]
fn ends_further_away_than_any_window_are_clamped() {
    let report =
        read(&[("x-codex-primary-used-percent", "100"), ("x-codex-primary-reset-after-seconds", "99999999999")]);
    assert_eq!(report.expect("it tells").windows[0].2.resets_at, Some(NOW.after(LONGEST_REST)));
}

/// Pieces from which documents and headers are put together, good and bad.
const VALUES: [&str; 18] = [
    "0",
    "1",
    "42",
    "100",
    "-1",
    "1e308",
    "NaN",
    "12abc",
    "1800000600",
    "1800000600000",
    "18446744073709551616",
    "true",
    "null",
    "\"\"",
    "\"7\"",
    "[]",
    "{\"a\":1}",
    "9223372036854775807",
];
const KEYS: [&str; 22] = [
    "rate_limit",
    "primary_window",
    "secondary_window",
    "primary",
    "used_percent",
    "limit_window_seconds",
    "window_minutes",
    "reset_after_seconds",
    "reset_at",
    "resets_at",
    "limits",
    "leftPct",
    "remaining",
    "limit",
    "credits",
    "has_credits",
    "unlimited",
    "balance",
    "additional_rate_limits",
    "metered_feature",
    "rate_limits",
    "plan_type",
];

fn documents() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&VALUES[..]).prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 5, |inner| {
        let row =
            (prop::sample::select(&KEYS[..]), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        let object = prop::collection::vec(row, 0..6).prop_map(|rows| format!("{{{}}}", rows.join(",")));
        prop::strategy::Union::new(vec![
            object.boxed(),
            prop::collection::vec(inner, 0..3).prop_map(|rows| format!("[{}]", rows.join(","))).boxed(),
        ])
    })
}

/// What holds of any report, whatever it was read from.
fn judge(report: &Report) -> Result<(), proptest::test_runner::TestCaseError> {
    for (_, _, reading) in &report.windows {
        prop_assert!(reading.used_percent.is_finite() && (0.0..=1000.0).contains(&reading.used_percent));
        prop_assert!(reading.resets_at.is_none_or(|at| at <= NOW.after(LONGEST_REST)));
        prop_assert!(reading.window_minutes != Some(0));
    }
    let mut quota = Quota::default();
    quota.learn(report);
    let headroom = quota.headroom(Some("gpt-5"), None, NOW);
    prop_assert!((0.0..=100.0).contains(&headroom.left_percent));
    prop_assert!(headroom.spent_until.is_none_or(|until| until > NOW));
    Ok(())
}

/// A runner with a fixed seed; many more cases where `CODEX_AUTH_LONG` is 1.
#[expect(clippy::disallowed_methods, reason = "the switch of the long tests")]
fn runner() -> TestRunner {
    let is_long = std::env::var_os("CODEX_AUTH_LONG").is_some_and(|long| long == "1");
    let config = Config { cases: if is_long { 40_000 } else { 600 }, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

#[test]
fn no_document_does_harm() {
    let run = runner().run(&documents(), |text| {
        if let Ok(payload) = serde_json::from_str::<UsagePayload>(&text) {
            judge(&payload.report(NOW))?;
        }
        if let Ok(event) = serde_json::from_str::<LimitsEvent>(&text)
            && let Some(report) = event.report(NOW)
        {
            judge(&report)?;
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn no_header_does_harm() {
    const NAMES: [&str; 16] = [
        "x-codex-primary-used-percent",
        "x-codex-primary-window-minutes",
        "x-codex-primary-reset-at",
        "x-codex-primary-reset-after-seconds",
        "x-codex-secondary-used-percent",
        "x-a-primary-used-percent",
        "x--primary-used-percent",
        "x-codex-a-limit-name",
        "x-codex-credits-has-credits",
        "x-codex-credits-unlimited",
        "x-codex-credits-balance",
        "x-codex-active-limit",
        "x-codex-plan-type",
        "x-ratelimit-remaining",
        "x-ratelimit-limit",
        "x-ratelimit-reset",
    ];
    let value = prop::strategy::Union::new(vec![
        prop::sample::select(&VALUES[..]).prop_map(str::to_owned).boxed(),
        any::<String>().boxed(),
    ]);
    let headers = prop::collection::vec((prop::sample::select(&NAMES[..]), value), 0..12);
    let run = runner().run(&headers, |headers| {
        let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
        if let Some(report) = Report::of_headers(pairs, NOW) {
            judge(&report)?;
        }
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}
