//! `codex login`, `codex logout` and a screen without a login, typed at the wrapper.

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Route, Setup, SignIn, Who};
use serde_json::json;

use crate::{
    browser::sign_in,
    world::{World, read, write},
};

/// Stands where the official client would be; signs in to whatever `login.json` beside it holds.
const OFFICIAL: &str = "#!/bin/sh
case \"$1\" in
  --version) echo 'codex-cli 0.169.0' ;;
  login) cp \"${0%/*}/login.json\" \"$CODEX_HOME/auth.json\" && echo 'Successfully logged in' ;;
  *) echo official \"$@\" ;;
esac
";

pub(crate) fn world(knobs: &PoolKnobs) -> World {
    let mut world = World::with_pool(&Setup::default(), knobs);
    let official = world.home().join("official/codex");
    write(&official, OFFICIAL);
    std::fs::set_permissions(&official, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    world.set("CODEX_MULTI_AUTH_REAL_CODEX_BIN", official.as_str());
    world.set("PATH", "/usr/bin:/bin");
    world
}

fn only(number: usize) -> PoolKnobs {
    PoolKnobs { only: Some(vec![number]), ..PoolKnobs::default() }
}

#[test]
fn a_login_joins_the_pool_and_becomes_codexs_own() {
    let world = world(&only(1));
    world.fake().next_login(SignIn::of(Who::Account(2)));
    let (said, _) = sign_in(&world, world.command_as_codex(&["login", "--no-browser"]));
    let said = said.ok();
    assert!(said.out.starts_with("Added account. Total: 2\n"), "{said}");
    assert_eq!(read(&world.auth_json())["tokens"]["refresh_token"], world.pool()["accounts"][1]["refreshToken"]);
}

#[test]
fn a_login_never_loses_the_one_that_stands_there() {
    let world = world(&only(1));
    world.fake().write_login(&world.codex_home(), Who::Outsider, &LoginKnobs::default()).expect("written");
    let before = world.files();
    let said = world.run_as_codex("login --no-browser").failed();
    assert!(said.err.contains("outsider@example.test that is not in the pool and would be lost"), "{said}");
    assert_eq!(world.fake().log().len(), 0, "nobody signed in for nothing");
    let left = |files: Vec<(camino::Utf8PathBuf, String)>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !path.as_str().contains("/names")).collect()
    };
    assert_eq!(left(world.files()), before);
}

#[test]
fn codexs_own_sign_in_runs_in_a_home_of_its_own() {
    let world = world(&only(1));
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    let fresh =
        world.fake().login_document(Who::Account(3), &LoginKnobs { own_sign_in: true, ..LoginKnobs::default() });
    write(&world.home().join("official/login.json"), &fresh.to_string());
    let said = world.run_as_codex("login --official --device-auth").ok();
    assert!(said.out.starts_with("Successfully logged in\nAdded account. Total: 2\n"), "{said}");
    assert_eq!(read(&world.auth_json())["tokens"]["refresh_token"], fresh["tokens"]["refresh_token"]);
    let names: Vec<_> =
        world.root().read_dir_utf8().expect("readable").flatten().map(|entry| entry.file_name().to_owned()).collect();
    assert!(!names.iter().any(|name| name.starts_with("sign-in.")), "{names:?}");
}

#[test]
fn a_logout_removes_the_file_and_revokes_nothing() {
    let world = world(&PoolKnobs::default());
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    insta::assert_snapshot!(world.run_as_codex("logout").ok());
    assert!(!world.auth_json().exists());
    assert_eq!(world.run_as_codex("logout").ok().out, "Not logged in.\n");
    assert!(world.fake().log().iter().all(|record| record.asked.route != Route::Revoke));
    assert_eq!(world.run("check --json").ok().document()["summary"]["available"], json!(3));
}

#[test]
fn a_logout_of_somebody_outside_the_pool_is_a_logout() {
    let world = world(&only(1));
    world.fake().write_login(&world.codex_home(), Who::Outsider, &LoginKnobs::default()).expect("written");
    world.run_as_codex("logout").ok();
    assert!(!world.auth_json().exists());
}

#[test]
fn a_screen_without_a_login_names_the_command() {
    let world = world(&PoolKnobs::default());
    insta::assert_snapshot!(world.run_as_codex("").failed());
    assert!(!world.auth_json().exists());
}

#[test]
fn what_is_not_ours_goes_to_the_official_client() {
    let world = world(&PoolKnobs::default());
    assert_eq!(world.run_as_codex("auth bogus").ok().out, "official auth bogus\n");
    assert_eq!(world.run_as_codex("--version").ok().out, "codex-cli 0.169.0\n");
}
