//! Files that are broken, older than they should be, or gone: what comes back, from where, and what is said.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{AccountStore as _, Intent, SavedPool, Timestamp};
use codex_auth_store::{Emptiness, FileStore, Fs, Notice, OLDER_TOKEN, OsFs, Write};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::world::{NOW, World, credential, sign_in};

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

/// Two accounts, written twice, so that there is a copy.
fn begun() -> (World, FileStore) {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100)]);
    store.edit_now(|pool| pool.accounts.push(sign_in(2, "R2", 100))).expect("written");
    world.clock.advance(HOUR);
    store.edit_now(|pool| pool.accounts[0].account.alias = Some("work".into())).expect("written");
    store.edit_now(|pool| pool.affinity_generation = 3).expect("written");
    (world, store)
}

fn tokens(pool: &SavedPool) -> Vec<&str> {
    pool.accounts.iter().map(|held| held.credential.refresh.expose()).collect()
}

/// Breaks the document by `how`, opens it, and looks at what came back.
#[track_caller]
fn check(how: impl FnOnce(&str) -> String, expect: &[&str]) -> (World, SavedPool, Vec<Notice>) {
    let (world, _) = begun();
    let path = world.layout().accounts();
    let broken = how(&std::fs::read_to_string(&path).expect("there"));
    world.write(&path, &broken);
    let store = world.store();
    let pool = store.read_now().expect("put together");
    assert_eq!(tokens(&pool), expect);
    assert_eq!(pool.accounts[0].account.alias.as_deref(), Some("work"), "what stands beside is whole");
    let mended: Value = world.accounts();
    assert_eq!(mended["accounts"].as_array().map(Vec::len), Some(expect.len()), "and it is written");
    let kept: Vec<_> = std::fs::read_dir(world.layout().quarantine_dir()).expect("made").flatten().collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(std::fs::read_to_string(kept[0].path()).expect("there"), broken, "not a byte is lost");
    let notices = store.notices();
    assert_eq!(world.store().read_now().expect("readable"), pool, "once is enough");
    (world, pool, notices)
}

#[test]
fn a_truncated_document_comes_back_whole() {
    let (world, _, notices) = check(|text| text[..text.len() * 2 / 3].to_owned(), &["R1", "R2"]);
    let [Notice::Recovered { path, accounts: 2, lost: 0, older: 0, quarantined: Some(_), .. }] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert_eq!(*path, world.layout().accounts());
}

#[test]
fn an_empty_document_and_one_of_noughts_come_back() {
    check(|_| String::new(), &["R1", "R2"]);
    check(|text| "\0".repeat(text.len()), &["R1", "R2"]);
    check(|_| "garbage".into(), &["R1", "R2"]);
}

#[test]
fn f13_broken_bytes_are_never_a_backup() {
    let (world, _, _) = check(|_| "garbage".into(), &["R1", "R2"]);
    world.store().edit_now(|pool| drop(pool.accounts.remove(0))).expect("written");
    let copies = world.store().earlier();
    assert!(!copies.is_empty() && copies.iter().all(|copy| copy.accounts > 0));
    let bak = std::fs::read_to_string(format!("{}.bak", world.layout().accounts())).expect("there");
    assert!(serde_json::from_str::<Value>(&bak).is_ok());
}

/// A refresh from claim to commit.
fn refreshed(store: &FileStore, refresh: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let record = store.read_now().expect("readable").accounts[0].account.record.clone();
        let mut claim = store.claim(&record).await.expect("free");
        let held = claim.look_again().await.expect("there");
        assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
        let mut fresh = credential("user-1", "ws-1", refresh, 50);
        fresh.generation = held.credential.generation + 1;
        claim.commit(&fresh).await.expect("kept");
        assert!(store.published(std::time::Duration::from_secs(20)));
    });
}

#[test]
fn f15_what_comes_back_has_the_newest_token_not_the_copys() {
    let (world, store) = begun();
    refreshed(&store, "R1-new");
    world.write(&world.layout().accounts(), "garbage");
    let pool = world.store().read_now().expect("put together");
    assert_eq!(tokens(&pool), ["R1-new", "R2"]);
    assert_eq!(pool.accounts[0].account.needs_login, None);
}

