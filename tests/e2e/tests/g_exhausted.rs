//! g. When nobody can serve, the client stops after one request and says why, until when, or what to do.

use std::time::Duration;

use codex_auth_e2e::codex::SAY_HI;
use codex_auth_e2e::{Finished, Scene, Who, World};
use codex_auth_testkit::PoolKnobs;

/// The client gave up at once, by itself.
#[track_caller]
fn check_stopped_at_once(done: &Finished) {
    assert!(!done.stderr.contains("Reconnecting"), "the client asked again\n{}", done.story());
    assert!(done.elapsed < Duration::from_secs(15), "{}", done.story());
}

#[track_caller]
fn check_exhausted(scene: &Scene) {
    let world = World::of(scene);
    let done = world.run(&SAY_HI).fails();
    check_stopped_at_once(&done);
    assert!(done.stderr.contains("usage limit") && done.stderr.contains("try again at"), "{}", done.story());
    assert_eq!(world.upstream().turns().count(), 3, "each account is asked once\n{}", world.story());

    let again = world.run(&SAY_HI).fails();
    check_stopped_at_once(&again);
    assert!(again.stderr.contains("try again at"), "{}", again.story());
    assert_eq!(world.upstream().turns().count(), 3, "resting accounts were asked\n{}", world.story());
    world.close();
}

#[test]
fn g_every_account_exhausted_with_a_login() {
    check_exhausted(&Scene::accounts(3).exhausted(&[1, 2, 3]).login(Who::Outsider));
}

#[test]
fn g_every_account_exhausted_without_a_login() {
    check_exhausted(&Scene::accounts(3).exhausted(&[1, 2, 3]));
}

#[test]
fn g_the_time_is_the_earliest_of_all() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    for (number, minutes) in [(1, 50), (2, 20), (3, 40)] {
        world.fake().exhaust(Who::Account(number), Some(minutes * 60));
    }
    let resets_at =
        |number| world.fake().account(Who::Account(number))["exhausted_until_ms"].as_i64().expect("used up");
    let minute_of_day = resets_at(2) / 60_000 % (24 * 60);
    let done = world.run(&SAY_HI).fails();
    let (hour, minute) = (minute_of_day / 60, minute_of_day % 60);
    let (half, hour) = (if hour < 12 { "AM" } else { "PM" }, if hour % 12 == 0 { 12 } else { hour % 12 });
    let time = format!("{hour}:{minute:02} {half}");
    assert!(done.stderr.contains(&time), "not {time}\n{}", done.story());
    world.close();
}

/// Nobody is signed in any more: our own words reach the person, with the command that helps.
#[track_caller]
fn check_remedy(scene: &Scene, knobs: &PoolKnobs) -> Finished {
    let world = World::of(scene);
    world.write_pool(knobs);
    let done = world.run(&SAY_HI).fails();
    check_stopped_at_once(&done);
    assert!(done.stderr.contains("codex-multi-auth login"), "no remedy\n{}", done.story());
    assert_eq!(world.upstream().turns().count(), 0, "{}", world.story());
    assert_eq!(world.upstream().refreshes().count(), 0, "{}", world.story());
    world.close();
    done
}

#[test]
fn g_every_account_needs_sign_in_with_a_login() {
    let knobs = PoolKnobs { needs_login: vec![1, 2, 3], ..PoolKnobs::default() };
    let done = check_remedy(&Scene::accounts(3).login(Who::Outsider), &knobs);
    for number in ["1", "2", "3"] {
        assert!(done.stderr.contains(number), "account {number} is not named\n{}", done.story());
    }
}

#[test]
fn g_every_account_needs_sign_in_without_a_login() {
    let knobs = PoolKnobs { needs_login: vec![1, 2, 3], ..PoolKnobs::default() };
    check_remedy(&Scene::accounts(3), &knobs);
}

#[test]
fn g_revocation_is_believed_after_two_accounts() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    for number in 1..=3 {
        world.fake().revoke(Who::Account(number));
    }
    let done = world.run(&SAY_HI).fails();
    check_stopped_at_once(&done);
    assert!(done.stderr.contains("codex-multi-auth login"), "no remedy\n{}", done.story());
    assert_eq!(world.upstream().turns().count(), 2, "a wave is not ridden to its end\n{}", world.story());
    assert_eq!(world.upstream().refreshes().count(), 0, "a revoked sign-in was presented\n{}", world.story());
    for number in 1..=2 {
        let account = world.account(number);
        assert!(account["authInvalidatedAt"].as_i64().is_some(), "account {number} carries no marker: {account}");
    }
    world.close();
}
