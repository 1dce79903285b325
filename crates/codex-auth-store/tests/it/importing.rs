//! Files of every program come in as accounts that know where they are from, and the pool goes out again.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use codex_auth_core::{Held, Provenance, SavedPool, Timestamp};
use codex_auth_store::{
    BackupError, BackupName, ExportError, FileStore, MergeOutcome, import, merge, named_backups, read_backup,
    testing::auth_json,
};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

const THEN: Timestamp = Timestamp::from_secs(NOW);

fn imported(document: &Value) -> Vec<Held> {
    let read = import::from_bytes("other.json".into(), document.to_string().as_bytes(), THEN);
    read.expect("a format we know").accounts
}

fn row(n: usize, refresh: &str, age: i64, last_used: i64) -> Value {
    let held = sign_in(n, refresh, age);
    json!({
        "accountId": format!("ws-{n}"), "email": format!("user-{n}@example.test"), "refreshToken": refresh,
        "accessToken": held.credential.access.expect("made").expose(), "addedAt": 1, "lastUsed": last_used,
    })
}

fn store_of(world: &World, people: &[(usize, &str, i64)]) -> FileStore {
    world.holding(people.iter().map(|(n, refresh, age)| sign_in(*n, refresh, *age)).collect())
}

fn tokens(pool: &SavedPool) -> Vec<String> {
    pool.accounts.iter().map(|held| held.credential.refresh.expose().to_owned()).collect()
}

#[test]
fn f9_imported_older_tokens_never_replace_newer_ones() {
    let world = World::new();
    let store = store_of(&world, &[(1, "r1", 100), (2, "r2", 50), (3, "r3", 100)]);
    let file = json!({ "version": 3, "accounts": [row(2, "r2-old", 100, NOW * 1000), row(4, "r4", 100, 0)] });
    let mut outcomes = Vec::new();
    let pool = store.edit_now(|pool| outcomes = merge(pool, imported(&file), THEN)).expect("written");
    assert_eq!(tokens(&pool), ["r1", "r2", "r3", "r4"], "used later is not granted later");
    assert!(matches!(outcomes[..], [MergeOutcome::Unchanged(_), MergeOutcome::Added(_)]));
}

#[test]
fn the_predecessors_case_keeps_positions_pin_and_generation() {
    let world = World::new();
    let store = store_of(&world, &[(1, "r1", 100), (2, "r2", 100), (3, "r3", 100)]);
    let before = store
        .edit_now(|pool| {
            pool.active = Some(pool.accounts[1].account.record.clone());
            pool.pin = Some(pool.accounts[2].account.record.clone());
            pool.affinity_generation = 7;
        })
        .expect("written");
    let file = json!({ "version": 3, "accounts": [row(2, "r2new", 50, 9), row(4, "r4", 100, 9)] });
    let pool = store.edit_now(|pool| drop(merge(pool, imported(&file), THEN))).expect("written");
    assert_eq!(tokens(&pool), ["r1", "r2new", "r3", "r4"]);
    assert_eq!((&pool.active, &pool.pin, pool.affinity_generation), (&before.active, &before.pin, 7));
    let thirty: Vec<Value> = (10..40).map(|n| row(n, &format!("r{n}"), 100, 0)).collect();
    let all = imported(&json!({ "version": 3, "accounts": thirty }));
    let pool = store.edit_now(|pool| drop(merge(pool, all, THEN))).expect("written");
    assert_eq!(pool.accounts.len(), 34, "no limit of ours");
}

#[test]
fn provenance_stays_through_writing_and_sharing_ends_with_a_sign_in_of_its_own() {
    let world = World::new();
    let store = world.store();
    let open_code = json!({ "openai": { "type": "oauth", "native": { "accounts": [{
        "refresh": "r1", "access": sign_in(1, "r1", 100).credential.access.expect("made").expose(),
    }] } } });
    store.edit_now(|pool| drop(merge(pool, imported(&open_code), THEN))).expect("written");
    let from = |shared| Some(Provenance { path: "other.json".into(), format: "opencode".into(), at: THEN, shared });
    let kept = || store.read_now().expect("readable").accounts[0].account.provenance.clone();
    assert_eq!(kept(), from(true));
    let entry = world.sidecar()["accounts"].as_object().expect("entries").values().next().cloned().expect("one");
    assert_eq!(entry["importedFrom"], json!({ "path": "other.json", "format": "opencode", "at": NOW * 1000 }));
    assert_eq!(entry["shared"], json!(true));
    store.edit_now(|pool| drop(merge(pool, vec![sign_in(1, "own", 10)], THEN))).expect("written");
    assert_eq!(kept(), from(false));
    store.edit_now(|pool| drop(merge(pool, imported(&open_code), THEN))).expect("written");
    assert_eq!(kept(), from(false), "the old copy brings nothing");
}