#[test]
fn a_token_that_is_in_no_copy_any_more_is_never_presented_again() {
    let (world, store) = begun();
    refreshed(&store, "R1-new");
    world.write(&world.layout().accounts(), "garbage");
    std::fs::remove_dir_all(world.layout().journal_dir().join("kept")).expect("removed");
    let store = world.store();
    let pool = store.read_now().expect("put together");
    assert_eq!(tokens(&pool), ["R1", "R2"]);
    let needs = pool.accounts[0].account.needs_login.as_ref().expect("a sign-in is the only safe way");
    assert_eq!(needs.code, OLDER_TOKEN);
    assert_eq!(pool.accounts[1].account.needs_login, None);
    assert!(matches!(store.notices()[..], [Notice::Recovered { older: 1, .. }]));
}

#[test]
fn an_account_removed_since_the_copy_stays_removed() {
    let (world, store) = begun();
    store.edit_now(|pool| drop(pool.accounts.remove(1))).expect("written");
    world.write(&world.layout().accounts(), "garbage");
    assert_eq!(tokens(&world.store().read_now().expect("put together")), ["R1"]);
}

#[test]
fn the_predecessors_copies_count_too() {
    let world = World::new();
    let row = |token: &str, used: i64| json!({ "refreshToken": token, "lastUsed": used, "accountId": "w" });
    let document = |token: &str, used: i64| json!({ "version": 3, "accounts": [row(token, used)], "activeIndex": 0 });
    let at = |end: &str| Utf8PathBuf::from(format!("{}{end}", world.layout().accounts()));
    world.write(&at(""), "{\"version\":3,\"accounts\":[");
    world.write(&at(".bak"), "{");
    world.write(&at(".bak.1"), &document("OLD", 1).to_string());
    world.write(&at(".bak.2"), &document("NEWER", 2).to_string());
    assert_eq!(tokens(&world.store().read_now().expect("put together")), ["NEWER"], "not by the order of files");
}

fn journal_of(content: &str) -> String {
    let checksum = Sha256::digest(content).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    json!({ "version": 1, "createdAt": 1, "path": "x", "checksum": checksum, "content": content }).to_string()
}

/// The predecessor's journal with token R-WAL, written before or after the document.
fn stopped_save(is_newer: bool, primary: Option<&str>) -> (World, SavedPool) {
    let (world, _) = begun();
    let path = world.layout().accounts();
    let mut saved = world.accounts();
    saved["accounts"][0]["refreshToken"] = json!("R-WAL");
    match primary {
        Some("") => {}
        Some(text) => world.write(&path, text),
        None => std::fs::remove_file(&path).expect("removed"),
    }
    world.write(&world.layout().predecessors_journal(), &journal_of(&saved.to_string()));
    let shift = if is_newer { 60 } else { -60 };
    let when = std::time::SystemTime::now() + HOUR;
    let set = |path: &Utf8Path, at| {
        std::fs::File::options().write(true).open(path).expect("there").set_modified(at).expect("set");
    };
    if path.exists() {
        set(&path, when);
    }
    let at = if shift > 0 { when + HOUR } else { when - HOUR };
    set(&world.layout().predecessors_journal(), at);
    let pool = world.store().read_now().expect("readable");
    (world, pool)
}

#[test]
fn f63_a_stopped_save_counts_over_an_older_document_that_is_readable() {
    let (world, pool) = stopped_save(true, Some(""));
    assert_eq!(tokens(&pool)[0], "R-WAL");
    assert!(!world.layout().predecessors_journal().exists(), "it is written, so the journal has ended");
    let (_, pool) = stopped_save(false, Some(""));
    assert_eq!(tokens(&pool)[0], "R1", "a journal older than the document is history");
}

#[test]
fn a_stopped_save_counts_when_the_document_is_broken_or_missing() {
    assert_eq!(tokens(&stopped_save(false, Some("{")).1)[0], "R-WAL");
    assert_eq!(tokens(&stopped_save(false, None).1)[0], "R-WAL");
}

