//! Living beside the official client: its list of logins is kept in step, and its configuration changed only when asked.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{AccountStore as _, Held, IdToken, RefreshToken};
use codex_auth_store::{
    AccountsJson, Before, ClientStore, ConfigUndo, FileStore, Fs, LoginError, OsFs, Write,
    testing::{auth_json, claims, jwt},
};
use serde_json::{Value, json};

use crate::world::{NOW, World, credential, sign_in};

struct Begun {
    world: World,
    store: FileStore,
}

fn begun() -> Begun {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    Begun { world, store }
}

impl Begun {
    fn list(&self) -> Utf8PathBuf {
        self.world.layout().codex_home().join("accounts.json")
    }

    fn put_list(&self, list: &Value) {
        self.world.write(&self.list(), &format!("{list:#}"));
    }

    fn read_list(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.list()).expect("there")).expect("JSON")
    }

    fn auth_json(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.world.layout().auth_json()).expect("there")).expect("JSON")
    }

    fn held(&self, n: usize) -> Held {
        self.store.read_now().expect("readable").accounts[n - 1].clone()
    }

    fn switch_to(&self, n: usize) -> AccountsJson {
        self.store.write_login(self.world.layout().codex_home(), &self.held(n).account.record).expect("written")
    }
}

/// An entry of the list: person `n` in `workspace`, granted `age` seconds ago.
fn entry(n: usize, workspace: &str, refresh: &str, age: i64) -> Value {
    let token = jwt(&claims(&format!("user-{n}"), workspace, NOW - age + 86_400));
    json!({
        "account_id": workspace, "email": format!("user-{n}@example.test"), "is_active": false, "mine": [1.50],
        "auth": { "tokens": { "access_token": token, "refresh_token": refresh, "id_token": token, "expires_at": 1 } },
    })
}

fn two() -> Value {
    json!({
        "note": "kept", "accounts": [entry(1, "ws-1", "R1", 100), entry(2, "ws-2", "R2-old", 200)],
        "active_account_id": "ws-1",
    })
}

#[test]
fn a_switch_writes_both_files_and_finds_them_so() {
    let begun = begun();
    begun.put_list(&two());
    assert_eq!(begun.switch_to(2), AccountsJson::InStep);
    assert_eq!(begun.auth_json()["tokens"]["refresh_token"], json!("R2"));
    let list = begun.read_list();
    let (one, other) = (&list["accounts"][0], &list["accounts"][1]);
    assert_eq!((&list["note"], &one["mine"], &other["mine"]), (&json!("kept"), &json!([1.50]), &json!([1.50])));
    for key in ["active", "isActive", "is_active"] {
        assert_eq!((&one[key], &other[key]), (&json!(false), &json!(true)), "{key}");
    }
    for key in ["activeAccountId", "active_account_id"] {
        assert_eq!(list[key], json!("ws-2"), "{key}");
    }
    for key in ["activeEmail", "active_email"] {
        assert_eq!(list[key], json!("user-2@example.test"), "{key}");
    }
    for tokens in [other, &other["auth"]["tokens"]] {
        assert_eq!((&tokens["refreshToken"], &tokens["refresh_token"]), (&json!("R2"), &json!("R2")));
        assert_eq!((&tokens["accountId"], &tokens["account_id"]), (&json!("ws-2"), &json!("ws-2")));
        let held = begun.held(2).credential;
        for key in ["idToken", "id_token"] {
            assert_eq!(tokens[key].as_str(), held.id.as_ref().map(IdToken::expose), "the real one");
        }
    }
    assert_eq!(other["auth"]["tokens"]["expires_at"], json!((NOW - 100 + 86_400) * 1000), "the end follows the token");
    assert_eq!(list["codexMultiAuthSyncVersion"], json!(NOW * 1000));
    assert_eq!(one["auth"], two()["accounts"][0]["auth"], "tokens of others stay");
}

#[test]
fn f24_a_list_in_step_is_not_written_again() {
    let begun = begun();
    begun.put_list(&two());
    begun.switch_to(2);
    let before = std::fs::read(begun.list()).expect("there");
    begun.world.clock.advance(std::time::Duration::from_mins(1));
    assert_eq!(begun.switch_to(2), AccountsJson::InStep);
    assert_eq!(std::fs::read(begun.list()).expect("there"), before);
}

