//! The forecast before a judge: families of use over weeks of virtual time, some of which it was never tuned on.
//!
//! The judge, the families and their seeds were there before the forecaster. `CODEX_AUTH_LONG=1` takes all seeds.

mod baselines;
mod chance;
mod families;
mod judge;
mod ours;
mod pooled;
mod replays;
mod world;

use std::collections::BTreeMap;

use baselines::{ConstantRate, Smoothed};
use chance::Chance;
use families::{Family, HOUR};
use judge::{Forecaster, Says, Score, Scores, judge, judge_life};
use ours::Ours;
use pooled::judge_pools;
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
        let (mut spent, mut lasted) = (0, 0);
        for life in seeds.iter().flat_map(|seed| lives(family, *seed)) {
            let Life { told, spans } = &life;
            assert!(told.len() > 500 && spans[0].len() > 20, "{family:?} hardly works: {}", told.len());
            for span in spans.iter().flatten() {
                assert!(span.runs_out.is_none_or(|out| span.begins <= out && out < span.resets_at), "{span:?}");
            }
            let ran_out = spans[0].iter().filter(|span| span.runs_out.is_some()).count();
            (spent, lasted) = (spent + ran_out, lasted + spans[0].len() - ran_out);
        }
        assert!(spent > 0 && lasted > 0, "{family:?}: {spent} windows were spent, {lasted} lasted");
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

/// The numbers of `docs/forecast.md`.
fn table(ours: &BTreeMap<Family, Scores>, pools: &BTreeMap<Family, Score>, rate: &BTreeMap<Family, Scores>) -> String {
    let held = |score: &Score| match score.said {
        0 => "–".to_owned(),
        said => format!("{:.1} % of {said}", score.coverage()),
    };
    let row = |(family, [short, long]): (&Family, &Scores)| {
        let both = short.plus(*long);
        format!(
            "| {} | {} | {} | {} | {} of {} | {:.4} | {:.4} |\n",
            family.name(),
            held(short),
            held(long),
            held(&pools[family]),
            both.lasted,
            both.lasting,
            short.brier(),
            rate[family][0].brier(),
        )
    };
    let rows: String = ours.iter().map(row).collect();
    format!(
        "| Way to work | 5 h: held | a week: held | pool: held | said to last, did | Brier | pace |\n|---|---|---|---|---|---|---|\n{rows}"
    )
}

/// The long run compares its table with the document, or writes it there.
#[expect(clippy::disallowed_methods, reason = "the document is looked at, and renewed where that is asked for")]
fn compare_with_the_document(name: &str, table: &str) {
    let (begin, finish) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/forecast.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (head, rest) = page.split_once(&begin).unwrap();
    let (old, end) = rest.split_once(&finish).unwrap();
    if std::env::var_os("CODEX_AUTH_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path, [head, &begin, table, &finish, end].concat()).unwrap();
    } else {
        assert!(old == table, "the numbers are old (CODEX_AUTH_BLESS=1 renews them):\n{table}");
    }
}

/// Fewer intervals than that say nothing of nine in ten: several of them are about one run of a window.
const ENOUGH: u32 = 400;

/// Nine in ten intervals are to hold; two in a hundred more or less with all seeds.
#[track_caller]
fn check(name: &str, score: &Score) {
    let (low, high) = if is_long() { (88.0, 92.0) } else { (84.0, 96.0) };
    let is_near = score.said < ENOUGH || (low..=high).contains(&score.coverage());
    assert!(is_near, "{name}: {:.1} % of {} held", score.coverage(), score.said);
}

#[test]
fn the_interval_holds_as_often_as_it_says_and_chances_beat_a_pace() {
    let ours = judge(&seeds(), every(), || Box::<Ours>::default());
    let rate = judge(&seeds(), every(), || Box::<ConstantRate>::default());
    let smoothed = judge(&seeds(), every(), || Box::<Smoothed>::default());
    let pools = judge_pools(&seeds(), every());
    for (family, [short, _]) in &ours {
        let name = family.name();
        assert!(short.brier() < rate[family][0].brier(), "{name}: a constant pace knows better");
        assert!(short.brier() < smoothed[family][0].brier(), "{name}: a smoothed pace knows better");
    }
    let windows = |is_wanted: &dyn Fn(Family, usize) -> bool| {
        let all = ours.iter().flat_map(|(family, scores)| scores.iter().enumerate().map(move |it| (*family, it)));
        let wanted = all.filter(|(family, (window, _))| is_wanted(*family, *window));
        wanted.fold(Score::default(), |sum, (_, (_, score))| sum.plus(*score))
    };
    let of_pools = |is_held_out: bool| {
        let wanted = pools.iter().filter(|(family, _)| family.is_held_out() == is_held_out);
        wanted.fold(Score::default(), |sum, (_, score)| sum.plus(*score))
    };
    let sums = [
        ("families for tuning", windows(&|family, _| !family.is_held_out())),
        ("families held out", windows(&|family, _| family.is_held_out())),
        ("5 h windows", windows(&|_, window| window == 0)),
        ("windows of a week", windows(&|_, window| window == 1)),
        ("pools, for tuning", of_pools(false)),
        ("pools, held out", of_pools(true)),
    ];
    let table = [table(&ours, &pools, &rate), sums_table(&sums)].concat();
    println!("{table}");
    for (name, all) in &sums {
        check(name, all);
        let lasts = all.lasting < ENOUGH || f64::from(all.lasted) >= 0.9 * f64::from(all.lasting);
        assert!(lasts, "{name}: {} of {} lasted", all.lasted, all.lasting);
    }
    if is_long() {
        compare_with_the_document("numbers", &table);
    }
}

/// What is asked for of all families together.
fn sums_table(sums: &[(&str, Score)]) -> String {
    let row = |(name, score): &(&str, Score)| {
        format!("| {name} | {:.1} % of {} | {} of {} |\n", score.coverage(), score.said, score.lasted, score.lasting)
    };
    let rows: String = sums.iter().map(row).collect();
    format!("\n| All together | held | said to last, did |\n|---|---|---|\n{rows}")
}

#[test]
fn the_traffic_of_the_routing_families_is_foretold_as_well() {
    let replayed = replays::replay(if is_long() { usize::MAX } else { 1 }, every());
    let held = |score: &Score| match score.said {
        0 => "–".to_owned(),
        said => format!("{:.1} % of {said}", score.coverage()),
    };
    let row = |(name, it): (&&str, &replays::Replayed)| {
        let [short, long] = &it.windows;
        format!("| {name} | {} | {} | {} | {:.4} |\n", held(short), held(long), held(&it.pool), short.brier())
    };
    let rows: String = replayed.iter().map(row).collect();
    let of_windows = |it: &replays::Replayed| it.windows[0].plus(it.windows[1]);
    let sums = [
        ("windows", replayed.values().map(of_windows).fold(Score::default(), Score::plus)),
        ("pools", replayed.values().map(|it| it.pool).fold(Score::default(), Score::plus)),
    ];
    let table = format!(
        "| Traffic | 5 h: held | a week: held | pool: held | Brier |\n|---|---|---|---|---|\n{rows}{}",
        sums_table(&sums)
    );
    println!("{table}");
    for (name, all) in &sums {
        check(name, all);
        let lasts = all.lasting < ENOUGH || f64::from(all.lasted) >= 0.9 * f64::from(all.lasting);
        assert!(lasts, "{name}: {} of {} lasted", all.lasted, all.lasting);
    }
    if is_long() {
        compare_with_the_document("replays", &table);
    }
}
