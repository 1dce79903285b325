//! `login`: the browser flow end to end against an issuer, and who is let in.

use codex_auth_testkit::{PoolKnobs, Setup, SignIn, Who};
use serde_json::json;

use crate::{
    browser::sign_in,
    world::{Said, World, read},
};

fn login(world: &World, who: usize, more: &[&str]) -> (Said, String) {
    world.fake().next_login(SignIn::of(Who::Account(who)));
    let words: Vec<&str> = ["login", "--no-browser"].into_iter().chain(more.iter().copied()).collect();
    sign_in(world, world.own_command(&words))
}

#[test]
fn two_people_sign_in_and_the_notice_comes_once() {
    let world = World::beside(&Setup::default());
    let (first, page) = login(&world, 1, &[]);
    assert!(page.contains("You are signed in"), "{page}");
    insta::assert_snapshot!(first.ok().out);
    let (second, _) = login(&world, 2, &[]);
    let second = second.ok();
    assert!(second.out.starts_with("Added account. Total: 2\n"), "{second}");
    assert!(second.err.contains("terms you agreed to with OpenAI"), "{second}");
    let (third, _) = login(&world, 3, &["--json"]);
    let third = third.ok();
    assert!(!third.err.contains("terms you agreed to"), "{third}");
    assert_eq!((&third.document()["outcome"], &third.document()["number"]), (&json!("added"), &json!(3)));
    assert_eq!(world.pool()["activeIndex"], json!(0), "nobody's selection moved");
    assert!(!world.auth_json().exists(), "codex's own login is not touched");
    assert_eq!(read(&world.root().join("codex-auth.json"))["accounts"].as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn signing_in_again_renews_the_account_in_place() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { needs_login: vec![2], ..PoolKnobs::default() });
    let before = world.pool();
    let (said, _) = login(&world, 2, &["--account", "2"]);
    assert!(said.ok().out.starts_with("Updated existing account. Total: 3\n"));
    let after = world.pool();
    assert_eq!(after["accounts"].as_array().map(Vec::len), Some(3));
    assert_ne!(after["accounts"][1]["refreshToken"], before["accounts"][1]["refreshToken"]);
    assert_eq!(after["accounts"][1].get("authInvalidatedAt"), None);
    assert_eq!(after["accounts"][0], before["accounts"][0]);
}

#[test]
fn another_identity_is_not_stored_under_an_account() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { only: Some(vec![1, 2]), ..PoolKnobs::default() });
    let before = world.files();
    let (said, _) = login(&world, 3, &["--account", "1"]);
    let said = said.failed();
    let both = said.err.contains("person3@example.test in workspace fa4e0000-0000-4000-8000-000000000003")
        && said.err.contains("(person1@example.test, id:000001)");
    assert!(both, "{said}");
    assert_eq!(world.files(), before);
}

#[test]
fn a_workspace_that_was_not_asked_for_is_refused() {
    let world = World::beside(&Setup::default());
    let (said, _) = login(&world, 1, &["--org", "fa4e0000-0000-4000-8000-000000000002"]);
    assert!(said.failed().err.contains("Login failed: "));
    assert!(!world.root().exists());
    let said = world.run("login --no-browser --org org-1").failed();
    assert!(said.err.contains("platform organisations"), "{said}");
}

#[test]
fn a_refusal_on_the_page_ends_the_wait() {
    let world = World::beside(&Setup::default());
    world.fake().next_login(SignIn::refused("access_denied", None));
    let (said, _) = sign_in(&world, world.own_command(&["login", "--no-browser"]));
    let said = said.failed();
    assert!(said.err.contains("Login failed: The issuer refused the sign-in: access_denied"), "{said}");
}

#[test]
fn nobody_waits_where_nobody_is() {
    let mut world = World::beside(&Setup::default());
    insta::assert_snapshot!(world.run("login").failed());
    world.set("CODEX_AUTH_NO_BROWSER", "1");
    world.run("login").failed();
    world.run("auth").failed();
    assert_eq!(world.fake().log().len(), 0);
}

#[test]
fn no_secret_is_said_or_logged() {
    let world = World::beside(&Setup::default());
    let (said, _) = login(&world, 1, &[]);
    let canaries = world.fake().canaries();
    let text = said.ok().to_string();
    assert_eq!(canaries.hits(text.as_bytes()).len(), 0, "in the streams");
    let log = std::fs::read(world.root().join("oplog/ops.jsonl")).expect("a log");
    assert_eq!(canaries.hits(&log).len(), 0, "in the log of operations");
}

