//! Living beside the official client: both of its login files follow a switch, and its configuration changes only when
//! asked.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::json;

use crate::world::{World, read, write};

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
