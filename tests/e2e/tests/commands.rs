//! What a person's own commands change in the next turn, and what they leave alone.

use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::{Finished, Scene, Who, World, scan};
use serde_json::Value;

const ONE: Option<Who> = Some(Who::Account(1));
const TWO: Option<Who> = Some(Who::Account(2));

/// Who served the turns asked for after `act`.
#[track_caller]
fn served_after(world: &World, act: impl FnOnce()) -> Vec<Option<Who>> {
    let before = world.upstream().last_serial();
    act();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    world.upstream().since(before).turns().accounts()
}

/// The flat document a command prints with `--json`.
#[track_caller]
fn document(done: &Finished, command: &str) -> Value {
    let document: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.story()));
    assert_eq!((&document["schemaVersion"], &document["command"]), (&1.into(), &command.into()), "{document}");
    document
}

#[test]
fn command_switch_pins_and_unpin_lets_go() {
    let world = World::of(&Scene::accounts(3).strategy("round_robin"));
    assert_eq!(served_after(&world, || drop(world.ours(&["switch", "2"]).succeeds())), [TWO]);
    assert_eq!(served_after(&world, || ()), [TWO]);
    assert_eq!(served_after(&world, || drop(world.ours(&["unpin"]).succeeds())), [Some(Who::Account(3))]);
    world.close();
}

#[test]
fn command_a_pinned_account_that_cannot_serve_fails_closed() {
    let world = World::of(&Scene::accounts(3).exhausted(&[2]));
    world.ours(&["switch", "2"]).succeeds();
    let done = world.run(&SAY_HI).fails();
    assert!(done.stderr.contains("usage limit"), "{}", done.story());
    assert_eq!(world.upstream().turns().accounts(), [TWO], "the pin was spilled\n{}", world.story());
    world.close();
}

#[test]
fn command_an_account_switched_off_on_disk_serves_no_further_turn() {
    let world = World::of(&Scene::accounts(3));
    let serving = world.start_ours(&["serve", "--json"]);
    serving.wait_for_stdout("\n", Duration::from_secs(10));
    let agent = world.agent()["pid"].clone();
    assert_eq!(served_after(&world, || ()), [ONE]);
    let off = || world.edit_pool(|pool| pool["accounts"][0]["enabled"] = false.into());
    assert_eq!(served_after(&world, off), [TWO]);
    assert_eq!(world.agent()["pid"], agent, "the agent was not to be restarted for this");
    serving.signal(rustix::process::Signal::TERM);
    serving.wait(Duration::from_secs(10));
    world.close();
}

