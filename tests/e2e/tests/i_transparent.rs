//! i. The wrapper is transparent: bytes as they come, exit codes, signals and job control as without us.

use std::os::unix::fs::symlink;
use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI, program};
use codex_auth_e2e::namespace::Process;
use codex_auth_e2e::{Finished, Running, Scene, Who, World, wait};
use rustix::process::Signal;

const IN_JSON: [&str; 4] = ["exec", "--json", "--skip-git-repo-check", "say hi"];
const SOON: Duration = Duration::from_secs(20);

type Start = fn(&World, &[&str]) -> Running;

const WITHOUT_US: Start = |world, args| world.start_codex_direct(args);
const WITH_US: Start = |world, args| world.start_run(args);

/// With a login of the pool: about any other we have something to say.
fn scene() -> Scene {
    Scene::accounts(3).login(Who::Account(1))
}

/// A turn that has begun and does not go on.
fn held(world: &World, start: Start) -> Running {
    world.hold_turns(1);
    let run = start(world, &IN_JSON);
    world.await_turns(1, SOON);
    run
}

/// Code, signal and both streams of a command that asks no model, which must not depend on us.
#[track_caller]
fn check_same(args: &[&str]) {
    let world = World::of(&scene());
    let [without, with] = [WITHOUT_US, WITH_US].map(|start| start(&world, args).wait(SOON));
    let shape = |done: &Finished| (done.code, done.signal, done.stdout.clone(), done.stderr.clone());
    assert_eq!(shape(&with), shape(&without));
    assert_eq!(world.upstream().turns().count(), 0);
    world.close();
}

#[test]
fn i_version_is_the_official_one() {
    check_same(&["--version"]);
}

#[test]
fn i_help_is_the_official_one() {
    check_same(&["exec", "--help"]);
}

#[test]
fn i_an_unknown_option_fails_the_official_way() {
    check_same(&["exec", "--no-such-option"]);
}

#[test]
fn i_under_the_name_codex_we_are_codex() {
    let world = World::of(&scene());
    let codex = world.path("work/codex");
    symlink(program("codex-multi-auth"), &codex).unwrap();
    let call = |args: &[&str]| {
        let mut command = world.command(&codex);
        command.args(args);
        world.start(command, b"").wait(SOON).succeeds()
    };
    assert_eq!(call(&["--version"]).stdout, world.codex_direct(&["--version"]).stdout);
    assert_eq!(call(&SAY_HI).stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    assert!(call(&["auth", "list"]).stdout.contains("person1@example.test"), "{}", world.story());
    world.close();
}

#[test]
fn i_a_prompt_on_standard_input_arrives() {
    let world = World::of(&scene());
    let mut command = world.our_command();
    command.args(["run", "--", "exec", "--skip-git-repo-check", "-"]);
    assert_eq!(world.start(command, b"say hi\n").wait(SOON).succeeds().stdout, ANSWER);
    world.close();
}

#[test]
fn i_a_routed_session_appears_in_the_status() {
    let world = World::of(&scene());
    let run = held(&world, WITH_US);
    let status = world.ours(&["rotation", "status", "--json"]).succeeds();
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("one JSON document");
    let sessions = status["sessions"].as_array().cloned().unwrap_or_default();
    assert_eq!(sessions.len(), 1, "{status}");
    let family: Vec<u32> = world.processes().iter().map(|process| process.pid).collect();
    assert!(sessions[0]["pid"].as_u64().is_some_and(|pid| family.iter().any(|member| u64::from(*member) == pid)));
    assert_eq!(sessions[0]["cwd"], world.work().display().to_string());
    assert!(sessions[0]["account"] != serde_json::Value::Null && sessions[0]["since"] != serde_json::Value::Null);
    assert_eq!((&status["schemaVersion"], &status["command"]), (&1.into(), &"rotation status".into()));
    world.fake().release();
    run.wait(SOON).succeeds();
    world.close();
}

#[test]
fn i_standard_output_is_streamed() {
    let world = World::of(&scene());
    let run = held(&world, WITH_US);
    run.wait_for_stdout("turn.started", Duration::from_secs(2));
    assert!(!run.record().stdout.text().contains("turn.completed"));
    world.fake().release();
    assert!(run.wait(SOON).succeeds().stdout.contains("turn.completed"));
    world.close();
}

/// What a signal to the process, or to its group as from a terminal, makes of a turn under way.
fn ending(start: Start, signal: Signal, to_group: bool) -> (Option<i32>, Option<i32>) {
    let world = World::of(&scene());
    let run = held(&world, start);
    if to_group {
        run.signal_group(signal);
    } else {
        run.signal(signal);
    }
    let done = run.wait(SOON);
    world.close();
    (done.code, done.signal)
}

#[track_caller]
fn check_signal(signal: Signal, to_group: bool) {
    assert_eq!(ending(WITH_US, signal, to_group), ending(WITHOUT_US, signal, to_group));
}

#[test]
fn i_interrupted_from_the_terminal() {
    check_signal(Signal::INT, true);
}

#[test]
fn i_interrupted_alone() {
    check_signal(Signal::INT, false);
}

#[test]
fn i_terminated_alone() {
    check_signal(Signal::TERM, false);
}

#[test]
fn i_terminated_with_its_group() {
    check_signal(Signal::TERM, true);
}

#[test]
fn i_hung_up() {
    check_signal(Signal::HUP, true);
}

/// Stopped and continued: nothing runs meanwhile, and the turn goes on afterwards.
#[track_caller]
fn check_job_control(to_group: bool) {
    let world = World::of(&scene());
    let run = held(&world, WITH_US);
    let agent = world.agent_process().pid;
    let states = || -> Vec<char> {
        let family = world.processes().into_iter().filter(|process| process.pid != agent);
        family.map(|process: Process| process.state).collect()
    };
    let send = |signal| if to_group { run.signal_group(signal) } else { run.signal(signal) };
    send(Signal::TSTP);
    let stopped = wait::until(SOON, || (states() == ['T', 'T']).then_some(()));
    assert!(stopped.is_some(), "wrapper and client are not both stopped: {:?}", world.processes());
    send(Signal::CONT);
    let resumed = wait::until(SOON, || (!states().contains(&'T')).then_some(()));
    assert!(resumed.is_some(), "something is still stopped: {:?}", world.processes());
    world.fake().release();
    run.wait(SOON).succeeds();
    world.close();
}

#[test]
fn i_stopped_and_continued_from_the_terminal() {
    check_job_control(true);
}

#[test]
fn i_stopped_and_continued_alone() {
    check_job_control(false);
}
