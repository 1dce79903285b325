//! Living beside the official client: both of its login files follow a switch, and its configuration changes only when
//! asked.

use std::{process::Stdio, time::Duration};

use codex_auth_testkit::{Act, Fault, LoginKind, LoginKnobs, PoolKnobs, Route, Setup, Who};
use serde_json::json;

use crate::world::{World, read, write};

const LIMIT: Duration = Duration::from_mins(1);

fn world() -> World {
    World::with_pool(&Setup::default(), &PoolKnobs::default())
}

#[test]
fn a_login_kept_elsewhere_is_shown_and_changed_by_command() {
    let world = world();
    let config = world.codex_home().join("config.toml");
    let text = "# mine\r\nmodel = \"x\"\r\ncli_auth_credentials_store = 'keyring' # why\r\n";
    write(&config, text);
    insta::assert_snapshot!("kept_in_the_keyring", world.run("auth-store").ok());
    let said = world.run("switch 1").ok();
    assert!(said.err.contains("Run `codex-multi-auth auth-store file` to change that"), "{said}");
    let done = world.run("auth-store file --json").ok().document();
    assert_eq!((&done["changed"], &done["store"]), (&json!(true), &json!("file")));
    let copy = done["copyPath"].as_str().expect("a copy").replace("[HOME]", world.home().as_str());
    assert_eq!(std::fs::read_to_string(copy).expect("there"), text);
    assert_eq!(std::fs::read_to_string(&config).expect("there"), text.replace("'keyring'", "\"file\""));
    assert_eq!(world.run("auth-store file --json").ok().document()["changed"], json!(false));
    world.run("switch 1").ok();
    assert!(world.auth_json().exists());
    assert!(world.run("auth-store").ok().out.contains("auth.json: person1@example.test"));
}

#[test]
fn the_environment_may_forbid_it() {
    let mut world = world();
    world.set("CODEX_MULTI_AUTH_ENFORCE_CLI_FILE_AUTH_STORE", "0");
    let before = world.files();
    let said = world.run("auth-store file").failed();
    assert!(said.err.starts_with("CODEX_MULTI_AUTH_ENFORCE_CLI_FILE_AUTH_STORE=0 forbids"), "{said}");
    assert_eq!(world.files(), before);
}

#[test]
fn the_list_of_logins_follows_or_its_drift_is_said() {
    let world = world();
    let list = world.codex_home().join("accounts.json");
    let row = world.pool()["accounts"][0].clone();
    let entry = json!({ "account_id": row["accountId"], "access_token": row["accessToken"], "refresh_token": "old" });
    write(&list, &json!({ "accounts": [entry] }).to_string());
    let said = world.run("switch 1").ok();
    assert!(!said.err.contains("accounts.json"), "{said}");
    assert_eq!(read(&list)["accounts"][0]["refreshToken"], read(&world.auth_json())["tokens"]["refresh_token"]);
    let before = std::fs::read(&list).expect("there");
    let said = world.run("switch 2").ok();
    assert!(said.err.contains("accounts.json does not list this account"), "{said}");
    assert_eq!(std::fs::read(&list).expect("there"), before);
    write(&list, "[");
    let said = world.run("switch 1").ok();
    assert!(said.err.contains("accounts.json cannot be used"), "{said}");
}

#[test]
fn the_clients_files_may_lie_elsewhere() {
    let mut world = world();
    let (auth, config) = (world.home().join("x/auth.json"), world.home().join("y/config.toml"));
    world.set("CODEX_CLI_AUTH_PATH", auth.as_str());
    world.set("CODEX_CLI_CONFIG_PATH", config.as_str());
    world.set("CODEX_CLI_ACCOUNTS_PATH", "  ");
    world.run("switch 1").ok();
    assert!(auth.exists() && !world.auth_json().exists());
    assert_eq!(world.run("import-current --json").ok().document()["outcome"], json!("unchanged"));
    world.run("auth-store file").ok();
    assert!(config.exists());
}

/// A program of the official client's name that does nothing on this world's home.
fn plain_client(world: &World) -> std::process::Child {
    let path = world.home().join("codex");
    std::fs::copy("/bin/sleep", &path).expect("copied");
    world.command(path.as_str(), &["60"]).stdin(Stdio::null()).spawn().expect("started")
}

#[test]
fn a_switch_names_the_plain_client_that_has_to_be_restarted() {
    let world = world();
    world.run("switch 1").ok();
    let mut client = plain_client(&world);
    let told = format!("codex (pid {}) still uses ", client.id());
    let said = world.run("switch 1").ok();
    assert!(!said.err.contains(&told), "it uses this very account: {said}");
    let said = world.run("switch 2").ok();
    assert!(said.err.contains(&told) && said.err.contains("person1@example.test"), "{said}");
    let notes = world.run("switch 3 --json").ok().document()["notes"].to_string();
    assert!(notes.contains(&told), "{notes}");
    client.kill().expect("ours");
    client.wait().expect("ended");
    assert!(!world.run("switch 1").ok().err.contains("(pid"), "nobody runs any more");
}

#[test]
fn a_login_in_its_clients_window_is_renewed_before_another_takes_its_place() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    let expired = LoginKnobs { kind: LoginKind::ExpiredAccess, ..LoginKnobs::default() };
    world.fake().write_login(&world.codex_home(), Who::Account(1), &expired).expect("written");
    let before = world.pool()["accounts"][0]["refreshToken"].clone();
    let login = read(&world.auth_json());
    world.fake().fault(Fault::once(Route::Token, Act::HoldBeforeHeaders).of(Who::Account(1)));
    let mut client = plain_client(&world);
    let mut switch = world.own_command(&["switch", "2"]);
    let switch = switch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    assert!(world.fake().wait_until_held(1, LIMIT), "the old login is not renewed");
    assert_eq!(read(&world.auth_json()), login, "another login took its place before it was renewed");
    world.fake().release();
    world.said(&switch.wait_with_output().expect("it ends")).ok();
    client.kill().expect("ours");
    client.wait().expect("ended");
    assert_ne!(world.pool()["accounts"][0]["refreshToken"], before, "the old login was renewed by us");
    let now = world.pool()["accounts"][1]["refreshToken"].clone();
    assert_eq!(read(&world.auth_json())["tokens"]["refresh_token"], now);
}