#[test]
fn command_list_numbers_the_accounts() {
    let world = World::of(&Scene::accounts(3));
    let list = document(&world.ours(&["list", "--json"]).succeeds(), "list");
    let accounts = list["accounts"].as_array().cloned().unwrap_or_default();
    let numbers: Vec<Option<u64>> = accounts.iter().map(|account| account["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)], "{list}");
    assert_eq!(accounts[2]["recordId"], world.account(3)["recordId"]);
    assert_eq!(world.upstream().count(), 0, "listing asks nobody\n{}", world.story());
    world.close();
}

#[test]
fn command_an_error_is_one_document_too() {
    let world = World::of(&Scene::accounts(3));
    let done = world.ours(&["switch", "9", "--json"]);
    assert_eq!(done.code, Some(1), "{}", done.story());
    let error = document(&done, "switch");
    assert_eq!(error["ok"], false);
    assert!(error["error"].is_string() && error["errorInfo"]["code"].is_string(), "{error}");
    world.close();
}

#[test]
fn command_check_refreshes_once_and_asks_no_model() {
    let world = World::of(&Scene::accounts(3));
    world.write_pool(&codex_auth_testkit::PoolKnobs { expired_access: vec![1], ..Default::default() });
    world.ours(&["check"]).succeeds();
    assert_eq!(world.upstream().turns().count(), 0, "{}", world.story());
    assert_eq!(world.upstream().refreshes().count(), 1, "{}", world.story());
    assert_eq!(world.upstream().of("usage").count(), 3, "{}", world.story());
    world.close();
}

#[test]
fn command_looking_redeems_nothing() {
    let world = World::of(&Scene::accounts(3));
    world.write_pool(&codex_auth_testkit::PoolKnobs { expired_access: vec![1], ..Default::default() });
    let before = world.pool();
    for words in [["status"].as_slice(), &["list"], &["why-selected"], &["rotation", "status"]] {
        world.ours(words).succeeds();
    }
    assert_eq!(world.upstream().count(), 0, "{}", world.story());
    assert_eq!(world.pool(), before);
    world.close();
}

#[test]
fn command_import_current_adds_the_login() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.ours(&["import-current"]).succeeds();
    assert_eq!(world.account(4)["email"], "outsider@example.test");
    assert_eq!(world.account(4)["refreshToken"], world.login()["tokens"]["refresh_token"]);
    let done = world.run(&SAY_HI).succeeds();
    assert!(!done.stderr.contains("import-current"), "{}", done.stderr);
    world.close();
}

#[test]
fn command_undo_gives_codex_the_login_back_that_it_had() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let whose = || world.login()["tokens"]["account_id"].clone();
    // The official client alone: it accepts its login, and its turn is that account's.
    let check_alone = |number: usize| {
        assert_eq!(whose(), world.account(number)["accountId"]);
        world.codex_direct(&["login", "status"]).succeeds();
        let before = world.upstream().last_serial();
        assert_eq!(world.codex_direct(&SAY_HI).succeeds().stdout, ANSWER);
        assert_eq!(
            world.upstream().since(before).turns().accounts(),
            [Some(Who::Account(number))],
            "{}",
            world.story()
        );
    };
    world.ours(&["switch", "2"]).succeeds();
    check_alone(2);
    assert_eq!(served_after(&world, || ()), [TWO]);
    let undone = document(&world.ours(&["undo", "--json"]).succeeds(), "undo");
    assert_eq!(undone["loginRestored"], true, "{undone}");
    check_alone(1);
    assert_eq!(served_after(&world, || ()), [ONE]);
    assert_eq!(world.upstream().of("revoke").count(), 0, "{}", world.story());
    world.close();
}

#[test]
fn command_wrapper_install_and_remove_leave_no_trace() {
    let world = World::of(&Scene::accounts(3));
    let home = || scan::files_below(&world.path("home")).into_iter().filter(|file| !file.starts_with(world.root()));
    let before: Vec<_> = home().collect();
    let installed = world.ours(&["wrapper", "install"]).succeeds();
    let status = document(&world.ours(&["wrapper", "status", "--json"]).succeeds(), "wrapper status");
    assert_eq!(status["state"], "installed", "{status}\n{}", installed.story());
    world.ours(&["wrapper", "remove"]).succeeds();
    assert_eq!(home().collect::<Vec<_>>(), before);
    world.close();
}

#[test]
fn command_demo_does_the_main_job_and_leaves_nothing_behind() {
    let world = World::of(&Scene::accounts(1));
    let everything = || {
        let files = ["home", "work", "tmp"].map(|dir| scan::files_below(&world.path(dir)));
        files.concat()
    };
    let before = everything();
    let done = world.ours(&["demo"]).succeeds();
    assert!(done.elapsed < Duration::from_secs(10), "{}", done.story());
    assert_eq!(everything(), before);
    assert_eq!(world.upstream().count(), 0, "the demo has a fake of its own\n{}", world.story());
    world.close();
}

/// What is decided is written behind the answer, so it is asked for until it is there.
#[test]
fn command_the_last_selection_is_replayed_from_the_agents_log() {
    let world = World::of(&Scene::accounts(3));
    world.ours(&["switch", "2"]).succeeds();
    assert_eq!(served_after(&world, || ()), [TWO]);
    world.ours(&["unpin"]).succeeds();
    let last = std::iter::repeat_with(|| world.ours(&["why-selected", "--last", "--json"]))
        .take(200)
        .find(|done| done.code == Some(0))
        .expect("a decision is recorded");
    let last = document(&last, "why-selected");
    assert_eq!((&last["selected"]["number"], &last["recorded"]["sameAgain"]), (&2.into(), &true.into()), "{last}");
    assert_eq!(last["selected"]["selectionReason"], "pinned: no other account may serve", "{last}");
    assert_eq!(last["recorded"]["session"].as_str().map(str::len), Some(8), "a hash: {last}");
    assert_eq!(last["selected"]["recordId"], world.account(2)["recordId"], "{last}");
    world.close();
}
