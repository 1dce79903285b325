//! `remove`, with and without `--revoke`: what ends at the issuer, what stands when that fails, and what comes back.

use codex_auth_testkit::{Act, Fault, PoolKnobs, Route, Setup, Who};
use serde_json::{Value, json};

use crate::world::World;

fn asked(world: &World, route: Route) -> usize {
    world.fake().log().iter().filter(|record| record.asked.route == route).count()
}

fn is_revoked(world: &World, number: usize) -> bool {
    world.fake().state().account(Who::Account(number)).is_some_and(|state| state.revoked)
}

fn three() -> World {
    World::with_pool(&Setup::default(), &PoolKnobs::default())
}

fn emails(world: &World) -> Vec<Value> {
    let pool = world.pool();
    pool["accounts"].as_array().into_iter().flatten().map(|row| row["email"].clone()).collect()
}

#[test]
fn a_removal_without_the_flag_revokes_nothing() {
    let world = three();
    let said = world.run("remove 2 --yes").ok();
    assert!(said.out.contains("Its sign-in was not revoked. `codex-multi-auth undo` brings it back."), "{said}");
    assert_eq!(world.fake().log().len(), 0, "nobody was asked anything");
    assert!(!is_revoked(&world, 2));
}

#[test]
fn a_removal_with_the_flag_ends_that_sign_in_and_no_other() {
    let world = three();
    let document = world.run("remove 2 --revoke --yes --json").ok().document();
    assert_eq!((&document["revoked"], &document["accountCount"]), (&json!(true), &json!(2)));
    assert_eq!([1, 2, 3].map(|number| is_revoked(&world, number)), [false, true, false]);
    assert_eq!((asked(&world, Route::Revoke), asked(&world, Route::Token)), (1, 0));
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(2));
}

#[test]
fn a_removal_stands_when_the_revocation_fails_and_the_account_is_named() {
    let world = three();
    let broken = Act::Answer { status: 503, headers: [].into(), body: Value::Null };
    world.fake().fault(Fault::once(Route::Revoke, broken));
    let said = world.run("remove 2 --revoke --yes").failed();
    let named = "The sign-in of Account 2 (person2@example.test, id:000002) may still be valid: ";
    assert!(said.out.contains(named) && said.out.contains("The removal stands."), "{said}");
    assert_eq!(emails(&world), [json!("person1@example.test"), json!("person3@example.test")]);
    world.fake().fault(Fault::once(Route::Revoke, Act::Reset));
    let document = world.run("remove 2 --revoke --yes --json").failed().document();
    assert_eq!((&document["revoked"], document["revokeError"].is_string()), (&json!(false), true), "{document}");
    assert_eq!(emails(&world), [json!("person1@example.test")]);
}

#[test]
fn an_account_of_another_issuer_is_removed_and_its_token_shown_to_nobody() {
    let world = three();
    world.run("list").ok();
    let sidecar = json!({ "version": 1, "accounts": { world.pool()["accounts"][1]["recordId"].as_str().expect("a name"):
        { "issuer": "https://auth.openai.com" } } });
    crate::world::write(&world.root().join("codex-auth.json"), &sidecar.to_string());
    let said = world.run("remove 2 --revoke --yes").failed();
    assert!(said.out.contains("signed in at https://auth.openai.com"), "{said}");
    assert_eq!((asked(&world, Route::Revoke), emails(&world).len()), (0, 2));
}

#[test]
fn what_comes_back_after_a_revocation_asks_for_a_sign_in() {
    let world = three();
    world.run("remove 2 --revoke --yes").ok();
    let said = world.run("undo").ok();
    let told = "Account 2 (person2@example.test, id:000002) was removed with --revoke: its tokens count as revoked";
    assert!(said.out.contains(told) && said.out.contains("`codex-multi-auth login --account 2`"), "{said}");
    let list = world.run("list").ok();
    assert!(list.out.contains("codex-multi-auth login --account 2"), "{list}");
    let document = world.run("check --json").ok().document();
    assert_eq!(document["summary"]["needsLogin"], json!(1), "{document}");
    world.run("switch 2").failed();
    assert_eq!(asked(&world, Route::Token), 0, "the dead token was presented to nobody");
}

#[test]
fn whoever_shares_the_sign_in_is_said_to_be_signed_out_too() {
    let world = World::beside(&Setup::default());
    let source = world.fake().write_pool(&world.home().join("elsewhere"), &PoolKnobs::default()).expect("written");
    world.run_words(&["import", source.as_str()]).ok();
    let said = world.run("remove 2 --revoke --yes").ok();
    let told = "Account 2 (person2@example.test, id:000002) was imported: the program it came from is signed out, too.";
    assert!(said.err.contains(told), "{said}");
    assert!(is_revoked(&world, 2) && !is_revoked(&world, 1));
    assert!(!world.run("remove 2 --yes").ok().err.contains("was imported"), "nothing ends without the flag");
}

#[test]
fn nobody_ends_a_sign_in_without_a_yes() {
    let world = three();
    let before = world.files();
    let said = world.run("remove 2 --revoke").failed();
    assert!(said.err.contains("`codex-multi-auth remove 2 --revoke --yes`"), "{said}");
    assert_eq!((world.files(), world.fake().log().len()), (before, 0));
}
