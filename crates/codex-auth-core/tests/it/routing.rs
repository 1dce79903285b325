//! The judge of cache-aware routing: generator families, a model of the backend's prefix cache and quotas, baselines, and
//! the floor that no policy goes below. What a policy costs is counted in prompt tokens that no cache held.
//!
//! The families stand in `crates/codex-auth-core/tests/routing/`; two of them are never used for tuning.
//! `CODEX_AUTH_LONG=1` takes more seeds of each.

#![expect(clippy::disallowed_methods, reason = "the figures' page is read and renewed here, when it is asked for")]

pub(crate) mod backend;
mod baselines;
mod exhaustion;
pub(crate) mod family;
mod floor;
mod page;
mod product;
mod run;
mod table;
pub(crate) mod traffic;

use self::{
    backend::Account,
    exhaustion::compare,
    family::Start,
    page::{FEWER, in_words, page, short},
    table::{ROBIN, Row, STICKY, mean, measure, together},
    traffic::Request,
};

const MINUTE: i64 = 60_000;

/// A prompt of one part, asked at a moment and answered by an idle account.
fn prompt(parts: &[(u32, u64)]) -> Request {
    Request { at: 0, lasts: 0, session: 0, parent: None, prompt: parts.to_vec(), output: 0 }
}

fn account() -> Account {
    Account::new(Start { size: 1.0, short: (99.0, 1.0), long: (0.0, 100.0) })
}

#[test]
fn the_backend_caches_blocks_for_a_while() {
    let mut account = account();
    let (small, long, longer) = (prompt(&[(1, 1000)]), prompt(&[(1, 3000)]), prompt(&[(1, 3000), (2, 500)]));
    account.keep(&small, 0);
    assert_eq!(account.cached(&long, 1), 0, "less than 1,024 tokens are not cached");
    account.keep(&long, MINUTE);
    assert_eq!(account.cached(&long, 2 * MINUTE), 3000 / 128 * 128);
    assert_eq!(account.cached(&longer, 2 * MINUTE), 3000 / 128 * 128, "another conversation shares the beginning");
    // The beginning was used a minute after it was written, by the longer prompt.
    assert_eq!(account.cached(&long, 6 * MINUTE), 3000 / 128 * 128);
    assert_eq!(account.cached(&long, 6 * MINUTE + 1), 0, "five minutes after its last use it is gone");
}

#[test]
fn the_backend_evicts_after_an_hour_at_the_latest() {
    let mut account = account();
    let long = prompt(&[(1, 3000)]);
    (0..=15).for_each(|use_| account.keep(&long, use_ * 4 * MINUTE));
    assert_ne!(account.cached(&long, 60 * MINUTE), 0);
    assert_eq!(account.cached(&long, 60 * MINUTE + 1), 0);
}

#[test]
fn the_backend_stops_at_the_end_of_a_window() {
    let mut account = account();
    account.charge((50_000, 0, 0), 0);
    assert_eq!(account.spent_until(1), None);
    account.charge((20_000, 10_000, 0), 0);
    assert_eq!(account.spent_until(1), Some(36_000 * 100), "99 percent of six million, and 61,000");
    assert_eq!(account.spent_until(36_000 * 100), None);
}

#[test]
fn two_families_are_never_seen_by_tuning() {
    let unseen: Vec<&str> = family::all().iter().filter(|family| !family.tuning).map(|family| family.name).collect();
    assert_eq!(unseen, ["mixed-plans", "slow-evening"]);
    assert!(family::for_tuning().iter().all(|family| family.tuning));
    assert_eq!(family::all().len(), 8);
}

#[test]
fn the_same_seed_asks_the_same() {
    let family = &family::all()[2];
    let requests = traffic::of(family, 7);
    let again = traffic::of(family, 7);
    let asked = |requests: &[Request]| requests.iter().map(|r| (r.at, r.tokens(), r.output)).collect::<Vec<_>>();
    assert_eq!(asked(&requests), asked(&again));
    let parent = requests.iter().find_map(|request| Some((request.session, request.parent?)));
    assert!(parent.is_some_and(|(child, parent)| parent < child), "subagents have parents");
}

