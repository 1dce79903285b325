//! Bad input gets a clear error and loses nothing.

use codex_auth_testkit::{LoginKind, LoginKnobs, PoolKnobs, Setup, Who};
use serde_json::json;

use crate::world::{World, row, write};

/// Commands that read the pool.
const READERS: [&str; 9] = [
    "list",
    "status",
    "switch 1",
    "unpin",
    "remove 1 --yes",
    "check",
    "why-selected",
    "rotation status",
    "login --no-browser",
];

/// Every reader refuses an accounts file like this, says `expect`, and leaves every file as it is.
#[track_caller]
fn refuses(text: &str, expect: &str) {
    let world = World::empty();
    write(&world.root().join("openai-codex-accounts.json"), text);
    let before = world.files();
    for typed in READERS {
        let said = world.run(typed).failed();
        assert!(said.out.is_empty() && said.err.contains(expect), "{typed}: {said}");
        assert_eq!(world.files(), before, "{typed}");
    }
}

#[test]
fn a_half_written_accounts_file_is_left_alone() {
    refuses(
        "{\"version\":3,\"accounts\":[{\"refreshTo",
        "openai-codex-accounts.json cannot be used: it ends in the middle",
    );
}

#[test]
fn an_accounts_file_that_is_no_json_is_left_alone() {
    refuses("<html>", "openai-codex-accounts.json cannot be used: it is not JSON");
}

#[test]
fn an_empty_accounts_file_is_left_alone() {
    refuses("", "openai-codex-accounts.json cannot be used: it is empty");
}

#[test]
fn an_unknown_version_is_left_alone() {
    refuses("{\"version\":7,\"accounts\":[]}", "has version 7, which this program does not know");
}

#[test]
fn an_accounts_file_that_cannot_be_read_is_named() {
    let world = World::empty();
    std::fs::create_dir_all(world.root().join("openai-codex-accounts.json")).expect("made");
    for typed in READERS {
        let said = world.run(typed).failed();
        assert!(said.err.starts_with("Cannot read [HOME]/.codex/multi-auth/openai-codex-accounts.json"), "{said}");
    }
}

#[test]
fn rows_that_nobody_can_use_are_no_empty_pool() {
    let world = World::holding(&[json!({ "email": "a@b.test" })]);
    insta::assert_snapshot!(world.run("list").ok());
}

#[test]
fn an_error_in_a_document_is_one_document() {
    let world = World::empty();
    write(&world.root().join("openai-codex-accounts.json"), "{");
    for (typed, command) in [("list --json", "list"), ("check -j", "check"), ("rotation --json", "rotation status")] {
        let document = world.run(typed).failed().document();
        assert_eq!((&document["schemaVersion"], &document["command"]), (&json!(1), &json!(command)));
        assert_eq!((&document["ok"], &document["errorInfo"]["code"]), (&json!(false), &json!("storage")));
    }
}

#[test]
fn without_accounts_each_command_says_so() {
    let world = World::empty();
    for (typed, code) in [
        ("list", 0),
        ("status", 0),
        ("check", 0),
        ("rotation status", 0),
        ("switch 1", 1),
        ("unpin", 1),
        ("remove 1", 1),
        ("why-selected", 1),
    ] {
        let said = world.run(typed);
        assert_eq!(said.code, Some(code), "{typed}: {said}");
        let text = format!("{}{}", said.out, said.err);
        assert!(text.contains("No accounts configured.") || text.contains("none configured"), "{typed}: {said}");
        assert_eq!(world.files(), [], "{typed}");
    }
}

/// `import-current` refuses an `auth.json` like this, says `expect`, and leaves every file as it is.
#[track_caller]
fn login_refused(world: &World, text: &str, expect: &str) {
    write(&world.auth_json(), text);
    let before = world.files();
    let said = world.run("import-current").failed();
    assert!(said.err.contains(expect), "{said}");
    assert!(said.err.contains("Nothing was imported") && said.err.contains("codex-multi-auth login"), "{said}");
    assert_eq!(world.files(), before);
}

#[test]
fn an_unusable_login_is_named() {
    let world = World::beside(&Setup::default());
    login_refused(&world, "", "it is empty");
    login_refused(&world, "not JSON", "it is not JSON");
    login_refused(&world, "[]", "JSON but not an object");
    let lacking = |key: &str| {
        let knobs = LoginKnobs { missing: vec![key.to_owned()], ..LoginKnobs::default() };
        world.fake().login_document(Who::Account(1), &knobs).to_string()
    };
    login_refused(&world, &lacking("id_token"), "it lacks tokens.id_token");
    login_refused(&world, &lacking("last_refresh"), "it lacks last_refresh");
    login_refused(&world, &lacking("account_id"), "it lacks tokens.account_id");
    let key = LoginKnobs { kind: LoginKind::ApiKey, ..LoginKnobs::default() };
    login_refused(&world, &world.fake().login_document(Who::Account(1), &key).to_string(), "API-key login");
}

#[test]
fn a_broken_settings_file_is_left_alone() {
    let world = World::holding(&[row(1)]);
    write(&world.root().join("settings.json"), "{\"pluginConfig\":");
    let before = world.files();
    for typed in ["rotation status", "rotation disable"] {
        let said = world.run(typed).failed();
        assert!(said.err.contains("settings.json cannot be used"), "{said}");
    }
    let after: Vec<_> = world.files().into_iter().filter(|(path, _)| path.file_name() != Some(".lock")).collect();
    assert_eq!(after, before);
}

#[test]
fn an_endpoint_in_the_clear_is_refused() {
    let mut world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    world.set("CODEX_MULTI_AUTH_BACKEND_URL", "http://chatgpt.example.test/backend-api");
    let said = world.run("check").failed();
    assert!(said.err.contains("CODEX_MULTI_AUTH_BACKEND_URL must be an https address"), "{said}");
}
