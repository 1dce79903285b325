//! The judge of cache-aware routing: generator families, a model of the backend's prefix cache and quotas, and two
//! baselines. What a policy costs is counted in prompt tokens that no cache held.
//!
//! The families stand in `crates/codex-auth-core/tests/routing/`; two of them are never used for tuning.

#![expect(clippy::disallowed_methods, reason = "the figures' page is read and renewed here, when it is asked for")]

pub(crate) mod backend;
mod baselines;
pub(crate) mod family;
mod product;
mod run;
mod table;
pub(crate) mod traffic;

use self::{
    backend::Account,
    family::Start,
    table::{HYBRID, ROBIN, Row, STICKY, mean_saving, measure, page, total_saving},
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

/// The figures of the families that numbers may be tuned on, when `CODEX_AUTH_TUNING=1` asks for them.
#[test]
fn tuning() {
    if std::env::var("CODEX_AUTH_TUNING").is_ok_and(|tunes| tunes == "1") {
        println!("{}", page(&family::for_tuning().into_iter().map(measure).collect::<Vec<Row>>()));
    }
}

/// The block of the document between its marks.
fn place(document: &str) -> std::ops::Range<usize> {
    let (begin, end) = ("<!-- figures -->\n", "<!-- end of figures -->");
    let begin = document.find(begin).expect("the document has a place for the figures") + begin.len();
    begin..begin + document[begin..].find(end).expect("the place has an end")
}

/// Fewer uncached tokens than turn by turn and than pure stickiness, and no pool runs dry earlier than under the latter,
/// to one percent of the time.
fn meets_its_targets(rows: &[Row]) {
    let mut earlier = Vec::new();
    for row in rows {
        for (dry, seed) in row.dry_at.iter().zip(&row.family.seeds) {
            let later = |at: Option<i64>| at.unwrap_or(i64::MAX);
            // One request more or less decides about the last seconds.
            if later(dry[HYBRID]) < later(dry[STICKY]) / 100 * 99 {
                earlier.push(format!("{} under seed {seed}: {dry:?}", row.family.name));
            }
        }
    }
    assert!(earlier.is_empty(), "these ran dry earlier: {earlier:#?}");
    assert!(mean_saving(rows, ROBIN) >= 30.0 && total_saving(rows, ROBIN) >= 30.0);
    assert!(mean_saving(rows, STICKY) >= 10.0 && total_saving(rows, STICKY) >= 10.0);
}

#[test]
fn the_document_says_what_the_judge_finds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routing.md");
    let mut document = std::fs::read_to_string(path).expect("the document is there");
    let rows: Vec<Row> = family::all().into_iter().map(measure).collect();
    let page = page(&rows);
    meets_its_targets(&rows);
    let place = place(&document);
    if std::env::var("CODEX_AUTH_BLESS").is_ok_and(|bless| bless == "1") {
        document.replace_range(place, &page);
        std::fs::write(path, document).expect("written");
    } else {
        assert!(document[place] == page, "the document is old (CODEX_AUTH_BLESS=1 renews it); found:\n\n{page}");
    }
}
