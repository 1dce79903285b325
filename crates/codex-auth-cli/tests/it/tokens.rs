//! `token`, as far as no agent is needed: wrong words, an empty list, and an account's own token.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::json;

use crate::world::{World, in_millis, row, timeless};

/// What no file and no stream but the one asked for may hold.
const SECRET: &str = "access-2";

fn two() -> World {
    World::holding(&[row(1), row(2)])
}

#[test]
fn a_raw_token_is_printed_alone_and_noted() {
    let world = two();
    let said = world.run("token --raw --account 2 --yes").ok();
    assert_eq!(said.out, format!("{SECRET}\n"));
    assert!(!said.err.contains(SECRET), "{said}");
    insta::assert_snapshot!("a_raw_token", timeless(&said.err));
    let log: Vec<_> = world.files().into_iter().filter(|(path, _)| path.ends_with("oplog/ops.jsonl")).collect();
    assert!(log.len() == 1 && !log[0].1.contains(SECRET), "{log:?}");
    insta::assert_snapshot!("a_raw_token_in_the_log", timeless(&world.run("undo --list").ok().out));
    insta::assert_snapshot!("a_raw_token_taken_back", world.run("undo 1").failed());
    let said = world.run("undo").failed();
    assert!(said.err.starts_with("There is nothing to take back."), "{said}");
}

#[test]
fn a_raw_token_as_a_document_says_its_true_end() {
    let document = two().run("token --raw --account 2 --yes --json").ok().document();
    let expect = json!({ "schemaVersion": 1, "command": "token", "raw": true, "token": SECRET, "account": 2,
        "expiresAt": 4_102_444_800_000_i64 });
    assert_eq!(document, expect);
}

#[test]
fn a_raw_token_needs_an_account_and_a_yes() {
    let world = two();
    let before = world.files();
    insta::assert_snapshot!("a_raw_token_of_nobody", world.run("token --raw --yes").failed());
    insta::assert_snapshot!("a_raw_token_without_a_yes", world.run("token --raw --account 2").failed());
    for typed in ["token --raw --account 3 --yes", "token --raw --account 2 --yes --requests 3", "token --yes"] {
        let said = world.run(typed).failed();
        assert!(said.out.is_empty() && !said.err.contains(SECRET), "{typed}: {said}");
    }
    assert_eq!(world.files(), before);
}

#[test]
fn an_account_that_needs_a_sign_in_hands_nothing_out() {
    let knobs = PoolKnobs { needs_login: vec![2], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let said = world.run("token --raw --account 2 --yes").failed();
    assert!(said.out.is_empty() && said.err.contains("codex-multi-auth login"), "{said}");
}

#[test]
fn a_raw_token_about_to_end_is_renewed_first() {
    let knobs = PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let before = world.pool()["accounts"][0]["accessToken"].clone();
    let said = world.run("token --raw --account 1 --yes").ok();
    let after = world.pool()["accounts"][0]["accessToken"].clone();
    assert_ne!(before, after, "{said}");
    assert_eq!(json!(said.out.trim_end()), after);
}

#[test]
fn wrong_limits_are_named_and_start_no_agent() {
    let world = two();
    let before = world.files();
    for typed in [
        "token --expires 31d",
        "token --expires soon",
        "token --requests 0",
        "token --requests -1",
        "token --name two/words",
        "token --reopen",
        "token --account 3",
        "token revoke",
        "token revoke a --all",
        "token list more",
        "token --raw --config --account 1",
    ] {
        let said = world.run(typed).failed();
        assert!(said.out.is_empty() && !said.err.is_empty(), "{typed}: {said}");
    }
    insta::assert_snapshot!("a_span_nobody_knows", world.run("token --expires soon").failed());
    assert_eq!(world.files(), before);
    let said = World::empty().run("token").failed();
    assert!(said.err.starts_with("No accounts configured."), "{said}");
}

#[test]
fn without_an_agent_the_file_is_read() {
    let world = two();
    assert!(world.run("token list").ok().out.starts_with("No capability is valid."));
    let capability = json!({ "id": "0a1b2c3d4e5f", "name": "ci", "account": "record:2", "models": ["gpt-5.5"],
        "requests": 40, "used": 3, "lastsMs": 3_600_000, "createdAt": 1, "expiresAt": in_millis(3_600_000),
        "lastUsedAt": null, "secretsSha256": ["ab".repeat(32)] });
    let document = json!({ "version": 1, "capabilities": [capability], "revokedNames": [] });
    crate::world::write(&world.root().join("agent/capabilities.json"), &document.to_string());
    insta::assert_snapshot!("capabilities_of_the_file", timeless(&world.run("token list").ok().out));
    crate::world::write(&world.root().join("agent/capabilities.json"), "{");
    insta::assert_snapshot!("a_damaged_file_of_capabilities", world.run("token list").failed());
}