#[test]
fn f27_a_renewed_import_is_still_shared() {
    let world = World::new();
    let store = world.store();
    let file = json!({ "version": 3, "accounts": [row(1, "r1", 100, 0)] });
    store.edit_now(|pool| drop(merge(pool, imported(&file), THEN))).expect("written");
    let is_shared = |held: &Held| held.account.provenance.as_ref().is_some_and(|from| from.shared);
    let pool = store.edit_now(|pool| {
        let fresh = sign_in(1, "renewed", 0).credential;
        pool.accounts[0].credential = fresh;
    });
    assert!(is_shared(&pool.expect("written").accounts[0]));
    assert!(is_shared(&store.read_now().expect("readable").accounts[0]));
}

#[test]
fn parked_accounts_come_in_parked_and_never_replace_a_live_one() {
    let mut parked = row(1, "dead", 10, 0);
    parked["flaggedAt"] = json!(5000);
    parked["flaggedReason"] = json!("refresh-failure");
    let accounts = imported(&json!({ "version": 1, "accounts": [parked] }));
    let needs = accounts[0].account.needs_login.clone().expect("parked");
    assert_eq!((needs.code.as_str(), needs.at), ("refresh-failure", Timestamp::from_millis(5000)));
    let world = World::new();
    let store = store_of(&world, &[(1, "alive", 100)]);
    let pool = store.edit_now(|pool| drop(merge(pool, accounts.clone(), THEN))).expect("written");
    assert_eq!(tokens(&pool), ["alive"]);
    assert_eq!(pool.accounts[0].account.needs_login, None);
    let empty = World::new();
    let pool = empty.store().edit_now(|pool| drop(merge(pool, accounts, THEN))).expect("written");
    assert!(pool.accounts[0].account.needs_login.is_some());
}

#[test]
fn both_files_of_the_official_client_are_read() {
    let login = imported(&auth_json("user-1", "ws-1", "r1", NOW));
    let list = imported(&json!({ "active_account_id": "ws-1", "accounts": [
        { "account_id": "ws-1", "refresh_token": "r1" }, { "account_id": "ws-2" },
    ] }));
    assert_eq!((login.len(), list.len()), (1, 1));
    let formats = [login, list].map(|held| held[0].account.provenance.clone().expect("known").format);
    assert_eq!(formats, ["auth.json", "accounts.json"]);
}

fn export(world: &World) -> Utf8PathBuf {
    world.home().join("out/pool.json")
}

#[test]
fn an_export_holds_four_keys_and_comes_back_whole() {
    let world = World::new();
    let store = store_of(&world, &[(1, "r1", 100), (2, "r2", 100)]);
    let mut document = world.accounts();
    document["accounts"][0]["mine"] = json!("NUMBER");
    document["accounts"].as_array_mut().expect("rows").push(json!({ "note": "no token" }));
    document["more"] = json!(true);
    world.write(&world.layout().accounts(), &document.to_string().replace("\"NUMBER\"", "1.50"));
    store.edit_now(|pool| pool.pin = Some(pool.accounts[1].account.record.clone())).expect("written");
    let before = std::fs::read(world.layout().accounts()).expect("there");
    let written = store.export_to(&export(&world), false).expect("written");
    assert_eq!((written.account_count, &written.path), (2, &export(&world)));
    let text = std::fs::read(export(&world)).expect("there");
    let out: Value = serde_json::from_slice(&text).expect("JSON");
    let keys: Vec<_> = out.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["version", "accounts", "activeIndex", "activeIndexByFamily"]);
    assert_eq!(out["accounts"].as_array().map(Vec::len), Some(2), "rows without a token are no accounts");
    assert_eq!(out["accounts"][0]["mine"].to_string(), "1.50");
    assert_eq!(export(&world).metadata().expect("there").permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read(world.layout().accounts()).expect("there"), before, "the pool is only read");
    let back = import::from_document(&export(&world), &text, THEN).expect("readable");
    assert_eq!(tokens(&back), ["r1", "r2"]);
}

