//! `check`: what is asked of whom, what is told, and what stays untouched.

use std::time::Duration;

use codex_auth_testkit::{Act, ClockKind, Denial, Fault, LoginKnobs, PoolKnobs, Route, Setup, Who};
use serde_json::json;

use crate::world::{World, in_millis, timeless};

/// How often each route was asked.
fn asked(world: &World, route: Route) -> usize {
    world.fake().log().iter().filter(|record| record.asked.route == route).count()
}

#[test]
fn every_answer_is_told_and_no_model_is_asked() {
    let setup = Setup { accounts: 4, exhausted: vec![2], ..Setup::default() };
    let world =
        World::with_pool(&setup, &PoolKnobs { needs_login: vec![3], disabled: vec![4], ..PoolKnobs::default() });
    let before = world.pool();
    insta::assert_snapshot!(timeless(&world.run("check").ok().to_string()));
    assert_eq!(asked(&world, Route::Usage), 2);
    assert_eq!(world.fake().log().len(), 2, "nothing else was asked");
    assert_eq!(world.pool(), before, "nothing was enabled");
}

#[test]
fn a_stale_token_is_renewed_once_and_kept() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![1, 2], ..PoolKnobs::default() });
    let before = world.pool();
    let document = world.run("check --json").ok().document();
    assert_eq!(document["summary"]["available"], json!(3));
    assert_eq!(asked(&world, Route::Token), 2);
    for index in [0, 1] {
        assert_ne!(world.pool()["accounts"][index]["refreshToken"], before["accounts"][index]["refreshToken"]);
    }
    world.run("check").ok();
    assert_eq!(asked(&world, Route::Token), 2, "fresh ones are not renewed");
}

#[test]
fn a_token_that_was_refused_is_renewed_once_and_asked_again() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { only: Some(vec![1]), ..PoolKnobs::default() });
    world.fake().expire_access(Who::Account(1));
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(1));
    assert_eq!((asked(&world, Route::Usage), asked(&world, Route::Token)), (2, 1));
}

#[test]
fn a_pair_that_another_program_bought_and_that_grew_old_is_renewed_too() {
    let ten_minutes_ago = ClockKind::Manual { start_ms: in_millis(-600_000) };
    let setup = Setup { clock: ten_minutes_ago, ..Setup::default() };
    let world = World::with_pool(&setup, &PoolKnobs { only: Some(vec![1]), ..PoolKnobs::default() });
    world.fake().advance(Duration::from_mins(1));
    let own = LoginKnobs { own_sign_in: true, ..LoginKnobs::default() };
    world.fake().write_login(&world.codex_home(), Who::Account(1), &own).expect("written");
    world.fake().expire_access(Who::Account(1));
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(1));
    // Ours, the one that was adopted, and the one that was bought.
    assert_eq!((asked(&world, Route::Usage), asked(&world, Route::Token)), (3, 1));
}

#[test]
fn an_invalidated_token_is_marked_and_its_refresh_token_kept_back() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    world.fake().fault(Fault::once(Route::Usage, Act::Unauthorized(Denial::TokenInvalidated)).of(Who::Account(2)));
    let said = world.run("check --exit-code");
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.out.contains("✗ Account 2"), "{said}");
    assert_eq!(world.pool()["accounts"][1]["authInvalidationErrorCode"], json!("token_invalidated"));
    assert_eq!(asked(&world, Route::Token), 0);
}

#[test]
fn a_backend_that_tells_nothing_is_no_dead_account() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    world.fake().fault(Fault::always(
        Route::Usage,
        Act::Answer { status: 403, headers: std::collections::BTreeMap::new(), body: "<html>".into() },
    ));
    let document = world.run("check --json").ok().document();
    assert_eq!(document["summary"]["signedInOnly"], json!(3));
    assert_eq!(document["accounts"][0]["detail"], json!("usage not told: HTTP 403"));
    assert_eq!(world.run("check --exit-code").code, Some(4));
}

#[test]
fn a_pool_that_is_used_up_has_its_own_exit_code() {
    let world = World::with_pool(&Setup { exhausted: vec![1, 2, 3], ..Setup::default() }, &PoolKnobs::default());
    assert_eq!(world.run("check").code, Some(0));
    assert_eq!(world.run("check --exit-code").code, Some(3));
}

#[test]
fn what_was_told_is_remembered_and_shown_by_the_list() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { disabled: vec![3], ..PoolKnobs::default() });
    assert!(!world.run("list").ok().out.contains("quota:"));
    world.run("check").ok();
    let cache: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.root().join("quota-cache.json")).expect("kept")).expect("JSON");
    assert_eq!(cache["byRecordId"].as_object().map(serde_json::Map::len), Some(2), "{cache}");
    let list = world.run("list").ok();
    assert_eq!(list.out.matches("   quota: 5h ").count(), 2, "{list}");
    assert_eq!(world.fake().log().len(), 2, "the list asks nobody");
}
