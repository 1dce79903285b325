//! `OpenCode`'s document through the engine: both domains, beside a running plugin, and what a crash leaves.

use std::{sync::Arc, time::Duration};

use camino::Utf8PathBuf;
use codex_auth_core::{
    AccountStore as _, Intent, RecordId, Rest, RestReason, RestScope, SavedPool, Timestamp, testing::ManualClock,
};
use codex_auth_store::{
    Document, FileStore, Notice, Operation, OsFs, StateFile, Waits,
    documents::{
        opencode_affinity::{ModePins, SessionAffinity},
        opencode_cache::{ClientVersion, ModelCatalog},
        opencode_snapshots::{OpenCodeSnapshot, QuotaSnapshots},
    },
    merge,
    opencode::{Domain, OpenCodeFile},
    testing::conformance::{
        Effort,
        accounts::{self, StoreWorld},
    },
};
use serde_json::{Value, json};

use crate::{
    crash_points::SOON,
    world::{NOW, World, credential, put, sign_in},
};

impl World {
    fn config_root(&self) -> Utf8PathBuf {
        self.home().join(".config/opencode")
    }

    /// A domain of `OpenCode`'s document. Each store stands for a process of its own.
    pub(crate) fn opencode(&self, domain: Domain) -> FileStore {
        self.opencode_at(domain, self.clock.clone())
    }

    fn opencode_at(&self, domain: Domain, clock: Arc<ManualClock>) -> FileStore {
        // Long enough for the documents that follow a commit: until they have, the claim is held.
        let waits = Waits { refresh: Duration::from_secs(2), root: Duration::from_mins(1), ..Waits::default() };
        let layout = self.layout().with_opencode_pool_in(self.config_root(), domain);
        FileStore::over(layout, clock, Arc::new(OsFs)).with_waits(waits)
    }

    fn document(&self) -> Value {
        let text = std::fs::read(self.config_root().join("codex-accounts.json")).expect("there");
        serde_json::from_slice(&text).expect("JSON")
    }
}

/// Native has accounts 1 and 2, codex a copy of 1 and account 3.
fn begun() -> (World, FileStore, FileStore) {
    let world = World::new();
    let (native, codex) = (world.opencode(Domain::Native), world.opencode(Domain::Codex));
    native.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)])).expect("written");
    codex.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100), sign_in(3, "R3", 100)])).expect("written");
    (world, native, codex)
}

fn read(store: &FileStore) -> SavedPool {
    store.read_now().expect("readable")
}

fn tokens(store: &FileStore) -> Vec<String> {
    read(store).accounts.iter().map(|held| held.credential.refresh.expose().to_owned()).collect()
}

fn record(store: &FileStore, place: usize) -> RecordId {
    read(store).accounts[place].account.record.clone()
}

