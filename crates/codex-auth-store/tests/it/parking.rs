//! An account is in the pool or parked, never both and never neither, whatever stops us.

use std::sync::Arc;

use camino::Utf8PathBuf;
use codex_auth_core::{RecordId, StoreError, Timestamp};
use codex_auth_store::{
    FileStore, Operation, merge,
    testing::{Fault, FaultFs},
};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

const FLAGGED: &str = "openai-codex-flagged-accounts.json";

struct Begun {
    world: World,
    store: FileStore,
}

/// Two accounts.
fn begun() -> Begun {
    let world = World::with_rooms();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    Begun { world, store }
}

/// The second of them parked.
fn parked() -> Begun {
    let begun = begun();
    begun.world.quick().park(&begun.record(1), "token-invalid").expect("parked");
    begun
}

impl Begun {
    fn record(&self, index: usize) -> RecordId {
        self.store.read_now().expect("readable").accounts[index].account.record.clone()
    }

    fn path(&self, end: &str) -> Utf8PathBuf {
        self.world.layout().root().join(format!("{FLAGGED}{end}"))
    }

    fn says(&self, end: &str, value: &Value) {
        self.world.write(&self.path(end), &value.to_string());
    }

    /// The tokens in the pool, and those of parked accounts.
    fn places(&self) -> (Vec<String>, Vec<String>) {
        let pool = self.store.read_now().expect("readable").accounts;
        let parked = self.store.parked().expect("readable");
        let name = |email: &Option<String>| email.clone().expect("named").replace("@example.test", "");
        (
            pool.iter().map(|held| name(&held.account.owner.email)).collect(),
            parked.iter().map(|parked| name(&parked.owner.email)).collect(),
        )
    }

    /// The file itself, as it lies there.
    fn file(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("")).expect("there")).expect("JSON")
    }
}

/// Account 2 signs in again.
fn signs_in_again(store: &FileStore) -> Result<(), StoreError> {
    let fresh = sign_in(2, "R2-fresh", 5);
    let now = Timestamp::from_secs(NOW);
    store.operate(Operation::new("login", "signed in"), |pool| drop(merge(pool, vec![fresh], now))).map(drop)
}

fn row(n: usize) -> Value {
    json!({
        "refreshToken": format!("P{n}"), "email": format!("user-{n}@example.test"), "accountId": format!("ws-{n}"),
        "flaggedAt": 5, "flaggedReason": "token-invalid", "mine": 1,
    })
}

#[track_caller]
fn check(begun: &Begun, pool: &[&str], parked: &[&str]) {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(begun.places(), (owned(pool), owned(parked)));
}

#[test]
fn an_account_is_parked_and_comes_back_as_it_was() {
    let begun = begun();
    begun.store.edit_now(|pool| pool.accounts[1].account.alias = Some("work".into())).expect("written");
    let mut document = begun.world.accounts();
    document["accounts"][1]["mine"] = json!([1, 2]);
    begun.world.write(&begun.world.layout().accounts(), &document.to_string());
    let before = begun.store.read_now().expect("readable");
    let record = begun.record(1);
    begun.store.park(&record, "token-invalid").expect("parked");
    check(&begun, &["user-1"], &["user-2"]);
    let row = &begun.file()["accounts"][0];
    assert_eq!((&row["mine"], &row["flaggedReason"]), (&json!([1, 2]), &json!("token-invalid")));
    let told = begun.store.parked().expect("readable").remove(0);
    assert_eq!((&told.record, told.alias.as_deref()), (&record, Some("work")));
    begun.store.bring_back(&record, None).expect("back");
    check(&begun, &["user-1", "user-2"], &[]);
    let mut back = begun.store.read_now().expect("readable").accounts.remove(1);
    assert_eq!(back.account.needs_login.take().map(|needs| needs.code).as_deref(), Some("token-invalid"));
    assert_eq!(back, before.accounts[1]);
}

#[test]
fn a_sign_in_takes_a_parked_account_out_of_the_file() {
    let begun = parked();
    signs_in_again(&begun.store).expect("signed in");
    check(&begun, &["user-1", "user-2"], &[]);
    assert_eq!(begun.file()["accounts"], json!([]));
}