#[test]
fn f24_the_lists_own_lock_is_respected() {
    let begun = begun();
    begun.put_list(&two());
    let path = Utf8PathBuf::from(format!("{}.lock", begun.list()));
    begun.world.write(&path, "");
    let busy = std::fs::File::open(&path).expect("there");
    busy.try_lock().expect("free");
    let AccountsJson::Skipped { why } = begun.switch_to(2) else { panic!("{}", begun.read_list()) };
    assert!(why.contains("accounts.json.lock is locked by another process"), "{why}");
    assert_eq!(begun.read_list(), two());
    assert_eq!(begun.auth_json()["tokens"]["refresh_token"], json!("R2"), "the login itself is written");
}

#[test]
fn a_list_is_never_made() {
    let begun = begun();
    assert_eq!(begun.switch_to(2), AccountsJson::Absent);
    assert!(!begun.list().exists());
    assert!(!Utf8PathBuf::from(format!("{}.lock", begun.list())).exists());
}

#[test]
fn a_broken_or_linked_list_is_left_and_named() {
    let begun = begun();
    let skipped = |expect: &str| {
        let AccountsJson::Skipped { why } = begun.switch_to(2) else { panic!("{expect}") };
        assert!(why.contains("accounts.json") && why.contains(expect), "{why}");
    };
    for (text, why) in [("{\"accounts\": [", "it ends in the middle"), ("{}", "`accounts` is not a list")] {
        begun.world.write(&begun.list(), text);
        skipped(why);
        assert_eq!(std::fs::read_to_string(begun.list()).expect("there"), text);
    }
    begun.put_list(&two());
    std::fs::hard_link(begun.list(), begun.list().with_file_name("second.json")).expect("linked");
    skipped("hard link");
}

#[test]
fn f23_one_persons_other_workspace_is_neither_chosen_nor_adopted() {
    let begun = begun();
    let list = json!({ "accounts": [entry(1, "ws-other", "R-other", 5)], "activeEmail": "user-1@example.test" });
    begun.put_list(&list);
    let AccountsJson::NoEntry { path } = begun.switch_to(1) else { panic!("{}", begun.read_list()) };
    assert_eq!(path, begun.list());
    assert_eq!(begun.read_list(), list);
    assert_eq!(begun.held(1).credential.refresh.expose(), "R1");
}

#[test]
fn a_newer_pair_of_the_list_is_saved_before_a_switch() {
    let begun = begun();
    begun.put_list(&json!({ "accounts": [entry(1, "ws-1", "R1-by-client", 10), entry(2, "ws-2", "R2-old", 200)] }));
    begun.switch_to(2);
    assert_eq!(begun.held(1).credential.refresh.expose(), "R1-by-client");
    assert_eq!(begun.held(2).credential.refresh.expose(), "R2", "never from the past");
}

#[tokio::test(start_paused = true)]
async fn f27_a_refresh_looks_into_the_list_first_and_hands_its_answer_on() {
    let begun = begun();
    begun.put_list(&json!({ "accounts": [entry(1, "ws-1", "R1-by-client", 10)] }));
    let mut claim = begun.store.claim(&begun.held(1).account.record).await.expect("free");
    let held = claim.look_again().await.expect("readable");
    assert_eq!(held.credential.refresh.expose(), "R1-by-client");
    claim.intend(&RefreshToken::new("R1-by-client")).await.expect("noted");
    claim.commit(&credential("user-1", "ws-1", "R1-fresh", 0)).await.expect("kept");
    assert!(begun.store.published(std::time::Duration::from_secs(20)));
    assert_eq!(begun.read_list()["accounts"][0]["auth"]["tokens"]["refresh_token"], json!("R1-fresh"));
}