/// All files below the plugin's directory, but for what is a lock.
fn files(world: &World) -> Vec<String> {
    let mut open = vec![world.config_root()];
    let mut found = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in dir.read_dir_utf8().expect("a directory").flatten() {
            if entry.file_type().expect("seen").is_dir() {
                open.push(entry.into_path());
            } else {
                found.push(entry.path().strip_prefix(world.config_root()).expect("below").to_string());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_change_is_written_into_its_domain_alone_and_taken_back() {
    let (world, native, codex) = begun();
    let (before, others, document) = (read(&native), read(&codex), world.document());
    let gone = record(&native, 1);
    let removed = native.operate(Operation::new("remove", "removed 1 account"), |pool| {
        pool.accounts.retain(|held| held.account.record != gone);
    });
    assert_eq!(removed.expect("written").after.accounts.len(), 1);
    assert_eq!((tokens(&native), read(&codex)), (vec!["R1".to_owned()], others.clone()));
    assert_eq!(world.document()["openai"]["codex"], document["openai"]["codex"]);
    assert!(codex.operations().expect("readable").is_empty(), "a domain's log is its own");
    native.undo(None).expect("taken back");
    let after = read(&native);
    assert_eq!((&after.accounts, &after.active, read(&codex)), (&before.accounts, &before.active, others));
    let copy = native.earlier().pop().expect("a copy").path;
    native.restore(&copy, "went back").expect("restored");
    assert_eq!(world.document()["openai"]["codex"], document["openai"]["codex"]);
}

#[test]
fn the_plugin_finds_its_document_and_nothing_it_does_not_know() {
    let (world, native, codex) = begun();
    native.operate(Operation::new("remove", "removed 1 account"), |pool| drop(pool.accounts.pop())).expect("written");
    codex.edit_now(|pool| pool.affinity_generation += 1).expect("written");
    let is_ours = |name: &String| name.starts_with("codex-auth/") || name == "codex-auth.json";
    let theirs: Vec<String> = files(&world).into_iter().filter(|name| !is_ours(name)).collect();
    assert_eq!(theirs, [".gitignore", "codex-accounts.json", "codex-accounts.json.lock"]);
    let file = OpenCodeFile::new(world.config_root().join("codex-accounts.json"), Arc::new(OsFs), world.clock.clone());
    assert_eq!(Value::Object(file.read().expect("readable").document), world.document());
    let ignored = std::fs::read_to_string(world.config_root().join(".gitignore")).expect("there");
    assert!(["codex-auth.json", "codex-auth/"].iter().all(|line| ignored.lines().any(|one| one == *line)));
}

#[test]
fn what_the_format_has_no_room_for_stands_beside_it() {
    let (_world, native, codex) = begun();
    let until = Timestamp::from_secs(NOW + 600);
    let rest = Rest { until, reason: RestReason::Network, scope: RestScope::QuotaKey("codex".into()) };
    let (first, others) = (record(&native, 0), read(&codex));
    let written = native.edit_now(|pool| {
        pool.pin = Some(first.clone());
        pool.affinity_generation = 4;
        let account = &mut pool.accounts[0].account;
        (account.alias, account.label) = (Some("work".into()), Some("at work".into()));
        account.rests = vec![rest.clone(), Rest { scope: RestScope::Account, ..rest.clone() }];
    });
    let (written, after) = (written.expect("written"), read(&native));
    assert_eq!(written, after);
    assert_eq!((after.pin, after.affinity_generation), (Some(first), 4));
    let account = &after.accounts[0].account;
    assert_eq!((account.alias.as_deref(), account.label.as_deref()), (Some("work"), Some("at work")));
    assert_eq!((account.rests.len(), account.rests[0].reason), (2, RestReason::Network));
    assert!(after.accounts[0].credential.id.is_some(), "the id token");
    assert_eq!(read(&codex), others, "the same account in the other domain is another matter");
}

/// As the plugin does it: its lock, its whole file, and no idea of ours.
fn as_the_plugin(world: &World, change: impl FnOnce(&mut Value)) {
    let (path, lock) = (world.config_root().join("codex-accounts.json"), "codex-accounts.json.lock.lock");
    let lock = world.config_root().join(lock);
    while std::fs::create_dir(&lock).is_err() {
        std::thread::yield_now();
    }
    let mut document = world.document();
    change(&mut document);
    let temporary = world.config_root().join("codex-accounts.json.tmp.plugin");
    std::fs::write(&temporary, document.to_string()).expect("written");
    std::fs::rename(&temporary, &path).expect("renamed");
    std::fs::remove_dir(&lock).expect("ours to remove");
}

#[test]
fn two_processes_of_ours_and_the_plugin_lose_nothing() {
    const ROUNDS: usize = 8;
    let (world, native, _) = begun();
    std::thread::scope(|scope| {
        for (domain, from) in [(Domain::Native, 100), (Domain::Native, 200), (Domain::Codex, 300)] {
            // The plugin goes by the wall clock; a manual one far from it would take a living lock for dead.
            let (world, clock) = (&world, Arc::new(ManualClock::at(world_clock())));
            scope.spawn(move || {
                let store = world.opencode_at(domain, clock);
                for n in from..from + ROUNDS {
                    let add = |pool: &mut SavedPool| {
                        pool.affinity_generation += 1;
                        merge(pool, vec![sign_in(n, &format!("R{n}"), 0)], Timestamp::from_secs(NOW));
                    };
                    store.edit_now(add).expect("written");
                }
            });
        }
        scope.spawn(|| {
            for n in 0..ROUNDS {
                as_the_plugin(&world, |document| {
                    let rows = document["openai"]["native"]["accounts"].as_array_mut().expect("a list");
                    rows.push(json!({ "accountId": format!("t{n}"), "email": "t@x", "plan": "pro", "refresh": format!("T{n}") }));
                });
            }
        });
    });
    let all = tokens(&native);
    let ours = (100..100 + ROUNDS).chain(200..200 + ROUNDS).map(|n| format!("R{n}"));
    let lost: Vec<String> = ours.chain((0..ROUNDS).map(|n| format!("T{n}"))).filter(|one| !all.contains(one)).collect();
    assert_eq!(lost, Vec::<String>::new());
    assert_eq!(tokens(&world.opencode(Domain::Codex)).len(), 2 + ROUNDS);
    assert_eq!(read(&native).affinity_generation, 2 * ROUNDS as u64);
}

fn world_clock() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(i64::try_from(now.as_millis()).expect("small"))
}

/// Renews account 1 of the native domain.
async fn renew(native: &FileStore) {
    let record = record(native, 0);
    let mut claim = native.claim(&record).await.expect("free");
    let held = claim.look_again().await.expect("there");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    let mut fresh = credential("user-1", "ws-1", "R1-new", 0);
    fresh.generation = held.credential.generation + 1;
    claim.commit(&fresh).await.expect("kept");
    assert!(native.published(SOON));
}

#[tokio::test]
async fn a_renewed_grant_is_renewed_in_both_domains() {
    let (world, native, codex) = begun();
    renew(&native).await;
    let document = world.document();
    for domain in ["native", "codex"] {
        assert_eq!(document["openai"][domain]["accounts"][0]["refresh"], "R1-new", "{domain}");
    }
    assert_eq!(
        (tokens(&native), tokens(&codex)),
        (vec!["R1-new".into(), "R2".into()], vec!["R1-new".into(), "R3".into()])
    );
    assert_eq!(read(&codex).accounts[0].account.needs_login, None);
}

#[tokio::test]
async fn an_answer_that_waits_is_found_by_the_other_domain() {
    let (world, native, codex) = begun();
    let hasty = Waits { root: Duration::ZERO, refresh: Duration::ZERO, official: Duration::ZERO };
    let busy = std::fs::File::open(world.config_root().join("codex-accounts.json.lock")).expect("there");
    busy.try_lock().expect("free");
    renew(&native.clone().with_waits(hasty)).await;
    assert_eq!(world.document()["openai"]["native"]["accounts"][0]["refresh"], "R1");
    assert_eq!(tokens(&codex), ["R1-new", "R3"], "nobody presents what is spent");
    drop(busy);
    codex.edit_now(|_| {}).expect("written");
    assert_eq!(world.document()["openai"]["native"]["accounts"][0]["refresh"], "R1-new");
}

#[tokio::test]
async fn what_one_domain_began_is_not_forgotten_by_the_other() {
    let (_world, native, codex) = begun();
    let second = record(&native, 1);
    let mut claim = native.claim(&second).await.expect("free");
    let token = read(&native).accounts[1].credential.refresh.clone();
    assert_eq!(claim.intend(&token).await, Ok(Intent::Clear));
    drop(claim);
    codex.edit_now(|pool| pool.affinity_generation += 1).expect("written");
    let mut claim = native.claim(&second).await.expect("free");
    assert_eq!(claim.intend(&token).await, Ok(Intent::MaybeSpent));
}

#[test]
fn a_broken_document_is_kept_and_copies_bring_both_domains_back() {
    let (world, native, codex) = begun();
    let (ours, theirs) = (tokens(&native), tokens(&codex));
    // A copy of what there is now is made by the next change of accounts.
    native
        .operate(Operation::new("add", "added 1 account"), |pool| pool.accounts.push(sign_in(4, "R4", 0)))
        .expect("written");
    world.write(&world.config_root().join("codex-accounts.json"), "{\"openai\": {\"typ");
    assert_eq!((tokens(&native), tokens(&codex)), (ours, theirs));
    let [Notice::Recovered { quarantined: Some(kept), lost: 1, .. }] = &native.notices()[..] else { panic!("told") };
    assert_eq!(std::fs::read_to_string(kept).expect("kept"), "{\"openai\": {\"typ");
    assert_eq!(kept.parent(), Some(world.config_root().join("quarantine").as_path()));
}

#[test]
fn a_broken_document_without_copies_is_kept_and_empty_defect_53() {
    let world = World::new();
    world.write(&world.config_root().join("codex-accounts.json"), "");
    let native = world.opencode(Domain::Native);
    assert!(read(&native).accounts.is_empty());
    let [notice @ Notice::Recovered { quarantined: Some(_), .. }] = &native.notices()[..] else { panic!("told") };
    assert!(notice.to_string().contains("it begins anew"), "{notice}");
    native.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 0)])).expect("work goes on");
    assert_eq!(tokens(&native), ["R1"]);
}

