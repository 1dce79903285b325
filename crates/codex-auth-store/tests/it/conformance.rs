//! Both engines and both stores go through the conformance kit, and the reference says what they are.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    Clock, RecordId, Timestamp,
    capability::{Caps, Contents, Fence, Parts, StorageEngine},
    testing::{ManualClock, MemoryStore, held, pool},
};
use codex_auth_store::{
    FileEngine, FileStore, MemoryEngine, Waits,
    testing::conformance::{
        self, Effort, Report, World as Subject,
        accounts::{self, StoreWorld},
    },
};

use crate::world::{NOW, World, put, sign_in};

const REFERENCE: &str = include_str!("../../../../docs/reference/capabilities.md");

fn effort() -> Effort {
    if std::env::var("CODEX_AUTH_LONG").is_ok_and(|long| long == "1") { Effort::LONG } else { Effort::QUICK }
}

fn memory() -> Subject {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let accounts = [1, 2].map(|n| held(n).account.record);
    let engine = memory_of(clock.clone());
    Subject::new(accounts, move || Arc::new(engine.clone())).with_clock(clock)
}

fn memory_of(clock: Arc<dyn Clock>) -> MemoryEngine {
    let contents = [1, 2].map(|n| (held(n).account.record, Contents::Plain(held(n).credential)));
    MemoryEngine::holding(contents, clock)
}

/// A directory with two accounts, and a store for it that is patient with the disk and not with people.
fn files() -> (World, [RecordId; 2], FileStore) {
    let world = World::new();
    // Long enough for the documents that follow a commit: until they have, the claim is held.
    let waits = Waits { refresh: Duration::from_secs(2), root: Duration::from_mins(1), ..Waits::default() };
    let store = FileStore::new(world.layout(), world.clock.clone()).with_waits(waits);
    let accounts = [sign_in(1, "R1", 100), sign_in(2, "R2", 100)];
    let records = accounts.clone().map(|held| held.account.record);
    store.edit_now(|pool| put(pool, accounts.to_vec())).expect("written");
    (world, records, store)
}

fn file() -> Subject {
    let (world, records, store) = files();
    let clock = world.clock.clone();
    // Each handle stands for a process: it shares nothing with the others but the directory.
    Subject::new(records, move || Arc::new(FileEngine::new(store.clone()))).with_clock(clock).keeping(world)
}

#[track_caller]
fn check(report: &Report, rules: &[&str]) {
    assert_eq!(report.broken(), Vec::<&str>::new(), "\n{report}");
    assert_eq!(report.held(), rules, "nothing was left out\n{report}");
}

