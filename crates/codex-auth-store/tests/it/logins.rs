//! Writing and removing the official client's login, so that it would use it and nothing of anybody is lost.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use codex_auth_core::{LoginState, OfficialLogins as _, Timestamp};
use codex_auth_store::{
    ClientFiles, FileStore, LoginError, OfficialHomes, remove_login, testing::auth_json, write_login,
};
use serde_json::{Value, json};

use crate::world::{NOW, World, sign_in};

struct Begun {
    world: World,
    store: FileStore,
    home: Utf8PathBuf,
}

fn begun() -> Begun {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 100), sign_in(2, "R2", 100)]);
    let home = world.layout().codex_home().to_owned();
    Begun { world, store, home }
}

impl Begun {
    fn switch_to(&self, n: usize) -> Result<(), LoginError> {
        let record = self.store.read_now().expect("readable").accounts[n - 1].account.record.clone();
        self.store.write_login(&self.home, &record).map(drop)
    }

    fn put(&self, login: &Value) {
        self.world.write(&self.world.layout().auth_json(), &login.to_string());
    }

    fn read(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.world.layout().auth_json()).expect("there")).expect("JSON")
    }
}

#[test]
fn the_official_client_would_use_what_was_written() {
    let begun = begun();
    begun.switch_to(2).expect("written");
    let LoginState::Usable(login) = OfficialHomes::new().login(begun.home.as_str()).expect("readable") else {
        panic!("{}", begun.read())
    };
    assert_eq!(login.credential.refresh.expose(), "R2");
    assert_eq!(login.credential.obtained_at, Some(Timestamp::from_secs(NOW - 100)), "the true instant");
    let keys: Vec<_> = begun.read().as_object().expect("an object").keys().cloned().collect();
    assert_eq!(keys, ["auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh"]);
    let tokens: Vec<_> = begun.read()["tokens"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(tokens, ["id_token", "access_token", "refresh_token", "account_id"]);
    let mode = begun.world.layout().auth_json().metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn unknown_keys_stay_and_those_of_another_sign_in_go() {
    let begun = begun();
    let mut there = auth_json("user-1", "ws-1", "R1", NOW - 100 + 86_400);
    there["auth_mode"] = json!("chatgpt");
    there["OPENAI_API_KEY"] = json!("sk-mine");
    there["extra"] = json!([1, 2.50]);
    there["tokens"]["more"] = json!(2);
    there["tokens"]["login_owner_id"] = json!("owner");
    there["tokens"]["oauth_provenance"] = json!({ "issuer": "https://elsewhere.test" });
    begun.put(&there);
    begun.switch_to(2).expect("written");
    let after = begun.read();
    assert_eq!((&after["OPENAI_API_KEY"], &after["extra"]), (&json!("sk-mine"), &there["extra"]));
    assert_eq!(after["tokens"]["more"], json!(2));
    assert_eq!((after["tokens"].get("login_owner_id"), after["tokens"].get("oauth_provenance")), (None, None));
    assert_eq!(after["tokens"]["account_id"], json!("ws-2"));
}

#[test]
fn what_the_client_renewed_is_saved_before_it_is_replaced() {
    let begun = begun();
    begun.put(&auth_json("user-1", "ws-1", "R1-by-client", NOW - 10 + 86_400));
    begun.switch_to(2).expect("written");
    let pool = begun.store.read_now().expect("readable");
    assert_eq!(pool.accounts[0].credential.refresh.expose(), "R1-by-client");
    assert_eq!(begun.read()["tokens"]["refresh_token"], json!("R2"));
}

#[test]
fn an_older_pair_is_never_written_over_a_newer_one() {
    let begun = begun();
    begun.put(&auth_json("user-1", "ws-1", "R1-by-client", NOW - 10 + 86_400));
    begun.switch_to(1).expect("nothing to write");
    assert_eq!(begun.read()["tokens"]["refresh_token"], json!("R1-by-client"));
}

#[test]
fn a_login_that_is_in_no_pool_is_not_overwritten() {
    let begun = begun();
    let foreign = auth_json("user-9", "ws-9", "R9", NOW + 86_400);
    begun.put(&foreign);
    let error = begun.switch_to(1).expect_err("it would be lost");
    assert!(error.to_string().ends_with("holds a login of user-9@example.test, which is not in the pool"), "{error}");
    assert_eq!(begun.read(), foreign);
}

#[track_caller]
fn refuses(begun: &Begun, expect: &str) {
    let error = begun.switch_to(1).expect_err("refused").to_string().replace(begun.home.as_str(), "HOME");
    assert!(error.contains(expect), "{error}");
    assert!(!begun.world.layout().auth_json().exists());
}

#[test]
fn a_client_that_reads_no_file_is_told() {
    let begun = begun();
    begun.world.write(&begun.home.join("config.toml"), "cli_auth_credentials_store = \"keyring\"\n");
    refuses(&begun, "HOME/config.toml sets cli_auth_credentials_store to keyring");
}

#[test]
fn an_account_without_a_real_id_token_cannot_be_the_login() {
    let begun = begun();
    begun.store.edit_now(|pool| pool.accounts[0].credential.id = None).expect("written");
    refuses(&begun, "has no id token");
}

#[test]
fn a_busy_lock_names_its_file() {
    let begun = begun();
    let path = begun.home.join("auth.lock");
    begun.world.write(&path, "");
    let busy = std::fs::File::open(&path).expect("there");
    busy.try_lock().expect("free");
    refuses(&begun, "HOME/auth.lock is locked by another process");
}

#[test]
fn a_linked_login_stays_a_link() {
    let begun = begun();
    let real = begun.world.home().join("elsewhere/auth.json");
    begun.world.write(&real, "{}");
    std::fs::create_dir_all(&begun.home).expect("made");
    std::os::unix::fs::symlink(&real, begun.world.layout().auth_json()).expect("linked");
    begun.switch_to(1).expect("written");
    assert!(begun.world.layout().auth_json().is_symlink());
    assert!(real.with_file_name("auth.json.lock").exists(), "the lock stands beside the target");
    assert!(std::fs::read_to_string(&real).expect("there").contains("R1"));
    std::fs::hard_link(&real, real.with_file_name("second.json")).expect("linked");
    assert!(matches!(begun.switch_to(2), Err(LoginError::HardLinked { .. })));
}

#[test]
fn logging_out_saves_the_login_and_removes_the_file() {
    let begun = begun();
    begun.put(&auth_json("user-1", "ws-1", "R1-by-client", NOW - 10 + 86_400));
    assert_eq!(begun.store.remove_login(&begun.home), Ok(true));
    assert!(!begun.world.layout().auth_json().exists());
    assert_eq!(begun.store.read_now().expect("readable").accounts[0].credential.refresh.expose(), "R1-by-client");
    assert_eq!(begun.store.remove_login(&begun.home), Ok(false));
}

#[test]
fn a_home_can_be_written_without_a_pool() {
    let begun = begun();
    let home = begun.world.home().join("scratch");
    write_login(&ClientFiles::of(home.clone()), &sign_in(5, "R5", 0), Timestamp::from_secs(NOW)).expect("written");
    assert!(matches!(OfficialHomes::new().login(home.as_str()), Ok(LoginState::Usable(_))));
    assert_eq!(remove_login(&ClientFiles::of(home.clone())), Ok(true));
    assert_eq!(OfficialHomes::new().login(home.as_str()), Ok(LoginState::Absent));
}