#[test]
fn f16_a_document_that_was_taken_away_is_a_reset_and_a_way_back_is_kept() {
    let (world, _) = begun();
    std::fs::remove_file(world.layout().accounts()).expect("removed");
    let store = world.store();
    for _ in 0..2 {
        assert_eq!(store.read_now().expect("empty").accounts, []);
        assert_eq!(store.emptiness().expect("readable"), Emptiness::Removed);
    }
    store.edit_now(|_| {}).expect("nothing to write");
    assert!(!world.layout().accounts().exists());
    let newest = store.earlier().into_iter().find(|copy| copy.accounts == 2).expect("a copy of both");
    store.restore(&newest.path, "test").expect("restored");
    let pool = store.read_now().expect("readable");
    assert_eq!(tokens(&pool), ["R1", "R2"]);
    assert_eq!(pool.accounts[0].account.alias.as_deref(), Some("work"), "what stood beside it waited");
}

#[test]
fn a_sign_in_after_a_reset_begins_a_new_pool() {
    let (world, _) = begun();
    std::fs::remove_file(world.layout().accounts()).expect("removed");
    world.store().edit_now(|pool| pool.accounts.push(sign_in(7, "R7", 0))).expect("written");
    assert_eq!(tokens(&world.store().read_now().expect("readable")), ["R7"]);
    assert_eq!(world.sidecar()["accounts"].as_object().map(serde_json::Map::len), Some(1));
}

#[test]
fn what_was_cleared_by_command_stays_cleared_whatever_lies_beside() {
    let (world, store) = begun();
    store.reset().expect("cleared");
    let store = world.store();
    assert_eq!(store.read_now().expect("empty").accounts, []);
    assert_eq!(store.emptiness().expect("readable"), Emptiness::Cleared);
    assert!(world.layout().reset_intent().exists(), "the predecessor must know it, too");
    store.undo(None).expect("taken back");
    assert_eq!(tokens(&store.read_now().expect("readable")), ["R1", "R2"]);
    assert!(!world.layout().reset_intent().exists());
}

#[test]
fn a_document_nobody_can_read_is_kept_by_a_reset() {
    let world = World::new();
    world.write(&world.layout().accounts(), "garbage");
    let aside = world.store().reset().expect("begun anew").expect("kept");
    assert_eq!(std::fs::read_to_string(aside).expect("there"), "garbage");
    assert_eq!(world.store().read_now().expect("empty").accounts, []);
}

#[test]
fn an_older_pool_written_back_by_another_program_brings_no_spent_token_back() {
    let (world, store) = begun();
    let older = std::fs::read_to_string(world.layout().accounts()).expect("there");
    refreshed(&store, "R1-second");
    refreshed(&store, "R1-third");
    world.write(&world.layout().accounts(), &older);
    let store = world.store();
    let pool = store.read_now().expect("readable");
    assert_eq!(tokens(&pool), ["R1-third", "R2"], "a newer token always wins");
    store.edit_now(|pool| pool.affinity_generation += 1).expect("written");
    assert!(std::fs::read_to_string(world.layout().accounts()).expect("there").contains("R1-third"));
}

#[test]
fn a_broken_sidecar_comes_back_from_a_copy() {
    let (world, _) = begun();
    world.clock.advance(HOUR * 2);
    world.store().edit_now(|pool| pool.affinity_generation = 9).expect("written, and a copy before");
    world.write(&world.layout().sidecar(), "{\"version\":1,");
    let store = world.store();
    assert_eq!(store.read_now().expect("readable").accounts[0].account.alias.as_deref(), Some("work"));
    let [Notice::BesideLost { from_copy: true, quarantined, .. }] = &store.notices()[..] else { panic!() };
    assert_eq!(std::fs::read_to_string(quarantined).expect("there"), "{\"version\":1,");
    assert_eq!(world.sidecar()["version"], json!(1));
}

#[test]
fn f14_routine_writes_push_out_no_copy() {
    let (world, store) = begun();
    let before = store.earlier();
    for use_ in 0..20 {
        store
            .edit_now(|pool| pool.accounts[0].account.seen.last_used_at = Timestamp::from_secs(NOW + use_))
            .expect("written");
    }
    assert_eq!(store.earlier(), before);
    world.clock.advance(HOUR);
    store.edit_now(|pool| pool.affinity_generation = 11).expect("written");
    assert!(store.earlier().len() > before.len());
}

