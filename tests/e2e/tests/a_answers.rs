//! a. `codex exec` answers through us as it answers without us, and exactly the chosen account is asked, once.

use codex_auth_e2e::codex::SAY_HI;
use codex_auth_e2e::{Scene, Who, World};

/// What standard output holds when we are left out.
fn stdout_without_us(scene: &Scene) -> String {
    let world = World::of(scene);
    let done = world.codex_direct(&SAY_HI).succeeds();
    world.close();
    done.stdout
}

/// A turn through us, by `sequential`, in the presence of this login: account 1 is the chosen one.
#[track_caller]
fn check(scene: &Scene) {
    let expected = stdout_without_us(scene);
    let world = World::of(scene);
    let login = scene.login.map(|_| world.login());

    let done = world.run(&SAY_HI).succeeds();

    assert_eq!(done.stdout, expected);
    let turns = world.upstream().turns();
    assert_eq!(turns.accounts(), [Some(Who::Account(1))], "{}", world.story());
    for turn in turns.iter() {
        assert_eq!((turn.path.as_str(), turn.status), ("/backend-api/codex/responses", Some(200)));
        assert_eq!(turn.headers["chatgpt-account-id"], world.account(1)["accountId"]);
    }
    let strange =
        world.upstream().only(|exchange| matches!(exchange.bearer.as_str(), "unknown" | "api_key" | "expired"));
    assert_eq!(strange.count(), 0, "a credential of ours reached the upstream\n{}", strange.story());
    assert_eq!(scene.login.map(|_| world.login()), login, "the login was touched");
    world.close();
}

#[test]
fn a_with_a_login_outside_the_pool() {
    check(&Scene::accounts(3).login(Who::Outsider));
}

#[test]
fn a_with_a_login_of_the_pool() {
    check(&Scene::accounts(3).login(Who::Account(2)));
}

#[test]
fn a_without_a_login() {
    check(&Scene::accounts(3));
}

#[test]
fn a_a_login_outside_the_pool_is_told_how_to_join_in_one_line() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    let done = world.run(&SAY_HI).succeeds();
    let hints = done.stderr.lines().filter(|line| line.contains("import-current")).count();
    assert_eq!(hints, 1, "{}", done.stderr);
    world.close();
}

#[test]
fn a_a_login_of_the_pool_is_told_nothing() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let done = world.run(&SAY_HI).succeeds();
    assert!(!done.stderr.contains("import-current"), "{}", done.stderr);
    world.close();
}

#[test]
fn a_a_config_flag_of_the_person_does_not_lead_past_us() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let words = ["exec", "--skip-git-repo-check", "-c", "model_reasoning_effort=\"low\"", "say hi"];
    world.run(&words).succeeds();
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    world.close();
}
