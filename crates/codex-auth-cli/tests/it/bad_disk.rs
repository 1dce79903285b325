//! Disks that do not obey, real ones: every command names the path, the cause or the holder, and what to do; it exits
//! with 1, and nothing is changed.

use std::{
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_testkit::{LoginKnobs, PoolKnobs, Setup, Who};

use crate::world::{Said, World, write};

/// Commands that change something, or want to.
const WRITERS: [&str; 4] = ["switch 2", "remove 2 --yes", "import more.json --yes", "check"];

const REMEDY: &str = "Mend the cause and run the command again.";

/// A pool of three with tokens that have ended, a login, and a file to import.
fn world() -> World {
    let knobs = PoolKnobs { only: Some(vec![1, 2, 3]), expired_access: vec![1, 2, 3], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup { accounts: 4, ..Setup::default() }, &knobs);
    let more = PoolKnobs { only: Some(vec![4]), ..PoolKnobs::default() };
    write(&world.home().join("more.json"), &world.fake().pool_document(&more).to_string());
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    // What the commands would make by themselves: locks are no change.
    for room in [world.root(), world.home().join(".local/state/codex-auth/refresh")] {
        std::fs::create_dir_all(room).expect("made");
    }
    world
}

/// Files that are no lock; those are made, signed and left.
fn files(world: &World) -> Vec<(Utf8PathBuf, String)> {
    world
        .files()
        .into_iter()
        .filter(|(path, content)| path.extension() != Some("lock") && content != "a lock")
        .collect()
}

/// Every one of these commands fails, says all of `expect`, and changes nothing.
#[track_caller]
fn check(world: &World, commands: &[&str], expect: &[&str], run: impl Fn(&str) -> Said) {
    let before = files(world);
    let presented = || world.fake().log().iter().filter(|record| record.body.presented.is_some()).count();
    for typed in commands {
        let said = run(typed);
        let told = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, Some(1), "{typed}: {said}");
        for word in expect {
            assert!(told.contains(word), "{typed} does not say {word}: {said}");
        }
        let after = files(world);
        let changed: Vec<_> = after.iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
        assert_eq!((changed.as_slice(), after.len()), (&[][..], before.len()), "{typed} changed something");
        assert_eq!(presented(), 0, "{typed}: a token was presented whose answer nobody could keep");
    }
}

#[test]
fn a_root_lock_held_for_ever_names_its_holder() {
    let world = world();
    let lock = std::fs::File::create(world.root().join(".lock")).expect("made");
    lock.try_lock().expect("free");
    std::fs::write(world.root().join(".lock"), format!("{}\n", std::process::id())).expect("signed");
    let holder = format!("process {}", std::process::id());
    let remedy = "Wait for that program to end, or stop it, then run the command again.";
    let commands = ["remove 2 --yes", "import more.json --yes"];
    check(&world, &commands, &[".lock", &holder, remedy], |typed| world.run(typed));
    // A switch that renews first keeps the answer in the journal, where it is safe, and changes nothing else.
    let pool = world.pool();
    let said = world.run("switch 2");
    assert!(said.code == Some(1) && said.err.contains(&holder) && said.err.contains(remedy), "{said}");
    assert_eq!(world.pool(), pool);
    world.run("list").ok();
    drop(lock);
    world.run("remove 2 --yes").ok();
}

/// Runs the program with `setup` done to its own view of the disk, without the privileges of root.
fn confined(world: &World, setup: &str, typed: &str) -> Said {
    let inner = world.own_command(&typed.split_whitespace().collect::<Vec<_>>());
    let mut outer = Command::new("unshare");
    outer.args([
        "-rm",
        "sh",
        "-c",
        &format!("{setup} && exec setpriv --bounding-set=-all --inh-caps=-all \"$@\""),
        "sh",
    ]);
    outer.arg(inner.get_program()).args(inner.get_args()).env_clear().stdin(Stdio::null());
    outer.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").current_dir(world.home());
    world.said(&outer.output().expect("unshare and setpriv are there"))
}

