//! Bad input gets a clear error and loses nothing: broken files, missing programs, an upstream that misbehaves.

use std::fs;
use std::path::Path;
use std::time::Duration;

use codex_auth_e2e::codex::{ANSWER, SAY_HI, program};
use codex_auth_e2e::{Finished, Scene, Who, World, scan};
use codex_auth_testkit::{Act, Fault, LoginKnobs, Route};

/// What a command says is one clear sentence: it names `word`, and no panic, no debug text.
#[track_caller]
fn check_clear(done: &Finished, words: &[&str]) {
    let said = done.said();
    for word in words {
        assert!(said.contains(word), "`{word}` is not named\n{}", done.story());
    }
    for noise in ["panicked", "RUST_BACKTRACE", "Os {", "Error("] {
        assert!(!said.contains(noise), "{noise}\n{}", done.story());
    }
}

/// The bytes still stand somewhere below our root.
#[track_caller]
fn check_kept(world: &World, bytes: &[u8]) {
    let kept = scan::files_below(&world.root()).iter().any(|file| fs::read(file).is_ok_and(|held| held == bytes));
    assert!(kept, "the bytes are nowhere below our root any more");
}

/// A pool file that cannot be used: both a turn and a listing say so, and nothing of it is lost.
#[track_caller]
fn check_broken_pool(bytes: &[u8], words: &[&str]) {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    fs::write(world.pool_file(), bytes).unwrap();
    for done in [world.run(&SAY_HI).fails(), world.ours(&["list"]).fails()] {
        check_clear(&done, &["openai-codex-accounts.json"]);
        check_clear(&done, words);
    }
    assert_eq!(world.upstream().turns().count(), 0, "{}", world.story());
    check_kept(&world, bytes);
    world.close();
}

