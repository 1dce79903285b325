//! c. History stays whole: threads begun without us go on with us and the reverse, and we change no file of the client.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use codex_auth_e2e::codex::SAY_HI;
use codex_auth_e2e::{Exchange, Finished, Scene, Who, World};

const RESUME: [&str; 5] = ["exec", "--skip-git-repo-check", "resume", "--last", "and again"];

type Turn = fn(&World, &[&str]) -> Finished;

const WITHOUT_US: Turn = |world, args| world.codex_direct(args);
const WITH_US: Turn = |world, args| world.run(args);

/// The second turn goes on with the thread of the first, and carries what was said in it.
#[track_caller]
fn check_resumes(scene: &Scene, first: Turn, second: Turn) {
    let world = World::of(scene);
    first(&world, &SAY_HI).succeeds();
    second(&world, &RESUME).succeeds();
    let turns = world.upstream().turns();
    let [begun, resumed] = &turns.iter().collect::<Vec<&Exchange>>()[..] else { panic!("{}", world.story()) };
    assert_eq!(begun.headers["thread-id"], resumed.headers["thread-id"]);
    let items = |turn: &Exchange| turn.body["turn"]["input_items"].as_u64().expect("a turn has input");
    assert!(items(resumed) > items(begun), "{} items, then {}", items(begun), items(resumed));
    world.close();
}

#[test]
fn c_begun_without_us_resumed_with_us() {
    check_resumes(&Scene::accounts(3).login(Who::Outsider), WITHOUT_US, WITH_US);
}

#[test]
fn c_begun_with_us_resumed_without_us() {
    check_resumes(&Scene::accounts(3).login(Who::Outsider), WITH_US, WITHOUT_US);
}

#[test]
fn c_begun_and_resumed_with_us() {
    check_resumes(&Scene::accounts(3).login(Who::Outsider), WITH_US, WITH_US);
}

#[test]
fn c_without_a_login_begun_without_us_resumed_with_us() {
    check_resumes(&Scene::accounts(3), WITHOUT_US, WITH_US);
}

#[test]
fn c_without_a_login_begun_with_us_resumed_without_us() {
    check_resumes(&Scene::accounts(3), WITH_US, WITHOUT_US);
}

#[test]
fn c_a_thread_of_a_login_resumes_without_one() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.run(&SAY_HI).succeeds();
    std::fs::remove_file(world.login_file()).unwrap();
    world.run(&RESUME).succeeds();
    let threads: BTreeSet<String> =
        world.upstream().turns().iter().map(|turn| turn.headers["thread-id"].clone()).collect();
    assert_eq!((threads.len(), world.upstream().turns().count()), (1, 2), "{}", world.story());
    world.close();
}

/// The files a client leaves in its home, without what differs from run to run: names with dates, ids and journals.
fn kinds(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeSet<PathBuf> {
    let is_stable = |file: &&PathBuf| {
        let name = file.to_string_lossy();
        !file.starts_with("sessions") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    files.keys().filter(is_stable).cloned().collect()
}

#[track_caller]
fn check_untouched(scene: &Scene) {
    let alone = World::of(scene);
    alone.codex_direct(&SAY_HI).succeeds();
    let expected = kinds(&alone.codex_files());
    alone.close();

    let world = World::of(scene);
    let before = world.codex_files();
    world.run(&SAY_HI).succeeds();
    let after = world.codex_files();
    assert_eq!(kinds(&after), expected, "other files than the client alone leaves");
    for (file, bytes) in before {
        assert!(after.get(&file) == Some(&bytes), "{} was changed", file.display());
    }
    let provider = after.iter().find(|(file, _)| file.starts_with("sessions")).map(|(_, rollout)| rollout);
    let rollout = String::from_utf8_lossy(provider.expect("the client wrote its rollout")).into_owned();
    assert!(rollout.contains("\"model_provider\":\"openai\""), "the thread is not the built-in provider's");
    assert!(!after.contains_key(Path::new("auth.json")) || scene.login.is_some());
    world.close();
}

#[test]
fn c_no_file_of_the_client_is_changed_with_a_login() {
    check_untouched(&Scene::accounts(3).login(Who::Account(1)));
}

#[test]
fn c_no_file_of_the_client_is_changed_without_a_login() {
    check_untouched(&Scene::accounts(3));
}