#[test]
fn an_export_destroys_nothing() {
    let world = World::new();
    assert_eq!(world.store().export_to(&export(&world), false), Err(ExportError::NoAccounts));
    let store = store_of(&world, &[(1, "r1", 100)]);
    world.write(&export(&world), "mine");
    assert_eq!(store.export_to(&export(&world), false), Err(ExportError::Exists(export(&world))));
    assert_eq!(std::fs::read_to_string(export(&world)).expect("there"), "mine");
    store.export_to(&export(&world), true).expect("replaced");
    let link = world.home().join("link.json");
    std::os::unix::fs::symlink(world.layout().accounts(), &link).expect("linked");
    for path in [world.layout().accounts(), world.layout().root().join("settings.json"), link] {
        assert_eq!(store.export_to(&path, true), Err(ExportError::InsidePool(path)));
    }
    let home = store.export_to("~/kept.json".into(), false).expect("written").path;
    assert_eq!(home, world.home().join("kept.json"));
}

#[test]
fn backups_are_listed_newest_first_and_never_overwritten() {
    let world = World::new();
    let store = store_of(&world, &[(1, "r1", 100)]);
    let layout = world.layout();
    assert_eq!(named_backups(&layout, THEN), Ok(Vec::new()));
    let name = |text: &str| BackupName::parse(text).expect("a name");
    let made = store.back_up(&name("b")).expect("made");
    assert_eq!((made.account_count, &made.path), (1, &layout.backups_dir().join("b.json")));
    assert_eq!(store.back_up(&name("b.json")), Err(BackupError::Exists(made.path.clone())));
    for other in ["a", "c"] {
        store.back_up(&name(other)).expect("made");
    }
    world.write(&layout.backups_dir().join("broken.json"), "{");
    world.write(&layout.backups_dir().join("empty.json"), r#"{"version":3,"accounts":[]}"#);
    let age = |file: &str, secs: u64| {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs);
        let file = std::fs::File::options().write(true).open(layout.backups_dir().join(file)).expect("there");
        file.set_modified(at).expect("set");
    };
    age("b.json", 1000);
    age("c.json", 2000);
    age("a.json", 1000);
    let listed = named_backups(&layout, THEN).expect("listed");
    let told: Vec<_> = listed.iter().map(|one| (one.file_name.as_str(), one.modified_at.as_millis())).collect();
    assert_eq!(told, [("c.json", 2_000_000), ("a.json", 1_000_000), ("b.json", 1_000_000)]);
    assert_eq!(tokens(&read_backup(&layout, &listed[0].path, THEN).expect("read")), ["r1"]);
}

#[test]
fn a_backup_is_read_from_its_directory_only() {
    let world = World::new();
    let store = store_of(&world, &[(1, "r1", 100)]);
    let layout = world.layout();
    store.back_up(&BackupName::parse("a").expect("a name")).expect("made");
    let check = |path: Utf8PathBuf, expect: &str| {
        let error = read_backup(&layout, &path, THEN).expect_err("refused").to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    let inside = layout.backups_dir();
    check(inside.join("gone.json"), "Backup file no longer exists: ");
    check(inside.join("../openai-codex-accounts.json"), "Backup path must stay inside ");
    world.write(&inside.join("empty.json"), r#"{"version":3,"accounts":[]}"#);
    check(inside.join("empty.json"), "Backup does not contain any accounts: ");
    std::os::unix::fs::symlink(layout.accounts(), inside.join("link.json")).expect("linked");
    check(inside.join("link.json"), "Backup path must stay inside ");
    std::fs::remove_dir_all(&inside).expect("gone");
    let elsewhere = world.home().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).expect("made");
    std::os::unix::fs::symlink(&elsewhere, &inside).expect("linked");
    let error = store.back_up(&BackupName::parse("b").expect("a name")).expect_err("refused");
    assert!(matches!(error, BackupError::Outside { .. }), "{error}");
    assert_eq!(std::fs::read_dir(&elsewhere).expect("there").count(), 0);
}
