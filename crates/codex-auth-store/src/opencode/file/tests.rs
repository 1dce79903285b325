//! The store on a disk: beside a predecessor, through links, broken, and when nothing changes.
#![allow(clippy::disallowed_methods, reason = "the test lays and reads files as another program would")]

use std::os::unix::fs::PermissionsExt as _;

use codex_auth_core::{Timestamp, testing::ManualClock};
use serde_json::{Value, json};

use super::{super::transfer, *};
use crate::{
    OsFs,
    testing::{Fault, FaultFs},
};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

struct Place {
    _root: tempfile::TempDir,
    dir: Utf8PathBuf,
    file: OpenCodeFile,
}

fn place_on(fs: Arc<dyn Fs>) -> Place {
    let root = tempfile::tempdir().expect("a directory");
    let dir = Utf8PathBuf::from_path_buf(root.path().to_owned()).expect("text");
    let file = OpenCodeFile::new(dir.join("codex-accounts.json"), fs, Arc::new(ManualClock::at(NOW)));
    Place { _root: root, dir, file }
}

fn place() -> Place {
    place_on(Arc::new(OsFs))
}

impl Place {
    fn put(&self, name: &str, value: &Value) {
        std::fs::write(self.dir.join(name), value.to_string()).expect("written");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).expect("readable")
    }

    fn add(&self, id: &str) -> Saved<()> {
        let result = self.file.save(|document| {
            let openai = document.entry("openai").or_insert_with(|| pool(&json!([])));
            openai["native"]["accounts"].as_array_mut().expect("a list").push(account(id));
        });
        result.expect("saved")
    }
}

fn pool(native: &Value) -> Value {
    json!({ "type": "oauth", "accounts": [], "native": { "accounts": native } })
}

fn account(id: &str) -> Value {
    json!({ "accountId": id, "email": "e@x", "plan": "plus", "refresh": format!("RT-{id}"), "expires": 1.50 })
}

#[test]
fn unknown_members_of_records_survive_and_their_number_text_too() {
    let place = place();
    place.put("codex-accounts.json", &json!({ "openai": pool(&json!([{ "refresh": "r", "theirs": { "n": 1 } }])) }));
    let text = place.text("codex-accounts.json").replace("{\"n\":1}", "{\"n\":1.500}");
    std::fs::write(place.file.path(), text).expect("written");
    assert!(place.add("b").written);
    assert!(place.text("codex-accounts.json").contains("\"n\": 1.500"));
}

#[test]
fn a_file_that_only_lacks_its_normal_form_is_not_rewritten() {
    let place = place();
    place.put("codex-accounts.json", &json!({ "openai": pool(&json!([account("a")])), "junk": 1 }));
    let before = place.text("codex-accounts.json");
    assert!(!place.file.save(|_| ()).expect("saved").written);
    assert_eq!(place.text("codex-accounts.json"), before);
}

#[test]
fn a_broken_file_is_taken_aside_and_work_goes_on_defect_53() {
    let place = place();
    std::fs::write(place.file.path(), "{\"openai\": {\"refresh\": \"SECRET").expect("written");
    let loaded = place.file.read().expect("no error");
    assert_eq!(loaded.document, Object::new());
    let warning = loaded.warnings.join("");
    let copy = place.dir.join(format!("quarantine/codex-accounts.json.{}.quarantine.json", NOW.as_millis()));
    assert!(warning.contains("auth_storage_quarantined") && warning.contains(copy.as_str()), "{warning}");
    assert!(!warning.contains("SECRET"));
    assert!(std::fs::read_to_string(copy).expect("kept").ends_with("SECRET"));
    assert!(place.file.load().expect("no error").warnings.is_empty());
    assert!(place.add("a").written, "and it can be filled again");
}

#[test]
fn a_symlinked_store_stays_a_link_defect_26() {
    let place = place();
    place.add("a");
    let real = place.dir.join("dotfiles.json");
    std::fs::rename(place.file.path(), &real).expect("moved");
    std::os::unix::fs::symlink(&real, place.file.path()).expect("linked");
    place.add("b");
    assert!(place.file.path().is_symlink());
    assert!(place.text("dotfiles.json").contains("RT-b"));
    std::fs::write(&real, "broken").expect("written");
    assert_eq!(place.file.load().expect("taken aside").document, Object::new());
    place.add("c");
    assert!(place.file.path().is_symlink() && place.text("dotfiles.json").contains("RT-c"));
    assert_eq!(real.metadata().expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_lock_left_by_a_crash_is_broken_defect_19() {
    let place = place();
    let lock = place.dir.join("codex-accounts.json.lock.lock");
    std::fs::create_dir(&lock).expect("made");
    std::fs::write(lock.join(".owner"), "dead").expect("written");
    let hour_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_996_400);
    std::fs::File::open(&lock).expect("there").set_modified(hour_ago).expect("aged");
    assert!(place.add("a").written);
    assert!(!lock.exists());
}

#[test]
fn a_lock_held_for_ever_is_an_error_that_helps_and_changes_nothing() {
    let place = place();
    place.add("a");
    let before = place.text("codex-accounts.json");
    let lock = place.dir.join("codex-accounts.json.lock.lock");
    std::fs::create_dir(&lock).expect("made");
    let error = place.file.save(Object::clear).expect_err("held").to_string();
    assert!(error.contains(lock.as_str()) && error.contains("another OpenCode process"), "{error}");
    assert!(error.contains("rm -r") && error.ends_with("waited 1 s"), "{error}");
    assert_eq!(place.text("codex-accounts.json"), before);
    assert!(lock.exists(), "a living holder keeps it");
}

#[test]
fn a_full_disk_changes_nothing() {
    let disk = Arc::new(FaultFs::default());
    let place = place_on(disk.clone());
    place.add("a");
    let before = place.text("codex-accounts.json");
    disk.now(Some(Fault::Full));
    let error = place.file.save(Object::clear).expect_err("full").to_string();
    assert!(error.contains("cannot write") && error.contains("codex-accounts.json"), "{error}");
    assert_eq!(place.text("codex-accounts.json"), before);
    assert!(!place.dir.join("codex-accounts.json.lock.lock").exists());
}

#[test]
fn writers_at_once_lose_nothing() {
    let place = place();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let place = &place;
            scope.spawn(move || (0..4).for_each(|number| drop(place.add(&format!("{writer}-{number}")))));
        }
    });
    let document = place.file.read().expect("readable").document;
    assert_eq!(document["openai"]["native"]["accounts"].as_array().expect("a list").len(), 32);
    assert!(!place.dir.join("codex-accounts.json.lock.lock").exists());
}

