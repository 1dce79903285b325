//! Tellings of a quota, merged: in any order, twice, and never back.

use codex_auth_core::{Limit, Quota, Reading, Report, Source, Span, Timestamp};
use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

const HOUR: i64 = 3600;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn telling(source: Source, seen: i64, used_percent: f64, reset: Option<i64>) -> Report {
    let resets_at = reset.map(at);
    let reading = Reading { used_percent, resets_at, window_minutes: Some(300), seen_at: at(seen), source };
    Report { windows: vec![(Limit::Account, Span::FiveHours, reading)], ..Report::at(at(seen)) }
}

fn learnt<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Quota {
    let mut quota = Quota::default();
    for report in reports {
        quota.learn(report);
    }
    quota
}

fn used(quota: &Quota, now: i64) -> Option<f64> {
    quota.windows(at(now)).next().map(|state| state.reading.used_percent)
}

#[track_caller]
fn check(reports: &[Report], now: i64, expect: Option<f64>) {
    assert_eq!(used(&learnt(reports), now), expect);
    assert_eq!(used(&learnt(reports.iter().rev()), now), expect, "told backwards");
}

#[test]
fn within_one_run_of_a_window_its_use_only_grows() {
    let told = |seen, used| telling(Source::Headers, seen, used, Some(HOUR));
    check(&[told(0, 40.0), told(9, 39.0)], 10, Some(40.0));
    check(&[told(0, 40.0), told(9, 41.0)], 10, Some(41.0));
}

#[test]
fn a_later_run_replaces_an_earlier_one() {
    let old = telling(Source::Headers, 0, 100.0, Some(HOUR));
    check(&[old.clone(), telling(Source::Headers, 60, 2.0, Some(5 * HOUR))], 61, Some(2.0));
    check(&[old], HOUR, None);
}

#[test]
fn a_better_source_beats_an_older_worse_one() {
    let wrong = telling(Source::Headers, 0, 100.0, Some(HOUR));
    check(&[wrong, telling(Source::Usage, 60, 20.0, Some(HOUR))], 61, Some(20.0));
    let file = telling(Source::File, 0, 90.0, Some(HOUR));
    check(&[file, telling(Source::Headers, 60, 20.0, Some(HOUR))], 61, Some(20.0));
}

#[test]
fn a_worse_source_that_spoke_later_counts_where_it_says_more() {
    let usage = telling(Source::Usage, 0, 20.0, Some(HOUR));
    check(&[usage.clone(), telling(Source::Headers, 60, 30.0, Some(HOUR))], 61, Some(30.0));
    check(&[usage.clone(), telling(Source::Headers, 60, 10.0, Some(HOUR))], 61, Some(20.0));
    check(&[usage, telling(Source::File, 60, 10.0, Some(5 * HOUR))], 61, Some(10.0));
}

#[test]
fn a_guess_ends_by_itself() {
    let guess = telling(Source::Headers, 0, 100.0, None);
    check(std::slice::from_ref(&guess), 5 * HOUR - 1, Some(100.0));
    check(&[guess], 5 * HOUR, None);
    let weekly = Reading {
        used_percent: 100.0,
        resets_at: None,
        window_minutes: Some(10_080),
        seen_at: at(0),
        source: Source::File,
    };
    let weekly = Report { windows: vec![(Limit::Account, Span::Week, weekly)], ..Report::at(at(0)) };
    check(&[weekly], 5 * HOUR, None);
}

#[test]
fn nobody_is_kept_away_by_a_guess() {
    let guess = learnt(&[telling(Source::Headers, 0, 100.0, None)]).headroom(None, None, at(1));
    assert_eq!((guess.left_percent, guess.spent_until), (0.0, None));
    let told = learnt(&[telling(Source::Headers, 0, 100.0, Some(HOUR))]).headroom(None, None, at(1));
    assert_eq!((told.left_percent, told.spent_until), (0.0, Some(at(HOUR))));
}

