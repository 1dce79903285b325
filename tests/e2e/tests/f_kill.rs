//! f. `kill -9` of the agent in mid-turn: the turn completes, and nobody else can take the port meanwhile.

use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::namespace::Process;
use codex_auth_e2e::{Scene, Who, World, probe, wait};

#[track_caller]
fn check_turn_survives(scene: &Scene) {
    let world = World::of(scene);
    world.hold_turns(1);
    let run = world.start_run(&SAY_HI);
    world.await_turns(1, Duration::from_secs(20));
    let agent = world.agent_process();
    assert_ne!(agent.pid, run.pid(), "the agent is a process of its own");
    let port = world.agent()["port"].clone();

    agent.kill();

    let done = run.wait(Duration::from_secs(30)).succeeds();
    assert_eq!(done.stdout, ANSWER);
    let next = world.agent();
    assert_eq!(next["port"], port, "the agent came back on another port");
    assert_ne!(next["pid"], agent.pid);
    world.close();
}

#[test]
fn f_the_turn_completes_with_a_login() {
    check_turn_survives(&Scene::accounts(3).login(Who::Outsider));
}

#[test]
fn f_the_turn_completes_without_a_login() {
    check_turn_survives(&Scene::accounts(3));
}

#[test]
fn f_nobody_else_takes_the_port() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.hold_turns(1);
    let run = world.start_run(&SAY_HI);
    world.await_turns(1, Duration::from_secs(20));
    let port = world.agent()["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let agent = world.agent_process();
    agent.kill();
    let taken = probe::can_bind(world.namespace(), port, Duration::from_secs(2));
    assert!(!taken, "port {port} was free after the agent was killed");
    assert_eq!(run.wait(Duration::from_secs(30)).succeeds().stdout, ANSWER);
    world.close();
}

#[test]
fn f_an_agent_killed_between_turns_is_replaced_for_the_next() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.hold_turns(1);
    let waiting = world.start_run(&SAY_HI);
    world.await_turns(1, Duration::from_secs(20));
    let first = world.agent_process();
    first.kill();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(waiting.wait(Duration::from_secs(30)).succeeds().stdout, ANSWER);
    let gone = wait::until(Duration::from_secs(1), || Process::read(first.pid).is_none().then_some(()));
    assert!(gone.is_some(), "the killed agent is still there");
    world.close();
}
