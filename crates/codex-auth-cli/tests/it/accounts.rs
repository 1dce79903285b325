//! `list`, `status`, `switch`, `unpin`, `remove`: what they show, and what they change.

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Setup, Who};
use serde_json::json;

use crate::world::{World, in_millis, read, row, row_with, timeless};

fn motley() -> World {
    let dead = json!({ "authInvalidatedAt": 5, "authInvalidationErrorCode": "refresh_token_reused" });
    let resting = json!({ "coolingDownUntil": in_millis(600_000), "cooldownReason": "rate-limit", "lastUsed": in_millis(-3_600_000) });
    World::holding(&[row(1), row_with(2, &resting), row_with(3, &dead), row_with(4, &json!({ "enabled": false }))])
}

#[test]
fn a_list_of_every_sort() {
    insta::assert_snapshot!(timeless(&motley().run("list").ok().to_string()));
}

#[test]
fn a_list_keeps_to_the_width_it_is_told() {
    let mut world = motley();
    world.set("COLUMNS", "60");
    insta::assert_snapshot!(timeless(&world.run("list").ok().to_string()));
}

#[test]
fn both_names_show_the_same() {
    let world = World::holding(&[row(1), row(2)]);
    let (list, status) = (world.run("list"), world.run("status"));
    assert_eq!((list.out, list.code), (status.out, status.code));
    let (mut list, mut status) = (world.run("list -j").document(), world.run("status --json").document());
    assert_eq!((list["command"].take(), status["command"].take()), (json!("list"), json!("status")));
    assert_eq!(list, status);
}

#[test]
fn a_list_as_a_document() {
    insta::assert_snapshot!(World::holding(&[row(1), row(2)]).run("list --json").ok());
}

#[test]
fn three_spellings_are_one() {
    let world = World::holding(&[row(1)]);
    let expect = world.run("list").ok().out;
    assert_eq!(world.run("auth list").out, expect);
    for typed in ["auth list", "multi auth list", "multi-auth list", "multiauth list"] {
        assert_eq!(world.run_as_codex(typed).ok().out, expect, "{typed}");
    }
}

#[test]
fn the_predecessors_limit_is_named() {
    let rows: Vec<_> = (1..=21).map(row).collect();
    assert!(World::holding(&rows).run("list").out.contains("stops at 20 accounts"));
}

#[test]
fn a_switch_pins_enables_and_writes_codexs_login() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { disabled: vec![2], ..PoolKnobs::default() });
    insta::assert_snapshot!(world.run("switch person2@example.test").ok());
    let pool = world.pool();
    assert_eq!(
        (&pool["activeIndex"], &pool["pinnedAccountIndex"], &pool["affinityGeneration"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(pool["activeIndexByFamily"]["gpt-5.1"], json!(1));
    assert_eq!(pool["accounts"][1]["enabled"], json!(true));
    let login = read(&world.auth_json());
    assert_eq!(login["tokens"]["account_id"], pool["accounts"][1]["accountId"]);
    assert_eq!(login["tokens"]["refresh_token"], pool["accounts"][1]["refreshToken"]);
    let log = std::fs::read_to_string(world.root().join("oplog/ops.jsonl")).expect("a log");
    assert!(log.contains("selected and pinned account 2"), "{log}");
    assert!(!log.contains("CANARY"), "no token in the log");
}

#[test]
fn a_stale_token_is_renewed_before_it_is_handed_on() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    let before = world.pool();
    world.run("switch 1").ok();
    let (after, login) = (world.pool(), read(&world.auth_json()));
    assert_ne!(after["accounts"][0]["refreshToken"], before["accounts"][0]["refreshToken"]);
    assert_eq!(login["tokens"]["access_token"], after["accounts"][0]["accessToken"]);
    let presented = world.fake().log().iter().filter(|record| record.body.presented.is_some()).count();
    assert_eq!(presented, 1, "one presentation");
}

#[test]
fn a_dead_account_is_not_selected() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { needs_login: vec![3], ..PoolKnobs::default() });
    let before = world.files();
    insta::assert_snapshot!(world.run("switch 3").failed());
    insta::assert_snapshot!("a_dead_account_is_not_selected_json", world.run("switch 3 --json").failed());
    assert_eq!(world.files(), before);
}

