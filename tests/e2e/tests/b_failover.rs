//! b. An exhausted account steps aside within the turn: another serves, the client sees no error, the first rests.

use std::fs;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Finished, Scene, Who, World};

const ONE: Option<Who> = Some(Who::Account(1));
const TWO: Option<Who> = Some(Who::Account(2));

/// The turn was served, and nothing on either stream speaks of trouble.
#[track_caller]
fn check_served(done: &Finished) {
    assert_eq!(done.stdout, ANSWER);
    // The client writes its own models cache in place and sometimes reads it half-written; that happens without us too.
    let of_its_own = |line: &&str| !line.contains("failed to load models cache");
    let stderr = done.stderr.lines().filter(of_its_own).collect::<Vec<_>>().join("\n").to_lowercase();
    for word in ["error", "limit", "reconnecting", "retry"] {
        assert!(!stderr.contains(word), "the client heard of `{word}`\n{}", done.story());
    }
}

/// The instants until which an account rests by the file, in seconds.
fn resting_until(world: &World, number: usize) -> Vec<i64> {
    let account = world.account(number);
    let times = account["rateLimitResetTimes"].as_object().cloned().unwrap_or_default();
    times.values().filter_map(serde_json::Value::as_i64).map(|ms| ms / 1000).collect()
}

/// The instant until which the fake refuses an account, in seconds: what its answer calls `resets_at`.
fn refused_until(world: &World, number: usize) -> i64 {
    let until =
        world.fake().account(Who::Account(number))["exhausted_until_ms"].as_i64().expect("the account is used up");
    // The answer rounds up, so that nobody comes back too early.
    (until + 999).div_euclid(1000)
}

#[test]
fn b_the_next_account_serves_and_the_first_rests_until_its_reset() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]).login(Who::Outsider));
    check_served(&world.run(&SAY_HI).succeeds());
    let turns = world.upstream().turns();
    assert_eq!(turns.accounts(), [ONE, TWO], "{}", world.story());
    assert_eq!(turns.statuses(), [Some(429), Some(200)]);
    let rests = resting_until(&world, 1);
    assert!(rests.contains(&refused_until(&world, 1)), "{rests:?}");
    assert!(resting_until(&world, 2).is_empty() && resting_until(&world, 3).is_empty());
    world.close();
}

#[test]
fn b_without_a_login_too() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]));
    check_served(&world.run(&SAY_HI).succeeds());
    assert_eq!(world.upstream().turns().accounts(), [ONE, TWO], "{}", world.story());
    world.close();
}

#[test]
fn b_a_resting_account_is_not_asked_again() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]).login(Who::Outsider));
    world.run(&SAY_HI).succeeds();
    let before = world.upstream().last_serial();
    check_served(&world.run(&SAY_HI).succeeds());
    assert_eq!(world.upstream().since(before).turns().accounts(), [TWO], "{}", world.story());
    world.close();
}

#[test]
fn b_a_rest_that_is_over_is_over() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]).login(Who::Outsider));
    world.run(&SAY_HI).succeeds();
    world.fake().restore_all();
    // The reset passes: the same file an hour later says the same with instants an hour older.
    world.edit_pool(|pool| {
        for (_, until) in pool["accounts"][0]["rateLimitResetTimes"].as_object_mut().expect("it rests") {
            *until = (until.as_i64().expect("an instant") - 2 * 3_600_000).into();
        }
    });
    // So says what is remembered of its quota.
    world.await_quiet();
    fs::remove_file(world.root().join("quota-cache.json")).expect("quotas are remembered");
    let before = world.upstream().last_serial();
    check_served(&world.run(&SAY_HI).succeeds());
    assert_eq!(world.upstream().since(before).turns().accounts(), [ONE], "{}", world.story());
    world.close();
}

#[test]
fn b_two_exhausted_accounts_are_passed_over_in_one_turn() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1, 2]).login(Who::Outsider));
    check_served(&world.run(&SAY_HI).succeeds());
    assert_eq!(world.upstream().turns().statuses(), [Some(429), Some(429), Some(200)], "{}", world.story());
    world.close();
}

#[test]
fn b_with_hybrid_whichever_is_asked_first_steps_aside() {
    let scene = Scene::accounts(3).fake(&["--exhaust-first-asked"]).strategy("hybrid").login(Who::Outsider);
    let world = World::of(&scene);
    check_served(&world.run(&SAY_HI).succeeds());
    let turns = world.upstream().turns();
    assert_eq!(turns.statuses(), [Some(429), Some(200)], "{}", world.story());
    let asked = turns.accounts();
    assert_ne!(asked[0], asked[1]);
    let Some(Who::Account(first)) = asked[0] else { panic!("nobody of the pool was asked first: {asked:?}") };
    assert!(resting_until(&world, first).contains(&refused_until(&world, first)));
    world.close();
}
