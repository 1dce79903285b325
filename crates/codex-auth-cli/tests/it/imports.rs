//! `import` and `import-current`: what comes in, what stays, and that sources are only read.

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Setup, Who};
use serde_json::json;

use crate::world::{World, read, row, write};

#[test]
fn codexs_own_login_comes_in_and_its_file_stays() {
    let world = World::beside(&Setup::default());
    world.fake().write_login(&world.codex_home(), Who::Account(2), &LoginKnobs::default()).expect("written");
    let before = std::fs::read(world.auth_json()).expect("there");
    insta::assert_snapshot!(world.run("import-current").ok());
    assert_eq!(std::fs::read(world.auth_json()).expect("there"), before);
    let again = world.run("import-current --json").ok().document();
    assert_eq!((&again["outcome"], &again["accountCount"]), (&json!("unchanged"), &json!(1)));
}

#[test]
fn a_login_of_another_issuer_stays_outside() {
    let world = World::beside(&Setup::default());
    let mut login =
        world.fake().login_document(Who::Account(1), &LoginKnobs { provenance: true, ..LoginKnobs::default() });
    write(&world.auth_json(), &login.to_string());
    world.run("import-current").ok();
    login["tokens"]["oauth_provenance"]["issuer"] = json!("https://issuer.example.test");
    write(&world.auth_json(), &login.to_string());
    let said = world.run("import-current").failed();
    assert!(said.err.contains("names the issuer https://issuer.example.test"), "{said}");
}

#[test]
fn a_preview_changes_nothing_and_an_import_does_what_it_said() {
    let world = World::beside(&Setup::default());
    world
        .fake()
        .write_pool(&world.root(), &PoolKnobs { only: Some(vec![1]), ..PoolKnobs::default() })
        .expect("written");
    let source = world.home().join("other/openai-codex-accounts.json");
    write(&source, &world.fake().pool_document(&PoolKnobs::default()).to_string());
    let before = world.files();
    insta::assert_snapshot!(world.run_words(&["import", source.as_str(), "--dry-run"]).ok());
    assert_eq!(world.files(), before);
    insta::assert_snapshot!("an_import", world.run_words(&["import", source.as_str()]).ok());
    assert_eq!(world.pool()["accounts"].as_array().map(Vec::len), Some(3));
    let again = world.run_words(&["import", source.as_str(), "--json"]).ok().document();
    assert_eq!((&again["imported"], &again["unchanged"]), (&json!(0), &json!(3)));
}

#[test]
fn an_older_copy_never_replaces_what_is_alive() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let source = world.home().join("copy.json");
    write(&source, &world.pool().to_string());
    world.run("switch 1").ok();
    let renewed = world.pool()["accounts"][0]["refreshToken"].clone();
    assert_ne!(renewed, read(&source)["accounts"][0]["refreshToken"], "the switch renewed it");
    world.run_words(&["import", source.as_str()]).ok();
    assert_eq!(world.pool()["accounts"][0]["refreshToken"], renewed);
}

#[test]
fn old_documents_and_logins_are_understood() {
    let world = World::beside(&Setup::default());
    let old = world.home().join("v1.json");
    write(&old, &json!({ "version": 1, "accounts": [row(7)], "activeIndex": 0 }).to_string());
    let login = world.fake().write_login(&world.home().join("elsewhere"), Who::Account(3), &LoginKnobs::default());
    let login = login.expect("written");
    world.run_words(&["import", old.as_str(), login.as_str()]).ok();
    let emails: Vec<_> =
        world.pool()["accounts"].as_array().expect("rows").iter().map(|row| row["email"].clone()).collect();
    assert_eq!(emails.len(), 2);
    assert!(emails.contains(&json!("person7@example.test")) && emails.contains(&json!("person3@example.test")));
}

#[test]
fn what_is_no_accounts_file_is_refused() {
    let world = World::holding(&[row(1)]);
    let file = world.home().join("file.json");
    let check = |text: &str, expect: &str| {
        write(&file, text);
        let before = world.files();
        let said = world.run_words(&["import", file.as_str()]).failed();
        assert_eq!(said.err, format!("{expect}\nNothing was imported.\n"));
        assert_eq!(world.files(), before);
    };
    check("{", "Invalid JSON in import file: [HOME]/file.json");
    check("{\"a\":1}", "Invalid account storage format: [HOME]/file.json");
    check(
        "{\"version\":9,\"accounts\":[]}",
        "[HOME]/file.json has version 9, which this program does not know; it was left as it is.",
    );
    check(
        "{\"auth_mode\":\"apikey\",\"OPENAI_API_KEY\":\"sk\"}",
        "[HOME]/file.json cannot be used: it is an API-key login.",
    );
    check(&" ".repeat(4_194_305), "Import file exceeds maximum size of 4194304 bytes: [HOME]/file.json");
    let said = world.run("import nowhere.json").failed();
    assert_eq!(said.err, "Import file not found: nowhere.json\nNothing was imported.\n");
}
