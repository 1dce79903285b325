//! d. An expired access token is refreshed once, durably before it is used, and no refresh token is ever risked twice.

use std::collections::BTreeMap;
use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::wait::until;
use codex_auth_e2e::{Scene, Upstream, Who, World};
use codex_auth_testkit::{Act, Fault, LoginKind, LoginKnobs, PoolKnobs, Route, fingerprint};

const ONE: Option<Who> = Some(Who::Account(1));
const TWO: Option<Who> = Some(Who::Account(2));

/// A pool of this size in which account 1's access token expired an hour ago.
fn expired(scene: &Scene) -> World {
    let world = World::of(scene);
    world.write_pool(&PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    world
}

fn stored_refresh_token(world: &World) -> String {
    world.account(1)["refreshToken"].as_str().expect("every account has one").to_owned()
}

/// How often each refresh token was presented, by its fingerprint.
fn presentations(upstream: &Upstream) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for exchange in upstream.refreshes().iter() {
        let token = exchange.body["presented"]["token"].as_str().unwrap_or_default();
        *counts.entry(token.to_owned()).or_default() += 1;
    }
    counts
}

fn verdicts(upstream: &Upstream) -> Vec<String> {
    upstream.refreshes().iter().filter_map(|exchange| exchange.refresh_verdict().map(str::to_owned)).collect()
}

#[test]
fn d_an_expired_token_is_refreshed_once_and_the_same_account_serves() {
    let world = expired(&Scene::accounts(3).login(Who::Outsider));
    let before = stored_refresh_token(&world);
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "{}", world.story());
    assert_eq!(world.upstream().turns().accounts(), [ONE], "{}", world.story());
    assert_ne!(stored_refresh_token(&world), before);
    let known = world.fake().account(Who::Account(1))["tokens"]["refresh"].clone();
    assert_eq!(
        known,
        fingerprint(&stored_refresh_token(&world)),
        "the file holds another token than the issuer's last"
    );
    world.close();
}

#[test]
fn d_the_new_token_is_durable_before_it_is_used() {
    let world = expired(&Scene::accounts(3).login(Who::Outsider));
    let before = stored_refresh_token(&world);
    world.hold_turns(1);
    let run = world.start_run(&SAY_HI);
    world.await_turns(1, Duration::from_secs(20));
    assert_ne!(stored_refresh_token(&world), before, "the turn is under way and the file still holds the spent token");
    world.fake().release();
    run.wait(Duration::from_secs(20)).succeeds();
    world.close();
}

#[test]
fn d_eight_clients_at_once_refresh_once() {
    let world = expired(&Scene::accounts(3));
    let runs: Vec<_> = (0..8).map(|_| world.start_run(&SAY_HI)).collect();
    for run in runs {
        assert_eq!(run.wait(Duration::from_secs(90)).succeeds().stdout, ANSWER);
    }
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "{}", world.story());
    assert_eq!(world.upstream().turns().accounts(), [ONE; 8], "{}", world.story());
    world.close();
}

#[test]
fn d_a_token_whose_answer_was_lost_is_never_presented_again() {
    let world = expired(&Scene::accounts(3).login(Who::Outsider));
    world.fake().fault(&Fault::once(Route::Token, Act::LoseAnswer));
    for _ in 0..2 {
        assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    }
    assert_eq!(world.upstream().turns().accounts(), [TWO, TWO], "{}", world.story());
    let counts = presentations(&world.upstream());
    assert!(counts.values().all(|count| *count == 1), "{counts:?}\n{}", world.story());
    world.close();
}

#[test]
fn d_a_lost_answer_of_the_only_account_ends_in_one_clear_remedy() {
    let world = expired(&Scene::accounts(1).login(Who::Outsider));
    world.fake().fault(&Fault::once(Route::Token, Act::LoseAnswer));
    let done = world.run(&SAY_HI).fails();
    assert!(done.stderr.contains("login"), "{}", done.stderr);
    world.run(&SAY_HI).fails();
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "{}", world.story());
    world.close();
}

#[test]
fn d_a_token_that_a_complete_429_left_unspent_is_presented_again() {
    let world = expired(&Scene::accounts(1).login(Who::Outsider));
    let busy = Act::Answer { status: 429, headers: BTreeMap::new(), body: serde_json::json!({ "error": "slow_down" }) };
    world.fake().fault(&Fault::once(Route::Token, busy));
    let done = world.start_run(&SAY_HI).wait(Duration::from_secs(75)).succeeds();
    assert_eq!(done.stdout, ANSWER);
    assert_eq!(world.upstream().refreshes().statuses(), [Some(429), Some(200)], "{}", world.story());
    assert_eq!(verdicts(&world.upstream()), ["fresh", "fresh"]);
    world.close();
}