#[test]
fn a_percent_of_a_week_counts_for_more_than_one_of_five_hours() {
    let room = |used: [Option<f64>; 2]| {
        let spans = [(Span::FiveHours, 300), (Span::Week, 10_080)];
        let windows = used.into_iter().zip(spans).filter_map(|(used, (span, minutes))| {
            let (resets_at, window_minutes) = (Some(at(HOUR)), Some(minutes));
            let reading =
                Reading { used_percent: used?, resets_at, window_minutes, seen_at: at(0), source: Source::Usage };
            Some((Limit::Account, span, reading))
        });
        let quota = learnt(&[Report { windows: windows.collect(), ..Report::at(at(0)) }]);
        let headroom = quota.headroom(None, None, at(1));
        (headroom.left_percent, headroom.left_percent * headroom.percent_size)
    };
    assert_eq!(room([Some(40.0), None]), (60.0, 60.0));
    assert_eq!(room([Some(40.0), Some(80.0)]), (20.0, 40.0));
    assert_eq!(room([Some(70.0), Some(80.0)]), (20.0, 30.0));
    assert_eq!(room([Some(40.0), Some(100.0)]), (0.0, 0.0));
}

#[test]
fn f41_windows_are_known_by_their_length_not_by_their_place() {
    let headers = |primary: &'static [(&'static str, &'static str)]| {
        Report::of_headers(primary.iter().copied(), at(0)).expect("it tells something")
    };
    let week_first = [
        ("x-codex-primary-used-percent", "30"),
        ("x-codex-primary-window-minutes", "10080"),
        ("x-codex-primary-reset-at", "1800500000"),
    ];
    let quota = learnt(&[headers(Box::leak(Box::new(week_first)))]);
    let spans: Vec<_> = quota.windows(at(1)).map(|state| state.span).collect();
    assert_eq!(spans, [Span::Week]);
    let mut both = quota;
    both.learn(&telling(Source::Usage, 1, 10.0, Some(HOUR)));
    assert_eq!(both.windows(at(2)).count(), 2, "the two windows are two");
    let shown = both.snapshot(at(2)).expect("two windows");
    let minutes = |window: Option<codex_auth_core::QuotaWindow>| window.and_then(|window| window.window_minutes);
    assert_eq!((minutes(shown.primary), minutes(shown.secondary)), (Some(300), Some(10_080)));
}

#[test]
fn another_plan_is_another_quota() {
    let mut quota = learnt(&[Report { plan: Some("plus".into()), ..telling(Source::Headers, 0, 100.0, Some(HOUR)) }]);
    quota.learn(&Report { plan: Some("pro".into()), ..telling(Source::Headers, 9, 11.0, Some(HOUR)) });
    assert_eq!(used(&quota, 10), Some(11.0));
    assert!(quota.headroom(None, None, at(10)).plan_size > 1.0);
}

fn reports() -> impl Strategy<Value = Vec<Report>> {
    let sources = prop_oneof![
        Just(Source::Usage),
        Just(Source::Headers),
        Just(Source::Event),
        Just(Source::Counters),
        Just(Source::File)
    ];
    let reset = prop::option::of(prop_oneof![Just(HOUR), Just(HOUR + 2), Just(6 * HOUR), -HOUR..9 * HOUR]);
    let one = (sources, 0..HOUR, 0_u32..110, reset)
        .prop_map(|(source, seen, used, reset)| telling(source, seen, f64::from(used), reset));
    prop::collection::vec(one, 0..9)
}

proptest! {
    #[test]
    fn the_order_makes_no_difference((reports, shuffled) in reports().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))) {
        prop_assert_eq!(learnt(&reports), learnt(&shuffled));
    }

    #[test]
    fn what_is_told_twice_is_told_once(reports in reports()) {
        let once = learnt(&reports);
        prop_assert_eq!(&learnt(reports.iter().chain(&reports)), &once);
    }

    /// What one source told of one run never sinks, whatever is told before or after.
    #[test]
    fn it_never_goes_back(reports in reports()) {
        let mut quota = Quota::default();
        let mut known: Option<Reading> = None;
        for report in reports.iter().filter(|report| report.windows[0].2.source == Source::Headers && report.windows[0].2.resets_at == Some(at(HOUR))) {
            quota.learn(report);
            let now = quota.windows(at(HOUR - 1)).next().expect("it was just told").reading;
            if let Some(known) = known {
                prop_assert!(now.used_percent >= known.used_percent);
            }
            known = Some(now);
        }
    }
}