#[test]
fn the_floor_is_what_nobody_asked_for_lately() {
    // Minutes at which prompts of so many parts are asked for, each part twenty blocks long.
    let check = |asked: &[(i64, u32)], counted: bool, blocks: u64| {
        let parts = |count: u32| (1..=count).map(|part| (part, 2560)).collect::<Vec<_>>();
        let asks = |(minute, count): &(i64, u32)| Request { at: minute * MINUTE, ..prompt(&parts(*count)) };
        let requests: Vec<Request> = asked.iter().map(asks).collect();
        let counts: Vec<bool> = (0..requests.len()).map(|place| place > 0 || counted).collect();
        assert_eq!(floor::floor(&requests, &counts), blocks * 128, "{asked:?}");
    };
    check(&[(0, 1)], true, 20);
    check(&[(0, 1), (0, 1)], true, 40);
    check(&[(0, 1), (5, 1)], true, 20);
    check(&[(0, 1), (6, 1)], true, 40);
    check(&[(0, 1), (1, 2)], true, 40);
    check(&[(0, 2), (4, 1), (8, 2)], true, 60);
    check(&[(0, 1), (1, 1)], false, 0);
    let hour: Vec<(i64, u32)> = (0..=16).map(|step| (4 * step, 1)).collect();
    check(&hour[..16], true, 20);
    check(&hour, true, 40);
}

/// Whether something is asked for from outside.
fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// Every policy over families under their own seeds, or under so many that follow the first of these.
fn rows(families: Vec<family::Family>, seeds: Option<u64>) -> Vec<Row> {
    let each = |family: family::Family| {
        let first = family.seeds[0];
        let seeds = seeds.map_or_else(|| family.seeds.clone(), |count| (first * 1000..first * 1000 + count).collect());
        measure(family, &seeds)
    };
    families.into_iter().map(each).collect()
}

/// The figures of the families that numbers may be tuned on, when `CODEX_AUTH_TUNING=1` asks for them.
#[test]
fn tuning() {
    if is_set("CODEX_AUTH_TUNING") {
        println!("{}", page(&rows(family::for_tuning(), None)));
    }
}

/// The block of the document between its marks.
fn place(document: &str) -> std::ops::Range<usize> {
    let (begin, end) = ("<!-- figures -->\n", "<!-- end of figures -->");
    let begin = document.find(begin).expect("the document has a place for the figures") + begin.len();
    begin..begin + document[begin..].find(end).expect("the place has an end")
}

/// What is asked for: fewer uncached tokens than turn by turn and than pure stickiness.
fn saves_enough(rows: &[Row]) {
    let all = together(rows);
    let check = |than: usize, fewer: f64| {
        let (mean, all) = (mean(rows, |row| row.saves(than)), all.saves(than));
        assert!(mean >= fewer && all >= fewer, "{mean:.1} and {all:.1} % fewer than {than}, not {fewer}");
    };
    check(ROBIN, 30.0);
    check(STICKY, FEWER);
}

/// No pool runs dry earlier than under stickiness.
fn lasts_as_long(rows: &[Row]) {
    for row in rows {
        for end in &row.ends {
            let gains = end.gains().unwrap_or(0);
            assert!(gains >= 0, "{} under seed {}: {} s earlier", row.family.name, end.seed, -gains / 1000);
        }
    }
}

#[test]
fn the_document_says_what_the_judge_finds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routing.md");
    let mut document = std::fs::read_to_string(path).expect("the document is there");
    let rows = rows(family::all(), None);
    let page = page(&rows);
    saves_enough(&rows);
    lasts_as_long(&rows);
    let place = place(&document);
    if is_set("CODEX_AUTH_BLESS") {
        document.replace_range(place, &page);
        std::fs::write(path, document).expect("written");
    } else {
        assert!(document[place] == page, "the document is old (CODEX_AUTH_BLESS=1 renews it); found:\n\n{page}");
    }
}

/// Seeds of each family in the long run.
const LONG: u64 = 60;

/// The same over seeds that the document does not show. Which requests are under way when an account is spent is chance,
/// and nobody knows what will be asked, so one pool in ten may run dry earlier than under stickiness. More of them do so
/// later, by more minutes together, and fewer requests are refused.
#[test]
fn many_more_seeds_say_the_same() {
    let rows = rows(family::all(), Some(if is_set("CODEX_AUTH_LONG") { LONG } else { 12 }));
    println!("{}", short(&rows));
    saves_enough(&rows);
    let ends = compare(&rows);
    assert!(ends.pools > 0, "no pool ran dry");
    let [later, earlier] = [&ends.later, &ends.earlier].map(|minutes| (minutes.len(), minutes.iter().sum::<i64>()));
    assert!(earlier.0 * 10 <= ends.pools && earlier.1 <= later.1, "{}", in_words(&rows));
    assert!(ends.refused[1] < ends.refused[0], "{}", in_words(&rows));
    assert!(earlier.0 * 2 < later.0 || !is_set("CODEX_AUTH_LONG"), "{}", in_words(&rows));
}
