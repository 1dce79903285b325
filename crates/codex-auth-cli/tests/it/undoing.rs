//! `undo`: what was done is listed, taken back once, and what of it stays is said.

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Setup, Who};
use serde_json::{Value, json};

use crate::world::{World, read, row, timeless, write};

fn three() -> World {
    World::holding(&[row(1), row(2), row(3)])
}

/// A pool beside a fake, so that a switch can complete a login.
fn signed_in() -> World {
    World::with_pool(&Setup::default(), &PoolKnobs::default())
}

/// When an operation was done differs in every run.
fn undated(mut document: Value) -> Value {
    for key in ["/operation", "/operations/0", "/operations/1"] {
        document.pointer_mut(key).into_iter().for_each(|operation| operation["at"] = json!("[at]"));
    }
    document
}

fn emails(world: &World) -> Vec<Value> {
    world.pool()["accounts"].as_array().expect("rows").iter().map(|account| account["email"].clone()).collect()
}

fn login_email(world: &World) -> Option<Value> {
    let login = world.auth_json().exists().then(|| read(&world.auth_json()))?;
    let rows = world.pool()["accounts"].clone();
    let is_his = |row: &&Value| row["accountId"] == login["tokens"]["account_id"];
    rows.as_array()?.iter().find(is_his).map(|row| row["email"].clone())
}

#[test]
fn nothing_was_done_yet() {
    let world = three();
    let before = world.files();
    assert_eq!(world.run("undo --list").ok().out, "Nothing was done yet.\n");
    assert_eq!(world.run("undo --list --json").ok().document()["operations"], json!([]));
    insta::assert_snapshot!("nothing_to_undo", world.run("undo").failed());
    insta::assert_snapshot!("nothing_to_undo_json", world.run("undo --json").failed());
    assert_eq!(world.files(), before);
}

#[test]
fn a_number_that_is_none_or_was_taken_back_is_refused() {
    let world = three();
    world.run("remove 2 --yes").ok();
    insta::assert_snapshot!("an_unknown_number", world.run("undo 99").failed());
    world.run("undo 1").ok();
    insta::assert_snapshot!("taken_back_already", world.run("undo 1").failed());
    let said = world.run("undo one").failed();
    assert!(said.err.contains("one"), "{said}");
    assert_eq!(world.run("undo 1 --list --json").failed().document()["ok"], json!(false), "one or the other");
}

#[test]
fn a_removal_is_brought_back_to_its_place() {
    let world = three();
    let before = emails(&world);
    assert!(world.run("remove 2 --yes").ok().out.ends_with("`codex-multi-auth undo` brings it back.\n"));
    insta::assert_snapshot!("a_removal_brought_back", world.run("undo").ok());
    assert_eq!(emails(&world), before);
    insta::assert_snapshot!("what_was_done", timeless(&world.run("undo --list").ok().to_string()));
    let list = undated(world.run("undo --list --json").ok().document());
    insta::assert_snapshot!("what_was_done_json", format!("{list:#}"));
}

#[test]
fn a_removal_comes_back_when_its_copy_is_gone_and_where_none_is_left_that_is_said() {
    let world = three();
    let before = emails(&world);
    world.run("remove 2 --yes").ok();
    std::fs::remove_dir_all(world.root().join("history")).expect("removed");
    world.run("undo").ok();
    assert_eq!(emails(&world), before, "the predecessor's copy has it, too");
    world.run("remove 2 --yes").ok();
    std::fs::remove_dir_all(world.root().join("history")).expect("removed");
    for slot in ["", ".1", ".2"] {
        let _ = std::fs::remove_file(world.root().join(format!("openai-codex-accounts.json.bak{slot}")));
    }
    insta::assert_snapshot!("no_copy_has_it", world.run("undo").ok());
    assert_eq!(emails(&world).len(), 2);
}

#[test]
fn a_switch_is_taken_back_with_codexs_own_login() {
    let world = signed_in();
    world.run("switch 1").ok();
    world.run("switch 2").ok();
    assert_eq!(login_email(&world), Some(json!("person2@example.test")));
    insta::assert_snapshot!("a_switch_taken_back", world.run("undo").ok().out);
    assert_eq!(login_email(&world), Some(json!("person1@example.test")));
    assert_eq!(world.pool()["pinnedAccountIndex"], json!(0));
    let document = undated(world.run("undo --json").ok().document());
    insta::assert_snapshot!("a_first_switch_taken_back_json", format!("{document:#}"));
    assert!(!world.auth_json().exists(), "there was none before the first switch");
}

#[test]
fn a_login_that_is_another_one_by_now_stays() {
    let world = signed_in();
    world.run("switch 1").ok();
    world.run("switch 2").ok();
    world.fake().write_login(&world.codex_home(), Who::Account(3), &LoginKnobs::default()).expect("written");
    insta::assert_snapshot!("a_login_stays", world.run("undo").ok().out);
    assert_eq!(login_email(&world), Some(json!("person3@example.test")));
    assert_eq!(world.pool()["pinnedAccountIndex"], json!(0), "the pool goes back all the same");
}

#[test]
fn a_login_that_codex_wrote_itself_comes_back_though_the_pool_had_no_id_token() {
    let world = signed_in();
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    world.run("switch 2").ok();
    assert_eq!(world.run("undo --json").ok().document()["loginRestored"], json!(true));
    assert_eq!(login_email(&world), Some(json!("person1@example.test")));
}

#[test]
fn a_key_of_codexs_configuration_goes_back_byte_for_byte() {
    let world = three();
    let config = world.codex_home().join("config.toml");
    let text = "# mine\r\ncli_auth_credentials_store = 'keyring' # why\r\n";
    write(&config, text);
    assert!(world.run("auth-store file").ok().out.contains("\n`codex-multi-auth undo` takes this back.\n"));
    world.run("undo").ok();
    assert_eq!(std::fs::read_to_string(&config).expect("there"), text);
}

#[test]
fn a_key_set_anew_since_stays_and_the_change_before_it_is_next() {
    let world = three();
    let config = world.codex_home().join("config.toml");
    world.run("remove 2 --yes").ok();
    world.run("auth-store file").ok();
    write(&config, "cli_auth_credentials_store = \"auto\"\n");
    insta::assert_snapshot!("a_key_stays", world.run("undo").ok());
    assert_eq!(world.run("undo --json").ok().document()["operation"]["command"], json!("remove"));
    assert_eq!(emails(&world).len(), 3);
}