#[test]
fn d_a_token_that_never_left_is_presented_later() {
    let world = expired(&Scene::accounts(1).login(Who::Outsider));
    // Port 1 refuses: no connection, so nothing was sent.
    let mut nowhere = world.our_command();
    nowhere.args(["run", "--"]).args(SAY_HI).env("CODEX_MULTI_AUTH_ISSUER_URL", "http://127.0.0.1:1");
    let first = world.start(nowhere, b"");
    first.wait_for_stderr("Reconnecting", Duration::from_secs(30));
    drop(first);
    // The agent that knows nobody's issuer goes with its last session.
    world.await_quiet();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "{}", world.story());
    world.close();
}

#[test]
fn d_the_clients_own_refresh_is_ours_and_reaches_its_login() {
    let world = expired(&Scene::accounts(3).login(Who::Account(1)));
    world.log_in(Who::Account(1), &LoginKnobs { kind: LoginKind::ExpiredAccess, ..LoginKnobs::default() });
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "{}", world.story());
    assert_eq!(world.login()["tokens"]["refresh_token"], stored_refresh_token(&world));
    world.close();
}

#[test]
fn d_a_newer_login_on_disk_is_adopted_instead_of_spending_the_old_token() {
    let world = expired(&Scene::accounts(3).login(Who::Outsider));
    // The official client signed account 1 in anew; our file still holds the token of the sign-in before.
    world.log_in(Who::Account(1), &LoginKnobs { own_sign_in: true, ..LoginKnobs::default() });
    let newer = world.login()["tokens"]["refresh_token"].clone();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(verdicts(&world.upstream()), Vec::<String>::new(), "{}", world.story());
    assert_eq!(world.upstream().turns().accounts(), [ONE], "{}", world.story());
    assert_eq!(world.account(1)["refreshToken"], newer);
    world.close();
}

#[test]
fn d_a_401_never_reaches_the_client() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.fake().rotate(Who::Account(1));
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    let turns = world.upstream().turns();
    assert_eq!(turns.statuses(), [Some(401), Some(200)], "{}", world.story());
    assert_eq!(turns.accounts()[1], ONE, "the refreshed account serves\n{}", world.story());
    assert_eq!(verdicts(&world.upstream()), ["fresh"]);
    world.close();
}

#[test]
fn d_a_plain_client_finds_its_login_renewed_ahead_of_time() {
    let world = expired(&Scene::accounts(1).login(Who::Account(1)));
    world.log_in(Who::Account(1), &LoginKnobs { kind: LoginKind::ExpiredAccess, ..LoginKnobs::default() });
    let before = world.login()["tokens"]["refresh_token"].clone();
    // The agent without any session of ours.
    let serving = world.start_ours(&["serve", "--json"]);
    let is_renewed = || (world.login()["tokens"]["refresh_token"] != before).then_some(());
    assert!(until(Duration::from_secs(40), is_renewed).is_some(), "{}", world.story());
    assert_eq!(world.codex_direct(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(verdicts(&world.upstream()), ["fresh"], "the client presents nothing\n{}", world.story());
    drop(serving);
    world.close();
}

#[test]
fn d_a_wave_outlives_the_agent_that_saw_it() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.write_pool(&PoolKnobs { expired_access: vec![3], ..PoolKnobs::default() });
    let body = serde_json::json!({ "error": { "code": "token_invalidated", "message": "signed out" } });
    for who in [Who::Account(1), Who::Account(2)] {
        let out = Act::Answer { status: 401, headers: BTreeMap::new(), body: body.clone() };
        world.fake().fault(&Fault::once(Route::Responses, out).of(who));
    }
    let first = world.run(&SAY_HI).fails();
    assert!(first.stderr.contains("accounts 1 and 2"), "{}", first.stderr);
    world.await_quiet();
    let again = world.run(&SAY_HI).fails();
    assert!(again.stderr.contains("codex-multi-auth login --account 1"), "{}", again.stderr);
    assert_eq!(verdicts(&world.upstream()), Vec::<String>::new(), "nobody's token is presented\n{}", world.story());
    world.close();
}