#[test]
fn every_move_can_be_taken_back_and_taken_back_again() {
    let begun = parked();
    begun.store.undo(None).expect("taken back");
    check(&begun, &["user-1", "user-2"], &[]);
    let undo = begun.store.operations().expect("readable").pop().expect("noted");
    begun.store.undo(Some(undo.number)).expect("taken back");
    check(&begun, &["user-1"], &["user-2"]);
    signs_in_again(&begun.store).expect("signed in");
    begun.store.undo(None).expect("taken back");
    check(&begun, &["user-1"], &["user-2"]);
    let row = &begun.file()["accounts"][0];
    assert_eq!(row["refreshToken"], json!("R2-fresh"), "tokens never go back");
    assert_eq!(row["flaggedReason"], json!("token-invalid"));
}

#[test]
fn a_parked_account_comes_back_even_when_no_copy_of_the_pool_is_left() {
    let begun = parked();
    std::fs::remove_dir_all(begun.world.layout().history_dir()).expect("removed");
    assert_eq!(begun.store.undo(None).expect("taken back").remarks, []);
    check(&begun, &["user-1", "user-2"], &[]);
}

/// Whatever step fails or stops, account 2 is in exactly one place, for a reader and on disk after the next writer.
fn check_every_step(prepare: fn() -> Begun, change: fn(&Begun, &FileStore) -> Result<(), StoreError>) {
    let steps = {
        let (begun, disk) = (prepare(), Arc::new(FaultFs::default()));
        change(&begun, &begun.world.store_over(disk.clone())).expect("no fault");
        disk.steps()
    };
    assert!(steps > 15, "{steps} steps are too few for four files");
    for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
        let begun = prepare();
        let _ = change(&begun, &begun.world.store_over(Arc::new(FaultFs::with(fault))));
        let (pool, parked) = begun.places();
        let here = |names: &[String]| usize::from(names.contains(&"user-2".to_owned()));
        assert_eq!(here(&pool) + here(&parked), 1, "{fault:?}: {pool:?} {parked:?}");
        begun.world.quick().edit_now(|pool| pool.affinity_generation += 1).expect("the disk is well again");
        assert_eq!(begun.places(), (pool.clone(), parked), "{fault:?}: the next writer changed it");
        let rows = std::fs::read(begun.path("")).ok().map_or(0, |bytes| {
            let file: Value = serde_json::from_slice(&bytes).expect("JSON");
            file["accounts"].as_array().map_or(0, Vec::len)
        });
        assert_eq!(here(&pool) + rows, 1, "{fault:?}: the file itself");
    }
}

#[test]
fn f18_parking_stops_at_any_step_with_the_account_in_one_place() {
    check_every_step(begun, |begun, store| store.park(&begun.record(1), "token-invalid").map(drop));
}

#[test]
fn f18_a_sign_in_stops_at_any_step_with_the_account_in_one_place() {
    check_every_step(parked, |_, store| signs_in_again(store));
}

#[test]
fn f18_bringing_back_stops_at_any_step_with_the_account_in_one_place() {
    check_every_step(parked, |begun, store| {
        let record = begun.store.parked().expect("readable").remove(0).record;
        store.bring_back(&record, None).map(drop)
    });
}

#[test]
fn f16_a_file_that_was_removed_is_not_brought_back_by_its_copies() {
    let begun = parked();
    begun.says(".bak", &json!({ "version": 1, "accounts": [row(7)] }));
    std::fs::remove_file(begun.path("")).expect("removed");
    check(&begun, &["user-1"], &[]);
    begun.store.park(&begun.record(0), "x").expect("parked");
    check(&begun, &[], &["user-1"]);
}

#[test]
fn a_file_that_was_cleared_says_nothing_whatever_lies_beside() {
    let begun = begun();
    begun.says("", &json!({ "version": 1, "accounts": [row(7)] }));
    begun.world.write(&begun.path(".reset-intent"), "reset");
    check(&begun, &["user-1", "user-2"], &[]);
    begun.store.park(&begun.record(1), "x").expect("parked");
    check(&begun, &["user-1"], &["user-2"]);
    assert!(!begun.path(".reset-intent").exists());
}

