//! h. Ten wrapped sessions share one agent; it stays small, and is gone two seconds after the last.

use std::time::{Duration, Instant};

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::namespace::Process;
use codex_auth_e2e::{Running, Scene, World, wait};

const SESSIONS: usize = 10;
/// What the agent itself takes. The pages of an unoptimised program file are not its own; `cargo xtask bench` holds the
/// released program to its whole size.
const MOST_MEMORY: u64 = 10 * 1024 * 1024;

/// Sessions whose turns are all under way at the same time.
fn sessions_under_way(world: &World) -> Vec<Running> {
    world.hold_turns(u32::try_from(SESSIONS).expect("ten"));
    let runs: Vec<Running> = (0..SESSIONS).map(|_| world.start_run(&SAY_HI)).collect();
    world.await_turns(SESSIONS, Duration::from_secs(90));
    runs
}

#[test]
fn h_ten_sessions_share_one_small_agent_that_goes_after_the_last() {
    let world = World::of(&Scene::accounts(3));
    let runs = sessions_under_way(&world);
    let agent = world.agent_process();
    let wrappers: Vec<u32> = runs.iter().map(Running::pid).collect();
    let ours: Vec<Process> =
        world.processes().into_iter().filter(|process| process.line.contains("codex-multi-auth")).collect();
    let agents: Vec<&Process> = ours.iter().filter(|process| !wrappers.contains(&process.pid)).collect();
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!(agents[0].pid, agent.pid);
    let memory = agent.private_bytes().expect("it is running");
    assert!(memory <= MOST_MEMORY, "{} KiB with ten open turns", memory / 1024);

    world.fake().release();
    for run in runs {
        assert_eq!(run.wait(Duration::from_mins(1)).succeeds().stdout, ANSWER);
    }
    let last_ended = Instant::now();
    let gone = wait::until(Duration::from_secs(4), || Process::read(agent.pid).is_none().then(|| last_ended.elapsed()));
    let lived_on = gone.expect("the agent outlived its last session by more than four seconds");
    assert!(lived_on > Duration::from_millis(1200), "it was gone after {lived_on:?}, too soon for the next command");
    world.close();
}

#[test]
fn h_the_next_command_within_two_seconds_finds_the_same_agent() {
    let world = World::of(&Scene::accounts(3));
    world.run(&SAY_HI).succeeds();
    let first = world.agent()["pid"].clone();
    world.run(&SAY_HI).succeeds();
    assert_eq!(world.agent()["pid"], first);
    world.close();
}

#[test]
fn h_a_session_that_is_killed_holds_no_agent() {
    let world = World::of(&Scene::accounts(3));
    world.hold_turns(1);
    let run = world.start_run(&SAY_HI);
    world.await_turns(1, Duration::from_secs(20));
    let agent = world.agent_process();
    for process in world.processes().into_iter().filter(|process| process.pid != agent.pid) {
        process.kill();
    }
    drop(run);
    let gone = wait::until(Duration::from_secs(5), || Process::read(agent.pid).is_none().then_some(()));
    assert!(gone.is_some(), "the agent outlived its killed session");
    world.close();
}