#[test]
fn an_account_without_identity_is_shown_and_a_sign_in_completes_it() {
    let world = World::beside(&Setup::default());
    let bare = json!({ "recordId": "record:bare", "refreshToken": "unknown", "addedAt": 1, "lastUsed": 0 });
    world.write_pool(&json!({ "version": 3, "accounts": [bare], "activeIndex": 0, "pinnedAccountIndex": 0 }));
    let said = world.run("list").ok();
    assert!(said.out.contains("names no workspace: codex-multi-auth login --account 1"), "{said}");
    login(&world, 1, &["--account", "1"]).0.ok();
    let after = world.pool();
    assert_eq!(after["accounts"].as_array().map(Vec::len), Some(1), "{after}");
    assert_eq!((&after["accounts"][0]["recordId"], &after["pinnedAccountIndex"]), (&json!("record:bare"), &json!(0)));
    let document = world.run("list --json").ok().document();
    assert_eq!(document["accounts"][0]["ready"], json!(true), "{document:#}");
    assert!(document["accounts"][0]["accountId"].is_string() && document["accounts"][0]["email"].is_string());
}

#[test]
fn a_check_completes_an_account_without_identity() {
    let knobs = PoolKnobs { only: Some(vec![1]), without_access: vec![1], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let mut pool = world.pool();
    let row = pool["accounts"][0].as_object_mut().expect("a row");
    let (account, record) = (row["accountId"].clone(), json!("record:bare"));
    row.retain(|key, _| matches!(key.as_str(), "refreshToken" | "addedAt" | "lastUsed"));
    row.insert("recordId".into(), record.clone());
    world.write_pool(&pool);
    world.run("check").ok();
    let after = &world.run("list --json").ok().document()["accounts"][0];
    assert_eq!((&after["accountId"], &after["recordId"], &after["ready"]), (&account, &record, &json!(true)));
}

#[test]
fn the_debug_log_says_what_a_sign_in_did_and_no_secret() {
    let world = World::beside(&Setup::default());
    world.fake().next_login(SignIn::of(Who::Account(1)));
    let mut command = world.own_command(&["login", "--no-browser"]);
    command.env("CODEX_AUTH_DEBUG", "Yes").env("CODEX_OAUTH_CALLBACK_TIMEOUT_MS", "1e5");
    let (said, _) = sign_in(&world, command);
    let said = said.ok();
    let kept = std::fs::read_to_string(world.root().join("logs/oauth-lifecycle.log")).expect("a log");
    let printed: String = said
        .err
        .lines()
        .filter_map(|line| line.strip_prefix("[codex-auth-debug] "))
        .fold(String::new(), |printed, line| printed + line + "\n");
    assert_eq!(printed, kept);
    let events: Vec<String> = kept
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON")["event"].to_string())
        .collect();
    for event in ["server_started", "token_exchange_success", "callback_wait_resolved", "server_stopped"] {
        assert!(events.contains(&format!("\"{event}\"")), "{event}: {kept}");
    }
    for secret in world.pool()["accounts"]
        .as_array()
        .expect("accounts")
        .iter()
        .flat_map(|one| ["refreshToken", "accessToken"].map(|key| one[key].as_str().expect("a token").to_owned()))
    {
        assert!(!kept.contains(&secret), "{kept}");
    }
}

#[test]
fn the_debug_log_is_put_aside_at_its_least_size() {
    let world = World::beside(&Setup::default());
    world.fake().next_login(SignIn::of(Who::Account(1)));
    let log = world.root().join("logs/oauth-lifecycle.log");
    let full = "x".repeat(16_384);
    crate::world::write(&log, &full);
    let mut command = world.own_command(&["login", "--no-browser"]);
    // Far below the least, which then counts.
    command.env("CODEX_AUTH_DEBUG", "1").env("CODEX_AUTH_DEBUG_MAX_BYTES", "1");
    sign_in(&world, command).0.ok();
    let aside = std::fs::read_to_string(world.root().join("logs/oauth-lifecycle.log.1")).expect("put aside");
    let kept = std::fs::read_to_string(&log).expect("a new one");
    assert!(aside == full && kept.lines().count() > 1 && !kept.starts_with('x'), "{kept}");
}