fn all_rules() -> Vec<&'static str> {
    conformance::rules().into_iter().map(|(_, rule)| rule).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_engine_keeps_every_rule() {
    check(&conformance::run(memory, effort()).await, &all_rules());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_engine_keeps_every_rule() {
    check(&conformance::run(file, effort()).await, &all_rules());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_store_is_a_store() {
    let make = || {
        let (world, records, store) = files();
        StoreWorld::new(records, move || Arc::new(store.clone()), world)
    };
    check(&accounts::run(make, effort()).await, &accounts::rules());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_is_a_store() {
    let make = || {
        let store = MemoryStore::holding(pool(2));
        StoreWorld::new([1, 2].map(|n| held(n).account.record), move || Arc::new(store.clone()), ())
    };
    check(&accounts::run(make, effort()).await, &accounts::rules());
}

#[tokio::test]
async fn a_claim_of_the_store_and_a_lease_exclude_each_other() {
    use codex_auth_core::{AccountStore as _, StoreError, capability::CapabilityError};

    let (_world, [record, _], store) = files();
    let engine = FileEngine::new(store.clone());
    let leases = engine.parts().leases.expect("there");
    let claim = store.claim(&record).await.expect("free");
    let refused = leases.acquire(record.as_str(), Duration::from_secs(30)).await;
    assert!(matches!(refused, Err(CapabilityError::Held { until: None, .. })), "{refused:?}");
    drop(claim);
    let lease = leases.acquire(record.as_str(), Duration::from_secs(30)).await.expect("free again");
    assert!(matches!(store.claim(&record).await, Err(StoreError::Locked { .. })));
    leases.release(lease).await.expect("given back");
    store.claim(&record).await.expect("free again");
}

#[tokio::test]
async fn books_keep_what_they_do_not_know_and_refuse_what_they_cannot_read() {
    let (world, [record, _], store) = files();
    let engine = FileEngine::new(store);
    let counters = engine.parts().counters.expect("there");
    let path = world.layout().root().join("engine/counters.json");
    world.write(&path, r#"{"version":1,"theirs":1.50,"counters":{"k":{"used":1,"grants":[],"note":"keep"}}}"#);
    let _grant = counters.reserve("k", 1, 2, Duration::from_secs(30)).await.expect("there is room");
    let text = std::fs::read_to_string(&path).expect("there");
    assert!(text.contains("1.50") && text.contains("keep"), "{text}");
    world.write(&path, r#"{"version":2,"counters":{}}"#);
    let error = counters.usage("k").await.expect_err("unknown").to_string();
    assert!(error.contains("version 2") && error.contains("left as it is"), "{error}");
    world.write(&path, r#"{"version":1,"counters":{"k":{"used":"many"}}}"#);
    let error = counters.usage("k").await.expect_err("broken").to_string();
    assert!(error.contains("counters.json") && error.contains("move it away"), "{error}");
    // One broken book stops nobody else.
    assert_eq!(engine.parts().vault.expect("there").get(&record).await.expect("there").generation, 0);
}

#[tokio::test]
async fn looking_up_takes_no_lock_and_a_change_names_who_has_it() {
    let (world, ..) = files();
    let engine = FileEngine::new(world.store());
    let parts = engine.parts();
    let (facts, counters) = (parts.facts.expect("there"), parts.counters.expect("there"));
    let _grant = counters.reserve("k", 1, 2, Duration::from_secs(30)).await.expect("there is room");
    let path = world.layout().root().join("engine/counters.json.lock");
    let lock = std::fs::File::open(&path).expect("there");
    lock.lock().expect("free");
    assert_eq!(counters.usage("k").await.expect("readable").reserved, 1);
    assert_eq!(facts.latest("k").await, Ok(None), "nothing was ever told");
    let error = counters.reserve("k", 1, 2, Duration::from_secs(30)).await.expect_err("locked").to_string();
    assert_eq!(error, format!("{path} is locked by process {}; waited 0 s", std::process::id()));
}

#[test]
fn the_reference_says_what_the_engines_say() {
    let (_world, _, store) = files();
    let memory = memory_of(Arc::new(ManualClock::default()));
    let file = FileEngine::new(store);
    for line in [line(memory.caps(), memory.parts()), line(file.caps(), file.parts())] {
        assert!(REFERENCE.lines().any(|said| said == line), "missing in the reference:\n{line}");
    }
}

fn line(caps: Caps, parts: Parts<'_>) -> String {
    let Caps { engine, reach, clock, largest_item, durability, takes_plain, takes_sealed } = caps;
    let tokens = [(takes_plain, "plain"), (takes_sealed, "sealed")];
    let tokens: Vec<_> = tokens.into_iter().filter(|(takes, _)| *takes).map(|(_, word)| word).collect();
    format!(
        "| {engine} | {} | {reach} | {clock} | {largest_item} | {durability} | {} | {} |",
        parts.names().join(", "),
        tokens.join(", "),
        caps.fit_for_many_hosts(&parts).map_or_else(|unfit| format!("no: {}", unfit.why), |()| "yes".to_owned()),
    )
}

#[test]
fn the_reference_names_every_rule_and_no_other() {
    let mut rules = all_rules();
    rules.extend(accounts::rules());
    let mut named: Vec<&str> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(rule, _)| rule)
        .collect();
    rules.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, rules);
}

#[tokio::test]
async fn a_paused_holder_names_its_fence() {
    use codex_auth_core::capability::Commit;

    let (_world, [record, _], store) = files();
    let engine = FileEngine::new(store);
    let contents = Contents::Plain(held(1).credential);
    let commit = Commit { id: record.clone(), expected: 0, fence: Fence(7), contents };
    let error = engine.parts().vault.expect("there").commit(commit).await.expect_err("never granted");
    let expect =
        format!("{record} may not be changed under fence 7: that lease has ended; acquire a new one and read anew");
    assert_eq!(error.to_string(), expect);
}
