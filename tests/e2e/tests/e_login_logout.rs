//! e. `codex login` and `codex logout` through the wrapper revoke nothing of the pool.

use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI};
use codex_auth_e2e::probe::Request;
use codex_auth_e2e::{Running, Scene, Who, World, wait};
use codex_auth_testkit::SignIn;

/// The sign-in page the command asks a person to open.
fn sign_in_url(login: &Running) -> String {
    let said = || format!("{}{}", login.record().stdout.text(), login.record().stderr.text());
    let page = || {
        let said = said();
        let url = said.split_whitespace().find(|word| word.contains("/oauth/authorize?"))?;
        // A line still being written has no end yet.
        said.contains(&format!("{url}\n")).then(|| url.trim_matches(['"', '\'', '<', '>', '(', ')']).to_owned())
    };
    wait::until(Duration::from_secs(15), page).unwrap_or_else(|| panic!("no sign-in address in:\n{}", said()))
}

/// A person's browser: opens the page and follows its redirect to the waiting command.
fn follow(world: &World, url: &str) -> u16 {
    let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).expect("an address has a path");
    let page = world.fake().browse(&path);
    assert_eq!(page.status, 302, "{}", page.body);
    let target = page.headers["location"].as_str().expect("a redirect has a target").to_owned();
    let rest = target.strip_prefix("http://localhost:").or_else(|| target.strip_prefix("http://127.0.0.1:"));
    let (port, path) = rest.and_then(|rest| rest.split_once('/')).expect("the redirect leads to loopback");
    let callback = Request::new("GET", port.parse().expect("a port"), &format!("/{path}"));
    callback.header("host", &format!("localhost:{port}")).send(world.namespace()).status
}

#[track_caller]
fn check_nothing_revoked(world: &World) {
    assert_eq!(world.upstream().of("revoke").count(), 0, "{}", world.story());
    for number in 1..=3 {
        assert_eq!(world.fake().account(Who::Account(number))["revoked"], false, "account {number} was revoked");
    }
}

#[test]
fn e_logout_removes_the_login_and_revokes_nothing() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let done = world.run(&["logout"]).succeeds();
    assert!(!world.login_file().exists(), "the login is still there\n{}", done.story());
    assert!(done.said().contains("revoke"), "it does not say that nothing was revoked\n{}", done.story());
    check_nothing_revoked(&world);
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    world.close();
}

#[test]
fn e_logout_leaves_the_pool_as_it_was() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let before = world.pool();
    world.run(&["logout"]).succeeds();
    assert_eq!(world.pool(), before);
    world.close();
}

#[test]
fn e_login_adds_an_account_and_revokes_nothing() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    world.fake().next_login(&SignIn::of(Who::Outsider));
    let login = world.start_run(&["login", "--no-browser"]);
    let status = follow(&world, &sign_in_url(&login));
    assert!(status < 400, "the callback answered {status}\n{}", world.story());
    login.wait(Duration::from_secs(15)).succeeds();
    let emails: Vec<String> = world.pool()["accounts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|account| account["email"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(emails.len(), 4, "{emails:?}");
    assert!(emails.iter().any(|email| email == "outsider@example.test"), "{emails:?}");
    check_nothing_revoked(&world);
    world.close();
}

#[test]
fn e_a_second_login_of_an_account_renews_it_and_revokes_nothing() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let before = world.account(2)["refreshToken"].clone();
    world.fake().next_login(&SignIn::of(Who::Account(2)));
    let login = world.start_run(&["login", "--no-browser"]);
    follow(&world, &sign_in_url(&login));
    login.wait(Duration::from_secs(15)).succeeds();
    assert_eq!(world.pool()["accounts"].as_array().map(Vec::len), Some(3));
    assert_ne!(world.account(2)["refreshToken"], before, "the old token is still stored");
    check_nothing_revoked(&world);
    world.close();
}

#[test]
fn e_login_status_is_the_official_programs() {
    let world = World::of(&Scene::accounts(3).login(Who::Account(1)));
    let without = world.codex_direct(&["login", "status"]);
    let with = world.run(&["login", "status"]);
    assert_eq!((with.code, with.stdout, with.stderr), (without.code, without.stdout, without.stderr));
    world.close();
}