#[test]
fn f5_f25_f26_what_an_api_key_login_becomes() {
    let begun = begun();
    let mut there = auth_json("user-1", "ws-1", "R1", NOW);
    there["auth_mode"] = json!("apikey");
    there["OPENAI_API_KEY"] = json!("sk-mine");
    begun.world.write(&begun.world.layout().auth_json(), &there.to_string());
    begun.switch_to(2);
    let (after, held) = (begun.auth_json(), begun.held(2).credential);
    assert_eq!((&after["auth_mode"], &after["OPENAI_API_KEY"]), (&json!("chatgpt"), &json!("sk-mine")));
    assert_eq!(after["tokens"]["id_token"].as_str(), held.id.as_ref().map(IdToken::expose));
    assert_eq!(after["last_refresh"], json!("2026-09-21T14:11:40Z"), "when it was granted, not when it ends");
}

#[track_caller]
fn config(begun: &Begun, text: &str) -> Utf8PathBuf {
    let path = begun.world.layout().config_toml();
    begun.world.write(&path, text);
    path
}

#[test]
fn the_clients_configuration_is_changed_and_the_change_taken_back() {
    let begun = begun();
    let text = "# mine\r\nmodel = \"x\" # why\r\n\r\ncli_auth_credentials_store = 'keyring'\r\n";
    let path = config(&begun, text);
    assert_eq!(begun.store.client_store(), Ok(Some(ClientStore::Keyring)));
    let change = begun.store.keep_login_in_file().expect("written").expect("changed");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text.replace("'keyring'", "\"file\""));
    assert_eq!((&change.before, change.after.as_str()), (&Before::Value("'keyring'".into()), "\"file\""));
    let copy = change.copy.clone().expect("kept");
    assert_eq!(std::fs::read_to_string(&copy).expect("there"), text);
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.metadata().expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(begun.store.keep_login_in_file(), Ok(None), "twice is once");
    begun.switch_to(2);
    assert_eq!(begun.store.undo_config(&change), Ok(ConfigUndo::Restored));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
}

#[test]
fn a_configuration_that_was_made_goes_again() {
    let begun = begun();
    let path = begun.world.layout().config_toml();
    let change = begun.store.keep_login_in_file().expect("written").expect("changed");
    assert_eq!((&change.before, &change.copy), (&Before::NoFile, &None));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "cli_auth_credentials_store = \"file\"\n");
    assert_eq!(begun.store.undo_config(&change), Ok(ConfigUndo::Restored));
    assert!(!path.exists());
}

#[test]
fn what_somebody_set_since_is_not_taken_back() {
    let begun = begun();
    let path = config(&begun, "");
    let change = begun.store.keep_login_in_file().expect("written").expect("changed");
    std::fs::write(&path, "cli_auth_credentials_store = \"auto\"\n").expect("written");
    assert_eq!(begun.store.undo_config(&change), Ok(ConfigUndo::ChangedSince));
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "cli_auth_credentials_store = \"auto\"\n");
}

/// Another program that writes a file right after we replaced it.
#[derive(Debug)]
struct Meddler {
    file: Utf8PathBuf,
    text: String,
}

impl Fs for Meddler {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        OsFs.read(path)
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        OsFs.put(path, bytes, how)
    }

    fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
        OsFs.sync_file(path)
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        OsFs.rename(from, to)?;
        if to == self.file {
            std::fs::write(to, &self.text)?;
        }
        Ok(())
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
fn a_switch_is_believed_only_when_both_files_say_so() {
    let begun = begun();
    let second = begun.held(2).account.record;
    let switch_beside = |file: Utf8PathBuf, text: String| {
        begun.put_list(&two());
        let store = begun.world.store_over(Arc::new(Meddler { file, text }));
        store.write_login(begun.world.layout().codex_home(), &second)
    };
    let other = auth_json("user-1", "ws-1", "R1", NOW).to_string();
    let error = switch_beside(begun.world.layout().auth_json(), other).expect_err("another login stands there");
    assert!(matches!(error, LoginError::NotVerified { .. }), "{error}");
    let said = switch_beside(begun.list(), two().to_string()).expect("the login itself is written");
    let AccountsJson::Skipped { why } = said else { panic!("{said:?}") };
    assert!(why.contains("accounts.json") && why.contains("at the same time"), "{why}");
}
