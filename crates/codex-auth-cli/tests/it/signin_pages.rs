//! The symptoms of signing in that the predecessors' pages list: each is provoked, and what is said names the account,
//! the cause and the exact command.
//!
//! A port that is in use needs a network of its own: `port_1455_in_use_names_its_holder` of the end-to-end tests.

use codex_auth_testkit::{Act, Fault, Malformed, PoolKnobs, Route, Setup, SignIn, Verdict, Who};
use serde_json::{Value, json};

use crate::{
    browser::sign_in,
    world::{Said, World, write},
};

const ACCOUNT_2: &str = "Account 2 (person2@example.test, id:000002)";
const LOGIN_2: &str = "codex-multi-auth login --account 2";

/// A stand-in for a browser; it notes what it was asked to open.
fn with_browser(world: &mut World) -> camino::Utf8PathBuf {
    let (script, opened) = (world.home().join("browser"), world.home().join("opened"));
    write(&script, &format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{opened}'\n"));
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    world.set("PATH", "/usr/bin:/bin");
    world.set("BROWSER", script.as_str());
    world.set("FORCE_INTERACTIVE_MODE", "1");
    opened
}

fn login(world: &World, who: usize) -> Said {
    world.fake().next_login(SignIn::of(Who::Account(who)));
    sign_in(world, world.own_command(&["login"])).0
}

#[test]
fn a_browser_opens_only_where_nobody_forbade_it() {
    let mut world = World::beside(&Setup::default());
    let opened = with_browser(&mut world);
    let said = login(&world, 1).ok();
    assert!(said.err.contains("Browser opened.\n"), "{said}");
    let address = std::fs::read_to_string(&opened).expect("it was opened");
    assert_eq!((address.lines().count(), address.contains("/oauth/authorize?")), (1, true), "{address}");
    world.set("CODEX_AUTH_NO_BROWSER", "1");
    let said = login(&world, 2).ok();
    assert!(!said.err.contains("Browser opened."), "{said}");
    world.fake().next_login(SignIn::of(Who::Account(3)));
    sign_in(&world, world.own_command(&["login", "--no-browser"])).0.ok();
    assert_eq!(std::fs::read_to_string(&opened).expect("there"), address, "it was opened once");
}

#[test]
fn a_shell_without_anybody_fails_at_once_with_the_command() {
    let mut world = World::beside(&Setup::default());
    for variable in ["X", "SSH_CONNECTION", "CI", "BROWSER", "CODEX_AUTH_NO_BROWSER"] {
        world.set(variable, "1");
        let said = world.run("login").failed();
        assert!(said.err.starts_with("Signing in needs a person, and this is no terminal.\n"), "{variable}: {said}");
        assert!(said.err.contains("`codex-multi-auth login --device-auth`"), "{variable}: {said}");
    }
    let error = world.run("login --json").failed().document();
    assert_eq!(error["errorInfo"]["code"], json!("not_interactive"));
    assert_eq!(world.fake().log().len(), 0, "nobody was asked anything");
}

#[test]
fn missing_field_id_token_is_seen_before_codex_fails_with_it() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs { only: Some(vec![1]), ..PoolKnobs::default() });
    world.fake().fault(Fault::once(Route::Token, Act::MalformedTokens(Malformed::NoIdToken)));
    world.fake().next_login(SignIn::of(Who::Account(2)));
    let said = world.run("login --device-auth").ok();
    assert!(said.err.contains("missing field id_token") && said.err.contains(LOGIN_2), "{said}");
    // The issuer keeps withholding it.
    world.fake().fault(Fault::always(Route::Token, Act::MalformedTokens(Malformed::NoIdToken)));
    let said = world.run("switch 2").ok();
    for part in [ACCOUNT_2, "missing field id_token", LOGIN_2] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
    assert!(!world.auth_json().exists(), "no login that codex cannot load is written");
    world.fake().clear_faults();
    world.fake().next_login(SignIn::of(Who::Account(2)));
    world.run("login --device-auth --account 2").ok();
    world.run("switch 2").ok();
    assert!(world.auth_json().exists());
}

/// Three accounts; the second one's access token has ended, so that its refresh token is needed.
fn stale() -> World {
    World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![2], ..PoolKnobs::default() })
}

/// The account is named with this code and the command by everything a person would type; then one sign-in mends it.
#[track_caller]
fn check_dead(world: &World, code: &str) {
    let check = world.run("check").ok();
    let row = check.out.lines().find(|line| line.contains(ACCOUNT_2)).unwrap_or_default();
    assert!(row.contains(code) && row.contains(LOGIN_2), "{check}");
    let list = world.run("list").ok();
    assert!(list.out.contains(LOGIN_2), "{list}");
    let switch = world.run("switch 2").failed();
    for part in [ACCOUNT_2, code, LOGIN_2] {
        assert!(switch.err.contains(part), "{part}: {switch}");
    }
    let document = world.run("switch 2 --json").failed().document();
    assert_eq!((&document["errorInfo"]["code"], &document["errorInfo"]["account"]), (&json!("needs_login"), &json!(2)));
    world.fake().clear_faults();
    world.fake().next_login(SignIn::of(Who::Account(2)));
    world.run("login --device-auth --account 2").ok();
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(3));
}

/// Presents an account's refresh token in our place, as another program that shares it would.
fn spend_elsewhere(world: &World, index: usize) {
    use std::io::{Read as _, Write as _};

    let body = json!({
        "grant_type": "refresh_token", "client_id": codex_auth_testkit::CLIENT_ID,
        "refresh_token": world.pool()["accounts"][index]["refreshToken"],
    })
    .to_string();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", world.fake().port())).expect("it listens");
    write!(
        stream,
        "POST /oauth/token HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn refresh_token_reused_names_the_account_and_is_presented_once() {
    let world = stale();
    spend_elsewhere(&world, 1);
    world.fake().reset_log();
    check_dead(&world, "refresh_token_reused");
    let presented = world.fake().log().into_iter().filter_map(|record| record.body.presented);
    assert_eq!(presented.filter(|one| one.verdict == Verdict::Reused).count(), 1);
}

/// A refresh is refused with this answer.
fn check_refused(status: u16, body: Value, code: &str) {
    let world = stale();
    world.fake().fault(Fault::always(Route::Token, Act::Answer { status, headers: [].into(), body }));
    check_dead(&world, code);
}

#[test]
fn token_expired_names_the_account_in_each_of_its_shapes() {
    check_refused(401, json!({ "error": { "code": "token_expired", "message": "no" } }), "token_expired");
    check_refused(400, json!({ "error": "token_expired" }), "token_expired");
    check_refused(400, json!({ "error": "invalid_grant", "error_description": "token_expired" }), "invalid_grant");
}