#[test]
fn f7_an_unknown_version_is_refused_and_no_copy_takes_its_place() {
    let (world, _) = begun();
    let text = "{\"version\":4,\"accounts\":[]}";
    world.write(&world.layout().accounts(), text);
    let error = world.store().edit_now(|pool| pool.affinity_generation = 1).expect_err("not ours to change");
    assert!(error.to_string().contains("has version 4"), "{error}");
    assert_eq!(std::fs::read_to_string(world.layout().accounts()).expect("there"), text);
}

#[test]
fn a_foreign_write_in_the_middle_of_a_change_is_not_lost() {
    let (world, store) = begun();
    let pool = store
        .edit_now(|pool| {
            // The predecessor takes no lock: it adds an account while we are at it.
            let mut document = world.accounts();
            let rows = document["accounts"].as_array_mut().expect("rows");
            rows.push(json!({ "refreshToken": "FOREIGN", "accountId": "ws-9", "email": "x@y.test", "addedAt": 1, "lastUsed": 1 }));
            world.write(&world.layout().accounts(), &document.to_string());
            pool.accounts[1].account.alias = Some("second".into());
        })
        .expect("written");
    assert_eq!(tokens(&pool), ["R1", "R2", "FOREIGN"]);
    assert_eq!(pool.accounts[1].account.alias.as_deref(), Some("second"));
}

/// A disk on which a program without our lock writes the document in the last moment: when our new bytes of it are
/// durable beside it and only have to be put in its place.
#[derive(Debug)]
struct LastMoment {
    document: Utf8PathBuf,
    theirs: std::sync::Mutex<Option<String>>,
}

impl Fs for LastMoment {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        OsFs.read(path)
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        OsFs.put(path, bytes, how)?;
        let is_document = path.parent() == self.document.parent() && bytes.windows(10).any(|w| w == b"\"accounts\"");
        let theirs = self.theirs.lock().expect("nobody panicked").take_if(|_| is_document);
        theirs.map_or(Ok(()), |theirs| std::fs::write(&self.document, theirs))
    }

    fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.sync_file(path)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.remove(path)
    }

    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        OsFs.sync_dir(dir)
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        OsFs.make_dir(dir)
    }
}

#[test]
fn a_foreign_write_in_the_last_moment_is_not_lost_and_neither_is_our_change() {
    let (world, _) = begun();
    // It read what was there before us, and puts account 1 out of service.
    let mut theirs = world.accounts();
    theirs["accounts"][0]["enabled"] = json!(false);
    let document = world.layout().accounts();
    let disk = LastMoment { document, theirs: std::sync::Mutex::new(Some(theirs.to_string())) };
    let store = world.store_over(Arc::new(disk));
    let fresh = credential("user-1", "ws-1", "R1-new", 0);
    let pool = store
        .edit_now(|pool| {
            pool.accounts[0].credential = fresh.clone();
            pool.accounts[1].account.alias = Some("second".into());
        })
        .expect("written");
    let check = |pool: &SavedPool| {
        assert!(!pool.accounts[0].account.enabled, "what it changed is kept");
        assert_eq!(tokens(pool), ["R1-new", "R2"], "and what we changed");
        assert_eq!(pool.accounts[1].account.alias.as_deref(), Some("second"));
        assert_eq!(pool.accounts[0].account.needs_login, None);
    };
    check(&pool);
    check(&world.store().read_now().expect("readable"));
}

#[tokio::test]
async fn a_foreign_write_of_what_was_read_before_our_change_keeps_its_change_and_our_tokens() {
    let (world, store) = begun();
    let mut theirs = world.accounts();
    theirs["accounts"][0]["enabled"] = json!(false);
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    let mut claim = store.claim(&record).await.expect("free");
    let held = claim.look_again().await.expect("readable");
    assert_eq!(claim.intend(&held.credential.refresh).await, Ok(Intent::Clear));
    let fresh = codex_auth_core::Credential {
        generation: held.credential.generation + 1,
        ..credential("user-1", "ws-1", "R1-new", 0)
    };
    claim.commit(&fresh).await.expect("kept");
    drop(claim);
    assert!(store.published(HOUR), "the document says it");
    world.write(&world.layout().accounts(), &theirs.to_string());
    let pool = world.store().read_now().expect("readable");
    assert!(!pool.accounts[0].account.enabled, "what it changed counts");
    assert_eq!(tokens(&pool), ["R1-new", "R2"], "its older token does not");
    assert_eq!(pool.accounts[0].account.needs_login, None);
}
