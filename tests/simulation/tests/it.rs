//! Many seeds of the whole: what must hold holds for each of them, and what is broken on purpose is noticed.

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use codex_auth_simulation::{Flaw, Tally, simulate};

/// Seeds that once found a fault, run before all others.
const FOUND: [u64; 6] = [20, 97, 4092, 6481, 9267, 10_156];

#[expect(clippy::disallowed_methods, reason = "how long to look is said from outside, as for every long test")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The seeds to run: one that is named, a span of them (`1000..2000`), or the first so many.
fn seeds() -> Vec<u64> {
    if let Some(named) = told("CODEX_AUTH_SEED") {
        let number = |text: &str| text.trim().parse::<u64>().expect("a seed is a number");
        return match named.split_once("..") {
            Some((first, end)) => (number(first)..number(end)).collect(),
            None => vec![number(&named)],
        };
    }
    let is_long = told("CODEX_AUTH_LONG").is_some_and(|long| long == "1");
    FOUND.into_iter().chain(0..if is_long { 100_000 } else { 2_000 }).collect()
}

/// What repeats one seed alone.
fn again(seed: u64) -> String {
    format!("CODEX_AUTH_SEED={seed} cargo test -p codex-auth-simulation what_must_hold")
}

/// Runs every seed, as many at a time as there are cores; the line of the first one that does not hold ends it.
fn run_all(seeds: &[u64]) -> Tally {
    let hands = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Ok(Tally::default())));
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
            let came_to =
                simulate(*seed, Flaw::None).map_err(|broken| format!("seed {seed}: {broken}; again: {}", again(*seed)));
            let mut sum = sum.lock().expect("nobody panics");
            match (&mut *sum, came_to) {
                (Ok(sum), Ok(tally)) => *sum = sum.plus(tally),
                (Ok(_), Err(broken)) => *sum = Err(broken),
                (Err(_), _) => return,
            }
        }
    };
    thread::scope(|scope| (0..hands).for_each(|_| drop(scope.spawn(work))));
    sum.into_inner().expect("nobody panics").unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn what_must_hold_holds_for_every_seed() {
    let seeds = seeds();
    let sum = run_all(&seeds);
    println!("{} seeds: {sum:?}", seeds.len());
    let count = seeds.len() as u64;
    if count >= 500 {
        assert!(sum.served > count && sum.moved > count / 10 && sum.presentations > count / 10, "{sum:?}");
        assert!(sum.rows > count && sum.bonds_kept > count / 10 && sum.overlaps > count / 10, "{sum:?}");
        let failures = [sum.model_limits, sum.over_budget, sum.failed_at_once, sum.failed_later];
        assert!(failures.iter().all(|each| *each > count / 20), "{sum:?}");
        assert!(sum.crashes > count / 10 && sum.cancelled > count / 10 && sum.disk_errors > count / 100, "{sum:?}");
    }
}

#[test]
fn the_same_seed_does_the_same() {
    for seed in 0..5 {
        assert_eq!(simulate(seed, Flaw::None), simulate(seed, Flaw::None));
    }
}

/// Whoever notices it notices it by the rule that is meant, or by one that may come sooner; and somebody by the former.
#[track_caller]
fn check_noticed(flaw: Flaw, meant: &str, sooner: &[&str]) {
    let found: Vec<String> = (0..200).filter_map(|seed| simulate(seed, flaw).err()).collect();
    let is_by = |found: &String, rule: &str| found.contains(rule);
    assert!(found.iter().any(|found| is_by(found, meant)), "{flaw:?}: {found:#?}");
    let by_another = |found: &&String| !is_by(found, meant) && !sooner.iter().any(|rule| is_by(found, rule));
    let others: Vec<&String> = found.iter().filter(by_another).collect();
    assert!(others.is_empty(), "{flaw:?}: {others:#?}");
}

#[test]
fn flaws_are_noticed() {
    check_noticed(Flaw::ForgetfulJournal, "presented after an attempt", &[]);
    // A request without its client mostly ends before it asks a second account; then it is its row that tells.
    check_noticed(Flaw::DeafToLeaving, "its client is gone", &["tells another end", "has no row in the ledger"]);
    check_noticed(Flaw::PolicyAsFault, "policy refused", &[]);
}
