//! l. A plain client and a wrapped one at once, with one login between them: whoever has to renew, it is done once, and
//! the other goes on with what it bought.

use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Scene, Who, World};
use codex_auth_testkit::fingerprint;

const ONE: Option<Who> = Some(Who::Account(1));
const TWO: Option<Who> = Some(Who::Account(2));
const SOON: Duration = Duration::from_secs(30);

/// Exactly one token was presented, and everybody has the pair it bought.
#[track_caller]
fn one_renewal(world: &World, number: usize) {
    let upstream = world.upstream();
    let refreshes = upstream.refreshes();
    let verdicts: Vec<_> = refreshes.iter().filter_map(|exchange| exchange.refresh_verdict()).collect();
    assert_eq!(verdicts, ["fresh"], "{}", world.story());
    let known = world.fake().account(Who::Account(number));
    assert_eq!(known["revoked"], false);
    let newest = known["tokens"]["refresh"].as_str().map(str::to_owned);
    assert_eq!(world.account(number)["refreshToken"].as_str().map(fingerprint), newest, "the pool");
    assert_eq!(world.login()["tokens"]["refresh_token"].as_str().map(fingerprint), newest, "the login");
}

#[test]
fn l_the_wrapped_client_fails_over_onto_the_plain_clients_account_and_renews_it() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(2)));
    world.hold_turns(1);
    let plain = world.start_codex_direct(&SAY_HI);
    world.await_turns(1, SOON);
    world.fake().exhaust(Who::Account(1), None);
    world.fake().rotate(Who::Account(2));
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    one_renewal(&world, 2);
    world.fake().release();
    assert_eq!(plain.wait(SOON).succeeds().stdout, ANSWER);
    // The next plain client finds the new pair in its login and presents nothing.
    assert_eq!(world.codex_direct(&SAY_HI).succeeds().stdout, ANSWER);
    one_renewal(&world, 2);
    let turns = world.upstream().turns();
    assert_eq!(turns.accounts(), [TWO, ONE, TWO, TWO, TWO], "{}", world.story());
    assert_eq!(turns.statuses(), [Some(200), Some(429), Some(401), Some(200), Some(200)]);
    world.close();
}

#[test]
fn l_the_plain_client_renews_and_the_wrapped_one_adopts_it_then_fails_over() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    world.hold_turns(1);
    let wrapped = world.start_run(&SAY_HI);
    world.await_turns(1, SOON);
    world.fake().rotate(Who::Account(1));
    assert_eq!(world.codex_direct(&SAY_HI).succeeds().stdout, ANSWER);
    world.fake().release();
    assert_eq!(wrapped.wait(SOON).succeeds().stdout, ANSWER);
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    one_renewal(&world, 1);
    assert_eq!(world.upstream().turns().accounts().last(), Some(&ONE), "{}", world.story());
    world.fake().exhaust(Who::Account(1), None);
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts().last(), Some(&TWO), "{}", world.story());
    one_renewal(&world, 1);
    world.close();
}