#[test]
fn an_account_the_issuer_refuses_is_not_selected() {
    let knobs = PoolKnobs { revoked: vec![2], expired_access: vec![2], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let said = world.run("switch 2").failed();
    assert!(said.err.contains("needs a new sign-in") && said.err.contains("login --account 2"), "{said}");
    assert_eq!(world.pool()["pinnedAccountIndex"], json!(null));
    assert!(!world.auth_json().exists());
}

#[test]
fn a_resting_account_is_pinned_with_a_word_about_it() {
    let knobs = json!({ "coolingDownUntil": in_millis(600_000), "cooldownReason": "rate-limit" });
    let mut world = World::holding(&[row_with(1, &knobs)]);
    world.set("CODEX_MULTI_AUTH_SYNC_CODEX_CLI", "0");
    // Without an issuer in reach: the token lives, but codex needs an id token that only a renewal brings.
    world.set("CODEX_MULTI_AUTH_ISSUER_URL", "http://127.0.0.1:9");
    let said = world.run("switch 1").ok();
    assert!(said.err.contains("While it is pinned, requests are refused until then"), "{said}");
}

#[test]
fn a_login_of_somebody_else_is_not_written_over() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    world.fake().write_login(&world.codex_home(), Who::Outsider, &LoginKnobs::default()).expect("written");
    let before = std::fs::read(world.auth_json()).expect("there");
    let said = world.run("switch 1").ok();
    assert!(said.err.contains("outsider@example.test, which is not in the pool"), "{said}");
    assert_eq!(std::fs::read(world.auth_json()).expect("there"), before);
    assert_eq!(world.run("switch 1 --json").document()["synced"], json!(false));
}

#[test]
fn an_unpin_lets_routing_choose_again() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    world.run("switch 1").ok();
    assert_eq!(
        world.run("unpin").ok().out,
        "Cleared manual pin (was account 1). Runtime routing will resume hybrid rotation.\n"
    );
    assert_eq!((&world.pool()["pinnedAccountIndex"], &world.pool()["affinityGeneration"]), (&json!(null), &json!(2)));
    assert_eq!(world.run("unpin").ok().out, "No pin to clear.\n");
    assert_eq!(world.pool()["affinityGeneration"], json!(2));
}

#[test]
fn a_removal_takes_the_pin_with_it() {
    let world = World::holding(&[row(1), row(2), row(3)]);
    let mut pool = world.pool();
    pool["pinnedAccountIndex"] = json!(1);
    world.write_pool(&pool);
    let said = world.run("remove 2").failed();
    assert!(said.err.contains("remove 2 --yes"), "{said}");
    insta::assert_snapshot!(world.run("remove 2 --yes").ok());
    let pool = world.pool();
    assert_eq!(pool["accounts"].as_array().map(Vec::len), Some(2));
    assert_eq!((&pool["pinnedAccountIndex"], &pool["activeIndex"]), (&json!(null), &json!(0)));
}

#[test]
fn who_is_meant_is_said_or_refused() {
    let world = World::holding(&[row(1), row(2)]);
    let check = |typed: &str, expect: &str| {
        let said = world.run(typed).failed();
        assert_eq!(said.err.lines().next(), Some(expect), "{typed}");
    };
    check("switch", "Missing index. Usage: codex-multi-auth switch <index>");
    check("switch 0", "Invalid index: 0");
    check("switch 3", "Index out of range. Valid range: 1-2");
    check("switch nobody", "No account is called nobody");
    check("remove", "Missing index. Usage: codex-multi-auth remove <index>");
}
