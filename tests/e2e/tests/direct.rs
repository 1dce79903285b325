//! The harness proves itself: the official client straight at the fake, and a judge that does find fault.

use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Scene, Who, World};

#[test]
fn direct_a_login_is_answered() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    let done = world.codex_direct(&SAY_HI).succeeds();
    assert_eq!(done.stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Outsider)], "{}", world.story());
    world.close();
}

#[test]
fn direct_an_api_key_is_answered() {
    let world = World::of(&Scene::accounts(3));
    let done = world.codex_direct(&SAY_HI).succeeds();
    assert_eq!(done.stdout, ANSWER);
    assert_eq!(world.upstream().turns().count(), 1, "{}", world.story());
    world.close();
}

#[test]
fn direct_an_exhausted_login_stops_after_one_request_with_a_time() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]).login(Who::Account(1)));
    let done = world.codex_direct(&SAY_HI).fails();
    assert!(done.stderr.contains("usage limit") && done.stderr.contains("try again at"), "{}", done.stderr);
    assert_eq!(world.upstream().turns().statuses(), [Some(429)], "{}", world.story());
    world.close();
}

#[test]
fn direct_outside_traffic_is_noticed() {
    let world = World::of(&Scene::accounts(1).login(Who::Outsider));
    std::fs::remove_file(world.codex_home().join("config.toml")).unwrap();
    world.codex_direct(&SAY_HI).succeeds();
    let faults = world.judge();
    assert!(faults.iter().any(|fault| fault.starts_with("outside traffic: ")), "{faults:?}");
}

#[test]
fn direct_a_secret_in_a_file_is_noticed() {
    let world = World::of(&Scene::accounts(1));
    let token = world.account(1)["refreshToken"].as_str().unwrap().to_owned();
    std::fs::write(world.work().join("notes.txt"), token).unwrap();
    let faults = world.judge();
    assert!(faults.len() == 1 && faults[0].ends_with("notes.txt"), "{faults:?}");
}

#[test]
fn direct_a_secret_in_output_or_in_a_command_line_is_noticed() {
    let world = World::of(&Scene::accounts(1));
    let token = world.account(1)["refreshToken"].as_str().unwrap().to_owned();
    let mut echo = world.command("/bin/sh");
    echo.args(["-c", "cat"]);
    let echo = world.start(echo, token.as_bytes());
    echo.wait(Duration::from_secs(5)).succeeds();
    let mut tail = world.command("/usr/bin/tail");
    tail.args(["-f", "/dev/null", "--", &token]);
    let tail = world.start(tail, b"");
    let seen = codex_auth_e2e::wait::until(Duration::from_secs(5), || world.saw_secret_in_command_line().then_some(()));
    drop(tail);
    let faults = world.judge();
    assert!(seen.is_some() && faults.iter().any(|fault| fault.contains("standard output")), "{faults:?}");
}

#[test]
fn direct_a_stray_process_is_noticed() {
    let world = World::of(&Scene::accounts(1));
    let mut shell = world.command("/bin/sh");
    shell.args(["-c", "setsid tail -f /dev/null >/dev/null 2>&1 &"]);
    world.start(shell, b"").wait(Duration::from_secs(5)).succeeds();
    let faults = world.judge();
    assert_eq!(faults, ["left running: tail -f /dev/null"]);
}

#[test]
fn direct_logout_revokes_the_login() {
    let world = World::of(&Scene::accounts(1).login(Who::Account(1)));
    world.codex_direct(&["logout"]).succeeds();
    assert_eq!(world.upstream().of("revoke").count(), 1, "{}", world.story());
    world.close();
}