#[test]
fn a_disk_mounted_for_reading_only_is_named() {
    let world = world();
    let home = world.codex_home();
    let setup = format!("mount --bind {home} {home} && mount -o remount,ro,bind {home}");
    let expect = ["[HOME]/.codex/multi-auth", "Read-only file system", REMEDY];
    check(&world, &WRITERS, &expect, |typed| confined(&world, &setup, typed));
    assert_eq!(confined(&world, &setup, "list").code, Some(0), "reading needs no room");
}

#[test]
fn a_root_nobody_may_write_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = world();
    let mode = |mode| std::fs::set_permissions(world.root(), std::fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o500);
    let expect = ["[HOME]/.codex/multi-auth", "Permission denied", REMEDY];
    check(&world, &WRITERS, &expect, |typed| confined(&world, "true", typed));
    mode(0o700);
}

#[test]
fn an_accounts_file_nobody_may_read_is_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = world();
    let pool = world.root().join("openai-codex-accounts.json");
    std::fs::set_permissions(&pool, std::fs::Permissions::from_mode(0o000)).expect("ours");
    let told = confined(&world, "true", "list");
    assert_eq!(told.code, Some(1), "{told}");
    assert!(told.err.contains("openai-codex-accounts.json") && told.err.contains("Permission denied"), "{told}");
}

/// Something else in the place of a file.
#[track_caller]
fn misplaced(file: &str, make: fn(&Utf8Path), commands: &[&str], cause: &str) {
    let world = world();
    let path = world.codex_home().join(file);
    if path.exists() {
        std::fs::remove_file(&path).expect("ours");
    }
    make(&path);
    check(&world, commands, &[file, cause], |typed| world.run(typed));
}

fn directory(path: &Utf8Path) {
    std::fs::create_dir_all(path.join("inside")).expect("made");
}

fn loop_of_links(path: &Utf8Path) {
    symlink(format!("{path}.other"), path).expect("linked");
    symlink(path, format!("{path}.other")).expect("linked");
}

fn plain_file(path: &Utf8Path) {
    write(path, "not a directory");
}

const EVERYBODY: [&str; 6] =
    ["list", "switch 2", "remove 2 --yes", "import more.json --yes", "check", "login --no-browser"];

#[test]
fn a_directory_in_the_place_of_the_accounts_file() {
    misplaced("multi-auth/openai-codex-accounts.json", directory, &EVERYBODY, "directory");
}

#[test]
fn a_loop_in_the_place_of_the_accounts_file() {
    misplaced("multi-auth/openai-codex-accounts.json", loop_of_links, &EVERYBODY, "symbolic links");
}

#[test]
fn a_directory_in_the_place_of_the_sidecar() {
    misplaced("multi-auth/codex-auth.json", directory, &EVERYBODY, "directory");
}

#[test]
fn a_loop_in_the_place_of_the_sidecar() {
    misplaced("multi-auth/codex-auth.json", loop_of_links, &EVERYBODY, "symbolic links");
}

#[test]
fn a_file_in_the_place_of_the_journal() {
    misplaced("multi-auth/journal", plain_file, &EVERYBODY, "Not a directory");
}

#[test]
fn a_directory_in_the_place_of_the_settings() {
    misplaced("multi-auth/settings.json", directory, &["rotation status"], "directory");
}

#[test]
fn a_loop_in_the_place_of_the_settings() {
    misplaced("multi-auth/settings.json", loop_of_links, &["rotation status"], "symbolic links");
}

#[test]
fn a_loop_in_the_place_of_the_login() {
    misplaced("auth.json", loop_of_links, &["import-current"], "symbolic links");
}

#[test]
fn a_directory_in_the_place_of_the_login() {
    misplaced("auth.json", directory, &["import-current"], "directory");
}