#[test]
fn broken_bytes_are_kept_and_the_copies_count() {
    let begun = begun();
    begun.world.write(&begun.path(""), "{\"version\":1,\"acc");
    begun.says(".bak", &json!({ "version": 1, "accounts": [{}] }));
    begun.says(".bak.1", &json!({ "version": 1, "accounts": [row(7)], "later": true }));
    check(&begun, &["user-1", "user-2"], &["user-7"]);
    assert_eq!(
        std::fs::read_to_string(begun.path("")).expect("there"),
        "{\"version\":1,\"acc",
        "reading writes nothing"
    );
    begun.store.park(&begun.record(1), "x").expect("parked");
    check(&begun, &["user-1"], &["user-7", "user-2"]);
    assert_eq!((&begun.file()["later"], &begun.file()["accounts"][0]["mine"]), (&json!(true), &json!(1)));
    let kept = std::fs::read_dir(begun.world.layout().quarantine_dir()).expect("there").flatten().next().expect("kept");
    assert_eq!(std::fs::read_to_string(kept.path()).expect("there"), "{\"version\":1,\"acc");
}

#[test]
fn a_broken_file_without_copies_is_told_and_never_overwritten_by_emptiness() {
    let begun = begun();
    begun.world.write(&begun.path(""), "no JSON");
    let error = begun.store.parked().expect_err("nobody knows").to_string();
    assert!(error.contains(FLAGGED) && error.contains("codex-multi-auth login"), "{error}");
    signs_in_again(&begun.store).expect("a sign-in is not stopped by it");
    assert_eq!(std::fs::read_to_string(begun.path("")).expect("there"), "no JSON");
    begun.store.park(&begun.record(1), "x").expect("parked");
    check(&begun, &["user-1"], &["user-2"]);
    assert!(begun.world.layout().quarantine_dir().exists());
}

#[test]
fn a_version_from_the_future_is_refused_and_left() {
    let begun = begun();
    begun.says("", &json!({ "version": 2, "accounts": [] }));
    let before = begun.file();
    for error in
        [begun.store.parked().expect_err("refused"), begun.store.park(&begun.record(1), "x").expect_err("refused")]
    {
        assert!(matches!(error, StoreError::UnknownVersion { .. }), "{error}");
    }
    signs_in_again(&begun.store).expect("a sign-in is not stopped by it");
    assert_eq!(begun.file(), before);
    assert_eq!(begun.store.read_now().expect("readable").accounts.len(), 2);
}

#[test]
fn the_older_name_is_read_and_moves_with_the_next_change() {
    let begun = begun();
    let legacy = begun.world.layout().root().join("openai-codex-blocked-accounts.json");
    begun.world.write(&legacy, &json!({ "version": 1, "accounts": [row(7)] }).to_string());
    check(&begun, &["user-1", "user-2"], &["user-7"]);
    begun.store.park(&begun.record(1), "x").expect("parked");
    check(&begun, &["user-1"], &["user-7", "user-2"]);
    assert!(!legacy.exists());
    std::fs::remove_file(begun.path("")).expect("removed");
    begun.says(".bak", &json!({ "version": 1, "accounts": [] }));
    begun.world.write(&legacy, &json!({ "version": 1, "accounts": [row(7)] }).to_string());
    check(&begun, &["user-1"], &[]);
}

#[test]
fn an_account_that_a_stopped_program_left_in_both_files_is_in_the_pool() {
    let begun = begun();
    begun.says("", &json!({ "version": 1, "accounts": [row(2), row(7)] }));
    check(&begun, &["user-1", "user-2"], &["user-7"]);
}

#[test]
fn no_secret_stands_in_the_log() {
    let begun = parked();
    signs_in_again(&begun.store).expect("signed in");
    let log = std::fs::read_to_string(begun.world.layout().oplog()).expect("there");
    let token = begun.store.read_now().expect("readable").accounts[1].credential.access.clone().expect("there");
    assert!(!log.contains("\"R2") && !log.contains(token.expose()) && log.contains("\"parked\":1"), "{log}");
}