#[test]
fn bad_pool_half_written() {
    check_broken_pool(br#"{"version":3,"accounts":[{"recordId":"record:00","refreshTok"#, &[]);
}

#[test]
fn bad_pool_not_json() {
    check_broken_pool(b"\x00\xff not a file of ours", &[]);
}

#[test]
fn bad_pool_of_an_unknown_version_is_left_as_it_is() {
    let bytes = br#"{"version":99,"accounts":[],"activeIndex":0}"#;
    check_broken_pool(bytes, &["99"]);
}

#[test]
fn bad_pool_empty_file() {
    check_broken_pool(b"", &[]);
}

#[test]
fn bad_pool_unreadable() {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    fs::remove_file(world.pool_file()).unwrap();
    fs::create_dir(world.pool_file()).unwrap();
    check_clear(&world.run(&SAY_HI).fails(), &["openai-codex-accounts.json"]);
    assert!(world.pool_file().is_dir());
    world.close();
}

#[track_caller]
fn check_no_accounts(scene: &Scene) {
    let world = World::of(scene);
    fs::remove_file(world.pool_file()).unwrap();
    check_clear(&world.run(&SAY_HI).fails(), &["codex-multi-auth login"]);
    assert_eq!(world.upstream().turns().count(), 0, "{}", world.story());
    assert!(!world.pool_file().exists(), "a pool appeared from nowhere");
    world.close();
}

#[test]
fn bad_no_accounts_with_a_login() {
    check_no_accounts(&Scene::accounts(3).login(Who::Outsider));
}

#[test]
fn bad_no_accounts_without_a_login() {
    check_no_accounts(&Scene::accounts(3));
}

/// A turn by somebody whose PATH is `path` and who names no official client.
fn without_official_client(world: &World, path: &Path) -> Finished {
    let mut command = world.our_command();
    command.args(["run", "--"]).args(SAY_HI).env_remove("CODEX_MULTI_AUTH_REAL_CODEX_BIN").env("PATH", path);
    world.start(command, b"").wait(Duration::from_secs(10)).fails()
}

#[test]
fn bad_no_official_client() {
    let world = World::of(&Scene::accounts(3));
    let empty = world.path("work/bin");
    fs::create_dir(&empty).unwrap();
    check_clear(&without_official_client(&world, &empty), &["npm install -g @openai/codex"]);
    assert_eq!(world.upstream().turns().count(), 0);
    world.close();
}

#[test]
fn bad_only_ourselves_on_path() {
    let world = World::of(&Scene::accounts(3));
    let bin = world.path("work/bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(program("codex-multi-auth"), bin.join("codex")).unwrap();
    check_clear(&without_official_client(&world, &bin), &["itself"]);
    fs::remove_file(bin.join("codex")).unwrap();
    fs::copy(program("codex-multi-auth"), bin.join("codex")).unwrap();
    // A copy is another file and answers under our name; it is asked once, not for ever.
    check_clear(&without_official_client(&world, &bin), &["codex"]);
    world.close();
}

/// A login file of this text: the turn is served without it, it is named in one line, and it stays as it is.
#[track_caller]
fn check_unusable_login(text: &str) {
    let world = World::of(&Scene::accounts(3));
    world.write_private(&world.login_file(), text);
    let done = world.run(&SAY_HI).succeeds();
    assert_eq!(done.stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    let named = done.stderr.lines().filter(|line| line.contains("auth.json")).count();
    assert_eq!(named, 1, "{}", done.story());
    assert_eq!(fs::read_to_string(world.login_file()).unwrap(), text, "the login was changed");
    world.close();
}

/// A login of the fake without some of its keys.
fn login_without(key: &str) -> String {
    let world = World::of(&Scene::accounts(1));
    let knobs = LoginKnobs { missing: vec![key.to_owned()], ..LoginKnobs::default() };
    let login = world.fake().login(Who::Outsider, &knobs).to_string();
    world.close();
    login
}

#[test]
fn bad_login_not_json() {
    check_unusable_login("{\"auth_mode\":\"chatgpt\",\"tokens\":{");
}

#[test]
fn bad_login_empty() {
    check_unusable_login("");
}

#[test]
fn bad_login_without_id_token() {
    check_unusable_login(&login_without("id_token"));
}

#[test]
fn bad_login_without_last_refresh() {
    check_unusable_login(&login_without("last_refresh"));
}

#[test]
fn bad_login_without_account_id_still_routes() {
    let world = World::of(&Scene::accounts(3));
    let knobs = LoginKnobs { missing: vec!["account_id".to_owned()], ..LoginKnobs::default() };
    world.log_in(Who::Outsider, &knobs);
    let before = world.login();
    assert_eq!(world.run(&SAY_HI).succeeds().stdout, ANSWER);
    assert_eq!(world.upstream().turns().accounts(), [Some(Who::Account(1))], "{}", world.story());
    assert_eq!(world.login(), before);
    world.close();
}

/// One mishap of the upstream on the way: the client asks again, or another account is asked, and the turn is served.
#[track_caller]
fn check_mishap(act: Act) {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    world.fake().fault(&Fault::once(Route::Responses, act));
    let done = world.start_run(&SAY_HI).wait(Duration::from_mins(1)).succeeds();
    assert_eq!(done.stdout, ANSWER);
    world.close();
}

#[test]
fn bad_upstream_closes_before_headers() {
    check_mishap(Act::DropBeforeHeaders);
}

#[test]
fn bad_upstream_resets() {
    check_mishap(Act::Reset);
}

#[test]
fn bad_upstream_cuts_its_stream() {
    check_mishap(Act::CutAfter { bytes: 300 });
}

#[test]
fn bad_upstream_resets_its_stream() {
    check_mishap(Act::ResetAfter { bytes: 300 });
}

/// An upstream that goes quiet is given up after the time the settings allow, here the shortest.
#[track_caller]
fn check_silence(act: Act) {
    let world = World::of(&Scene::accounts(3).login(Who::Outsider));
    let impatient = serde_json::json!({
        "schedulingStrategy": "sequential", "fetchTimeoutMs": 1000, "streamStallTimeoutMs": 1000,
    });
    world.settings(&impatient);
    world.fake().fault(&Fault::once(Route::Responses, act));
    let done = world.start_run(&SAY_HI).wait(Duration::from_secs(45)).succeeds();
    assert_eq!(done.stdout, ANSWER);
    world.close();
}

#[test]
fn bad_upstream_never_answers() {
    check_silence(Act::Hang);
}

#[test]
fn bad_upstream_stalls_in_its_stream() {
    check_silence(Act::StallAfter { bytes: 300 });
}
