//! j. The interactive client at a terminal: two turns with a login; without one, the offer of `switch`.

use std::time::Duration;

use codex_auth_e2e::codex::{self, program};
use codex_auth_e2e::terminal::Terminal;
use codex_auth_e2e::{Scene, Who, World};
use codex_auth_testkit::Script;

const SOON: Duration = Duration::from_secs(20);

/// Whether the screen takes a prompt: its last lines name the model and the directory.
fn takes_a_prompt(screen: &str) -> bool {
    screen.contains("default ·")
}

/// Types a prompt and waits for the scripted answer.
#[track_caller]
fn turn(world: &World, terminal: &Terminal<'_>, prompt: &str, answer: &str) {
    world.fake().script(&Script::text(answer));
    terminal.type_text(prompt);
    terminal.wait_for(prompt, SOON);
    terminal.press_until("Enter", answer, SOON);
}

#[track_caller]
fn two_turns(world: &World, terminal: &Terminal<'_>) {
    terminal.wait_until("composer", SOON, takes_a_prompt);
    turn(world, terminal, "say one", "The first answer.");
    turn(world, terminal, "say two", "The second answer.");
    quit(terminal);
}

#[track_caller]
fn quit(terminal: &Terminal<'_>) {
    terminal.type_text("/quit");
    terminal.wait_for("/quit", SOON);
    terminal.press_until("Enter", "[ended 0]", SOON);
}

#[test]
fn j_two_turns_without_us() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider).terminal());
    let keys = codex::login_keys(world.fake().port());
    let mut args: Vec<&str> = keys.iter().map(String::as_str).collect();
    args.extend(["--no-daemon", "--no-alt-screen"]);
    let client = codex::native();
    let terminal = Terminal::open(&world, &client.display().to_string(), &args);
    two_turns(&world, &terminal);
    drop(terminal);
    world.close();
}

#[test]
fn j_two_turns_with_a_login() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider).terminal());
    let ours = program("codex-multi-auth");
    let terminal = Terminal::open(&world, &ours.display().to_string(), &["run", "--", "--no-alt-screen"]);
    two_turns(&world, &terminal);
    let turns = world.upstream().turns();
    assert!(turns.count() >= 2, "{}", world.story());
    assert_eq!(turns.by(Who::Account(1)).count(), turns.count(), "another account was asked\n{}", world.story());
    drop(terminal);
    world.close();
}

#[test]
fn j_an_account_that_runs_out_between_turns_is_not_noticed() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider).terminal());
    let ours = program("codex-multi-auth");
    let terminal = Terminal::open(&world, &ours.display().to_string(), &["run", "--", "--no-alt-screen"]);
    terminal.wait_until("composer", SOON, takes_a_prompt);
    turn(&world, &terminal, "say one", "The first answer.");
    world.fake().exhaust(Who::Account(1), None);
    turn(&world, &terminal, "say two", "The second answer.");
    assert!(!terminal.screen().contains("usage limit"), "{}", terminal.screen());
    assert!(world.upstream().turns().by(Who::Account(2)).count() >= 1, "{}", world.story());
    quit(&terminal);
    drop(terminal);
    world.close();
}

#[test]
fn j_without_a_login_the_offer_is_taken() {
    let world = World::of(&Scene::accounts(3).terminal());
    let ours = program("codex-multi-auth");
    let terminal = Terminal::open(&world, &ours.display().to_string(), &["run", "--", "--no-alt-screen"]);
    terminal.wait_for("switch", SOON);
    assert!(!world.login_file().exists(), "the login was written before anybody agreed");
    let asks_for_consent = terminal.screen().to_lowercase().contains("[y/n]");
    terminal.type_text(if asks_for_consent { "y" } else { "1" });
    terminal.press("Enter");
    two_turns(&world, &terminal);
    assert_eq!(world.login()["tokens"]["account_id"], world.account(1)["accountId"]);
    assert_eq!(world.login()["tokens"]["refresh_token"], world.account(1)["refreshToken"]);
    drop(terminal);
    world.close();
}

#[test]
fn j_a_reset_asks_and_a_no_changes_nothing() {
    let world = World::of(&Scene::accounts(3));
    let before = world.pool();
    let ours = program("codex-multi-auth").display().to_string();
    let asked = |answer: &str, end: &str| {
        let terminal = Terminal::open(&world, &ours, &["reset"]);
        let screen = terminal.wait_for("[y/N]", SOON);
        assert!(screen.contains("Empty the pool of 3 accounts? `codex-multi-auth undo` takes that back."), "{screen}");
        terminal.type_text(answer);
        terminal.press("Enter");
        terminal.wait_for(end, SOON)
    };
    assert!(asked("n", "[ended 1]").contains("Nothing was changed."));
    assert_eq!(world.pool(), before);
    assert!(asked("y", "[ended 0]").contains("The pool is empty; 3 accounts left it."));
    assert_eq!(world.pool()["accounts"].as_array().map(Vec::len), Some(0));
    world.ours(&["undo"]).succeeds();
    assert_eq!(world.pool()["accounts"].as_array().map(Vec::len), Some(3));
    world.close();
}

#[test]
fn j_without_a_login_and_without_a_terminal_the_command_is_named_and_nothing_written() {
    let world = World::of(&Scene::accounts(3));
    let before = world.codex_files();
    let done = world.run(&[]);
    assert_eq!(done.code, Some(1), "{}", done.story());
    assert!(done.stderr.contains("codex-multi-auth switch"), "{}", done.story());
    assert_eq!(world.codex_files().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    assert_eq!(world.upstream().turns().count(), 0);
    world.close();
}