#[test]
fn an_empty_store_is_one_whatever_copies_there_are() {
    let (world, native, codex) = begun();
    native.reset().expect("emptied");
    assert!(read(&native).accounts.is_empty());
    assert_eq!(tokens(&codex), ["R1", "R3"]);
    world.write(&world.config_root().join("codex-accounts.json"), r#"{"openai":{"type":"oauth","accounts":[]}}"#);
    assert!(read(&native).accounts.is_empty() && read(&codex).accounts.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_domain_is_a_store() {
    let make = || {
        let world = World::new();
        let store = world.opencode(Domain::Native);
        store.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)])).expect("written");
        let records = [0, 1].map(|place| record(&store, place));
        StoreWorld::new(records, move || Arc::new(store.clone()), world)
    };
    let long = std::env::var("CODEX_AUTH_LONG").is_ok_and(|long| long == "1");
    let report = accounts::run(make, if long { Effort::LONG } else { Effort::QUICK }).await;
    assert_eq!(report.broken(), Vec::<&str>::new(), "\n{report}");
    assert_eq!(report.held(), accounts::rules());
}

/// While the plugin holds its lock, nothing is changed; then it is, and the lock is free again.
#[track_caller]
fn check_lock<D: Document>(name: &str, lock: &str, change: fn(&mut D)) {
    let world = World::new();
    let lock = world.config_root().join(lock);
    std::fs::create_dir_all(&lock).expect("made");
    let file = StateFile::<D>::of_opencode(&world.config_root(), name, world.clock.clone());
    let error = file.edit(Timestamp::from_secs(NOW), change).expect_err("the plugin is at it").to_string();
    assert!(error.starts_with(lock.as_str()) && error.contains("OpenCode"), "{error}");
    assert!(!file.path().exists());
    std::fs::remove_dir(&lock).expect("the plugin's");
    assert!(file.edit(Timestamp::from_secs(NOW), change).expect("free").is_written);
    assert!(!lock.exists());
    assert_eq!(file.path(), world.config_root().join(name));
}

#[test]
fn caches_are_changed_under_the_plugins_locks() {
    let pin = |pins: &mut SessionAffinity| {
        let seen = [("s".to_owned(), Timestamp::from_secs(NOW))].into();
        pins.modes.insert("native".into(), ModePins { seen, ..ModePins::default() });
    };
    check_lock(SessionAffinity::NAME, "cache/codex-session-affinity.json.lock.lock", pin);
    let keep = |all: &mut QuotaSnapshots| all.keep("a|b|c", OpenCodeSnapshot::default());
    check_lock(QuotaSnapshots::NAME, "cache/codex-snapshots.json.lock.lock", keep);
    let version = |known: &mut ClientVersion| known.version = Some("1.2.3".into());
    check_lock(ClientVersion::NAME, "cache.lock", version);
    let catalog = |catalog: &mut ModelCatalog| catalog.source = Some("github".into());
    check_lock("cache/codex-auth-models-shared.json", "cache.lock", catalog);
}
