//! A login whose lock was held during a renewal gets the new pair from the running agent, before its client presents
//! the spent token.

use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

use codex_auth_testkit::{LoginKind, LoginKnobs, PoolKnobs, Presented, Setup, Verdict, Who};
use serde_json::Value;

use crate::{
    serving::Serving,
    world::{World, read, write},
};

/// The agent looks every second; a loaded machine may be slow.
const LIMIT: Duration = Duration::from_secs(20);

fn refresh_token_of(login: &Value) -> String {
    login["tokens"]["refresh_token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_login_that_was_locked_during_a_renewal_follows_as_soon_as_it_is_free() {
    let setup = Setup { accounts: 1, ..Setup::default() };
    let world = World::with_pool(&setup, &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    let knobs = LoginKnobs { kind: LoginKind::ExpiredAccess, ..LoginKnobs::default() };
    write(&world.auth_json(), &world.fake().login_document(Who::Account(1), &knobs).to_string());
    let spent = refresh_token_of(&read(&world.auth_json()));
    let busy = File::create(format!("{}.lock", world.auth_json())).expect("made");
    busy.lock().expect("free");
    world.run("check --json").ok();
    let newest = world.pool()["accounts"][0]["refreshToken"].as_str().expect("a token").to_owned();
    assert_ne!(newest, spent, "it was renewed");

    let mut agent = Serving::start(&world);
    assert_eq!(refresh_token_of(&read(&world.auth_json())), spent, "its lock is held");
    busy.unlock().expect("held");
    let begun = Instant::now();
    while refresh_token_of(&read(&world.auth_json())) != newest {
        assert!(begun.elapsed() < LIMIT && agent.is_running(), "the login still holds the spent token");
        thread::yield_now();
    }
    let log = world.fake().log();
    let shown: Vec<&Presented> = log.iter().filter_map(|record| record.body.presented.as_ref()).collect();
    assert_eq!(shown.iter().map(|shown| shown.verdict).collect::<Vec<_>>(), [Verdict::Fresh], "nothing was presented");
}
