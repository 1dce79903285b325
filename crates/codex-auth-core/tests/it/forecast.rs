//! The forecast before a judge: families of use over weeks of virtual time, some of which it was never tuned on.
//!
//! The judge, the families and their seeds were there before the forecaster. `CODEX_AUTH_LONG=1` takes all seeds.

mod baselines;
mod chance;
mod families;
mod judge;
mod ours;
mod world;

use std::collections::BTreeMap;

use baselines::{ConstantRate, Smoothed};
use chance::Chance;
use families::{Family, HOUR};
use judge::{Forecaster, Says, Score, judge, judge_life};
use ours::Ours;
use world::{LENGTHS, Life, Span, Told, lives};

/// Families with as many of their seeds as this run takes.
fn seeds() -> BTreeMap<Family, Vec<u64>> {
    let takes = if is_long() { usize::MAX } else { 1 };
    let lines = include_str!("forecast/seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let family = |line: &str| {
        let (name, seeds) = line.split_once(':').unwrap();
        let family = Family::ALL.into_iter().find(|family| family.name() == name).unwrap();
        (family, seeds.split_whitespace().take(takes).map(|seed| seed.parse().unwrap()).collect())
    };
    lines.map(family).collect()
}

#[expect(clippy::disallowed_methods, reason = "how far to look is said from outside, as for every long test")]
fn is_long() -> bool {
    std::env::var_os("CODEX_AUTH_LONG").is_some_and(|value| value == "1")
}

/// Minutes between two questions, on average.
fn every() -> f64 {
    if is_long() { 60.0 } else { 240.0 }
}

#[test]
fn the_families_are_lived_as_they_are_described() {
    for (family, seeds) in seeds() {
        for life in seeds.iter().flat_map(|seed| lives(family, *seed)) {
            let Life { told, spans } = &life;
            assert!(told.len() > 500, "{family:?} hardly works: {}", told.len());
            for span in spans.iter().flatten() {
                assert!(span.runs_out.is_none_or(|out| span.begins <= out && out < span.resets_at), "{span:?}");
            }
            let spent = spans[0].iter().filter(|span| span.runs_out.is_some()).count();
            assert!(spans[0].len() > 20 && spent < spans[0].len(), "{family:?}: {spent} of {}", spans[0].len());
        }
        let ran_out = |seed: &u64| {
            lives(family, *seed).iter().flat_map(|life| &life.spans[0]).any(|span| span.runs_out.is_some())
        };
        assert!(seeds.iter().any(ran_out), "{family:?} never runs out");
    }
    assert!(seeds().keys().filter(|family| family.is_held_out()).count() >= 2);
}

/// Knows the truth, or says it too narrowly on purpose.
struct Seer<'a> {
    life: &'a Life,
    off: i64,
}

impl Forecaster for Seer<'_> {
    fn saw(&mut self, _told: Told) {}

    fn runs_out(&mut self, window: usize, now: i64) -> Says {
        let Span { runs_out, .. } = self.life.span(window, now).unwrap();
        runs_out.map_or(Says::Lasts, |out| Says::Between(out + self.off, Some(out + self.off + HOUR)))
    }

    fn usable(&mut self, at: i64, _now: i64) -> f64 {
        f64::from(u8::from(self.life.is_usable(at)))
    }
}

#[test]
fn the_judge_can_tell_who_knows_from_who_is_too_sure() {
    let life = lives(Family::Bursty, 1).remove(0);
    let judged = |off| judge_life(&life, &mut Seer { life: &life, off }, &mut Chance::of_seed(1), 60.0)[0];
    let Score { said, held, lasting, lasted, .. } = judged(0);
    assert!(said > 20 && lasting > 20 && judged(0).coverage() > 99.9);
    assert_eq!((held, lasted), (said, lasting));
    assert!(judged(0).brier() < 1e-9);
    assert_eq!(judged(1).held, 0);
}

#[test]
fn a_pace_alone_is_a_poor_prophet_but_no_coin() {
    let rate = judge(&seeds(), every(), || Box::<ConstantRate>::default());
    let smoothed = judge(&seeds(), every(), || Box::<Smoothed>::default());
    for scores in [rate, smoothed] {
        let all = scores.values().fold(Score::default(), |sum, scores| sum.plus(scores[0]));
        assert!((0.02..0.25).contains(&all.brier()), "{}", all.brier());
    }
    // One that is told of a spent window says so until its reset.
    let mut rate = ConstantRate::default();
    rate.saw(Told { window: 0, at: 0, used: 100.0, resets_at: LENGTHS[0] });
    assert!(rate.usable(HOUR, 0) < 0.5 && rate.usable(LENGTHS[0], 0) > 0.5);
}

#[test]
fn the_interval_holds_as_often_as_it_says_and_chances_beat_a_pace() {
    let ours = judge(&seeds(), every(), || Box::<Ours>::default());
    let rate = judge(&seeds(), every(), || Box::<ConstantRate>::default());
    let smoothed = judge(&seeds(), every(), || Box::<Smoothed>::default());
    let mut all = Score::default();
    for (family, [short, long]) in &ours {
        let (name, both) = (family.name(), short.plus(*long));
        println!(
            "{name:14} short {:5.1}% of {:5}, long {:5.1}% of {:5}, lasted {}/{}, brier {:.4} (rate {:.4}, smoothed {:.4})",
            short.coverage(),
            short.said,
            long.coverage(),
            long.said,
            both.lasted,
            both.lasting,
            short.brier(),
            rate[family][0].brier(),
            smoothed[family][0].brier(),
        );
        assert!(short.brier() < rate[family][0].brier(), "{name}: a constant pace knows better");
        assert!(short.brier() < smoothed[family][0].brier(), "{name}: a smoothed pace knows better");
        all = all.plus(both);
    }
    let (low, high) = if is_long() { (88.0, 92.0) } else { (86.0, 94.0) };
    assert!((low..=high).contains(&all.coverage()), "{:.1} % of {} held", all.coverage(), all.said);
    assert!(f64::from(all.lasted) >= 0.9 * f64::from(all.lasting), "{} of {} lasted", all.lasted, all.lasting);
}