/// A change by the predecessor's own protocol: its lock, its way of replacing the file.
fn add_as_the_predecessor(dir: &Utf8Path, id: &str) {
    let (lock, path) = (dir.join("codex-accounts.json.lock.lock"), dir.join("codex-accounts.json"));
    while std::fs::create_dir(&lock).is_err() {
        std::thread::yield_now();
    }
    let text = std::fs::read_to_string(&path).expect("readable");
    let mut document: Value = serde_json::from_str(&text).expect("always valid");
    document["openai"]["native"]["accounts"].as_array_mut().expect("a list").push(account(id));
    let temp = dir.join(format!("codex-accounts.json.tmp.x.{id}"));
    std::fs::write(&temp, document.to_string()).expect("written");
    std::fs::rename(temp, path).expect("replaced");
    std::fs::remove_dir(&lock).expect("released");
}

#[test]
fn a_running_predecessor_and_we_lose_nothing() {
    let place = place();
    place.add("first");
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let place = &place;
            scope.spawn(move || (0..6).for_each(|number| drop(place.add(&format!("ours-{writer}-{number}")))));
            scope.spawn(move || {
                (0..6).for_each(|number| add_as_the_predecessor(&place.dir, &format!("theirs-{writer}-{number}")));
            });
        }
    });
    let document = place.file.read().expect("readable").document;
    assert_eq!(document["openai"]["native"]["accounts"].as_array().expect("a list").len(), 25);
}

#[test]
fn whatever_step_fails_the_old_or_the_new_file_stands() {
    let disk = Arc::new(FaultFs::default());
    let place = place_on(disk.clone());
    place.add("a");
    disk.now(None);
    place.add("b");
    for step in 0..disk.steps() {
        for fault in [Fault::Fail(step), Fault::Stop(step)] {
            disk.now(Some(fault));
            let id = format!("{fault:?}");
            let result = place.file.save(|document| {
                document["openai"]["native"]["accounts"].as_array_mut().expect("a list").push(account(&id));
            });
            disk.now(None);
            let held = place.file.read().expect("readable").document["openai"].to_string();
            assert!(held.contains("RT-a") && held.contains("RT-b"));
            if result.is_ok() {
                assert!(held.contains(&id), "{fault:?}: said to be saved");
            }
        }
    }
}

#[test]
fn older_programs_are_offered_once_and_a_shared_grant_is_said_defect_13() {
    let place = place();
    let data = place.dir.join("data");
    std::fs::create_dir_all(data.join("opencode")).expect("made");
    place.put("openai-codex-accounts.json", &json!({ "accounts": [{ "refreshToken": "r1", "accountId": "a" }] }));
    let host =
        json!({ "openai": { "type": "oauth", "refresh": "r2", "access": "x", "expires": 1 }, "other": { "key": "k" } });
    place.put("data/opencode/auth.json", &host);
    let sources = transfer::sources(&place.dir, &data, Some(&data));
    assert_eq!(sources.len(), 2);
    assert!(transfer::is_offered(&place.file, &sources).expect("known"));
    let outcome = transfer::transfer(&place.file, &sources).expect("imported");
    assert_eq!((outcome.imported, outcome.sources_used), (2, 2));
    assert!(outcome.warnings.iter().all(|warning| warning.contains("may still hold")), "{:?}", outcome.warnings);
    assert_eq!(place.text("data/opencode/auth.json"), host.to_string(), "sources stay");
    let native = |document: &Object| document["openai"]["native"]["accounts"].clone();
    assert_eq!(native(&place.file.read().expect("readable").document)[0]["imported"], true);
    assert!(!place.text("codex-accounts.json").contains("\"other\""));
    // Emptied on purpose, it stays empty.
    place.file.save(|document| document["openai"]["native"]["accounts"] = json!([])).expect("saved");
    assert!(!transfer::is_offered(&place.file, &sources).expect("known"));
    let again = transfer::transfer(&place.file, &sources).expect("refused");
    assert_eq!((again.imported, again.warnings.len()), (0, 1));
    assert_eq!(native(&place.file.read().expect("readable").document), json!([]));
}
