//! The predecessor's troubleshooting page: each symptom of stored state is provoked, its remedy typed as it stands
//! there, and what the person then sees is looked at.
//!
//! The Bash lines are run by a real `bash`. The PowerShell lines were never run by us: only their text is checked.

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Setup, SignIn, Who};
use serde_json::{Value, json};

use crate::{
    browser::sign_in,
    serving::Serving,
    world::{Said, World, read, row, write},
};

mod mending;

/// The page's soft reset.
const BASH: &str = include_str!("pages/soft_reset.sh");
const POWERSHELL: &str = include_str!("pages/soft_reset.ps1");
const LOGIN: &str = "codex auth login";

/// Three people in the pool, as the predecessor left it: with its copy of an earlier save, accounts set aside and
/// settings. `codex` and `bash` are found.
fn used() -> World {
    let mut world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let root = world.root();
    write(&root.join("openai-codex-accounts.json.bak"), &format!("{:#}", world.pool()));
    write(&root.join("openai-codex-flagged-accounts.json"), "{\"version\":1,\"accounts\":[]}");
    write(&root.join("settings.json"), "{\"version\":1,\"pluginConfig\":{\"schedulingStrategy\":\"sequential\"}}");
    drop(world.command_as_codex(&[]));
    world.set("PATH", &format!("{}:/usr/bin:/bin", world.home().join("names")));
    world
}

/// The page's Bash lines without the sign-in.
fn delete_the_three(world: &World) {
    let lines = BASH.strip_suffix(&format!("{LOGIN}\n")).expect("the sign-in comes last");
    world.said(&world.command("bash", &["-ec", lines]).output().expect("bash starts")).ok();
}

fn count(said: &Said) -> Value {
    said.document()["accountCount"].clone()
}

#[test]
fn the_soft_reset_in_bash_leaves_only_who_signs_in_then() {
    let mut world = used();
    let copy = std::fs::read(world.root().join("openai-codex-accounts.json.bak")).expect("there");
    // A person sits at this terminal, and opens the address by hand.
    world.set("FORCE_INTERACTIVE_MODE", "1");
    world.set("CODEX_AUTH_NO_BROWSER", "1");
    world.fake().next_login(SignIn::of(Who::Account(2)));
    let (said, page) = sign_in(&world, world.command("bash", &["-ec", BASH]));
    assert!(page.contains("You are signed in"), "{page}");
    assert!(said.ok().out.starts_with("Added account. Total: 1\n"));
    for _ in 0..3 {
        let list = world.run("list --json").ok().document();
        assert_eq!((&list["accountCount"], &list["accounts"][0]["email"]), (&json!(1), &json!("person2@example.test")));
    }
    assert_eq!(read(&world.root().join("codex-auth.json"))["accounts"].as_object().map(serde_json::Map::len), Some(1));
    let kept = std::fs::read(world.root().join("openai-codex-accounts.json.bak")).expect("kept aside");
    assert_eq!(kept, copy, "the way back is kept");
}

#[test]
fn a_reset_pool_stays_empty_however_often_it_is_looked_at() {
    let world = used();
    delete_the_three(&world);
    for typed in ["list --json", "status --json", "list --json"] {
        assert_eq!(count(&world.run(typed).ok()), json!(0), "{typed}");
    }
    assert!(world.run("switch 1").failed().err.contains("No accounts configured."));
    assert!(!world.root().join("openai-codex-accounts.json").exists(), "nobody brought it back");
    assert_eq!(world.fake().log().len(), 0, "no token of the old pool was presented");
}

#[test]
fn a_soft_reset_under_a_running_agent_stays_one() {
    let world = used();
    let mut agent = Serving::start(&world);
    world.run("why-selected --json").ok();
    delete_the_three(&world);
    let why = world.run("why-selected --json").failed().document();
    assert_eq!((&why["decidedBy"], &why["ok"]), (&json!("agent"), &json!(false)), "{why}");
    assert_eq!(count(&world.run("list --json").ok()), json!(0));
    assert!(agent.is_running(), "a reset does not end it");
    drop(agent);
    assert_eq!(count(&world.run("list --json").ok()), json!(0), "its end brings nothing back");
}

/// Never run by us: no machine of ours has a PowerShell.
#[test]
fn the_soft_reset_in_powershell_names_the_same_files() {
    let names = |text: &str, before: &str, after: &str| -> Vec<String> {
        let name = |line: &str| Some(line.strip_prefix(before)?.split(after).next()?.replace('\\', "/"));
        text.lines().filter_map(name).collect()
    };
    let bash = names(BASH, "rm -f ~/", "\n");
    assert_eq!(bash.len(), 3);
    assert_eq!(names(POWERSHELL, "Remove-Item \"$HOME\\", "\""), bash);
    assert_eq!((BASH.lines().last(), POWERSHELL.lines().last()), (Some(LOGIN), Some(LOGIN)));
}

#[test]
fn a_switch_is_the_account_codex_then_has() {
    let world = used();
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    let said = world.run_as_codex("auth switch 2").ok();
    let login = read(&world.auth_json());
    assert_eq!(login["tokens"]["account_id"], world.pool()["accounts"][1]["accountId"], "{said}");
    let list = world.run("list --json").ok().document();
    assert_eq!((&list["activeNumber"], &list["pinnedNumber"]), (&json!(2), &json!(2)));
    assert_eq!(world.run("switch 2 --json").ok().document()["synced"], json!(true));
}

#[test]
fn a_switch_that_codex_cannot_see_says_so() {
    let world = used();
    world.fake().write_login(&world.codex_home(), Who::Account(1), &LoginKnobs::default()).expect("written");
    let before = std::fs::read(world.auth_json()).expect("there");
    write(&world.codex_home().join("config.toml"), "cli_auth_credentials_store = \"keyring\"\n");
    let said = world.run("switch 2").ok();
    insta::assert_snapshot!(said);
    assert_eq!(std::fs::read(world.auth_json()).expect("there"), before);
    assert_eq!(world.run("switch 2 --json").ok().document()["synced"], json!(false));
}

#[test]
fn a_list_then_a_check_show_what_another_program_wrote() {
    let world = used();
    assert_eq!(count(&world.run("list --json").ok()), json!(3));
    let mut pool = world.pool();
    pool["accounts"].as_array_mut().expect("rows").truncate(2);
    pool["accounts"][1]["enabled"] = json!(false);
    world.write_pool(&pool);
    let list = world.run_as_codex("auth list --json").ok().document();
    assert_eq!((&list["accountCount"], &list["accounts"][1]["enabled"]), (&json!(2), &json!(false)));
    let check = world.run_as_codex("auth check --json").ok().document();
    assert_eq!(check["accounts"].as_array().map(Vec::len), Some(2), "{check}");
}

/// The broken accounts file is named with a way out, and its bytes are nowhere lost.
#[track_caller]
fn check_broken_without_a_copy(bytes: &[u8]) {
    let world = World::empty();
    let path = world.root().join("openai-codex-accounts.json");
    write(&path, "");
    std::fs::write(&path, bytes).expect("written");
    for typed in ["list", "switch 1", "list"] {
        let said = world.run(typed).failed();
        assert!(said.err.contains("[HOME]/.codex/multi-auth/openai-codex-accounts.json"), "{typed}: {said}");
        assert!(said.err.contains("mend it") || said.err.contains("codex-multi-auth"), "a way out: {said}");
    }
    let files = world.root().read_dir_utf8().expect("readable").flatten().map(|entry| entry.path().to_owned());
    let kept = world.root().join("quarantine").read_dir_utf8();
    let kept = kept.into_iter().flatten().flatten().map(|entry| entry.path().to_owned());
    let is_it = |path: camino::Utf8PathBuf| path.is_file() && std::fs::read(path).expect("readable") == bytes;
    assert!(files.chain(kept).any(is_it), "the bytes are gone");
}

#[test]
fn a_corrupted_file_without_a_copy_is_named_and_kept() {
    check_broken_without_a_copy(b"");
    check_broken_without_a_copy(b"{\"version\":3,\"accounts\":[{\"refreshTo");
    check_broken_without_a_copy(b"<html>not found</html>");
    check_broken_without_a_copy(&[0; 512]);
    check_broken_without_a_copy(b"\xff\xfe{\0}\0");
}

/// Three accounts, and no issuer in reach: a switch selects, warns and renews nothing.
fn unreachable() -> World {
    let mut world = World::holding(&[row(1), row(2), row(3)]);
    world.set("CODEX_MULTI_AUTH_SYNC_CODEX_CLI", "0");
    world.set("CODEX_MULTI_AUTH_ISSUER_URL", "http://127.0.0.1:9");
    world
}

/// A save as the predecessor makes it: without our lock, over whatever stands there.
fn foreign_save(world: &World, document: &Value) {
    let (path, temp) = (world.root().join("openai-codex-accounts.json"), world.root().join("foreign.tmp"));
    write(&temp, &format!("{document:#}"));
    std::fs::rename(temp, path).expect("replaced");
}

#[test]
fn two_writers_lose_no_account_and_no_file_is_ever_torn() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let world = unreachable();
    let over = AtomicBool::new(false);
    let said: Vec<Said> = std::thread::scope(|scope| {
        let foreign = scope.spawn(|| {
            let mut saves = 0_u64;
            while !over.load(Ordering::Relaxed) {
                // Panics on a torn file.
                let mut pool = world.pool();
                saves += 1;
                pool["foreignSaves"] = json!(saves);
                foreign_save(&world, &pool);
            }
            saves
        });
        let said = [1, 2, 3, 1, 2, 3].map(|n| world.run(&format!("switch {n}")));
        over.store(true, Ordering::Relaxed);
        assert!(foreign.join().expect("never a torn file") > 6, "both were writing");
        said.into()
    });
    for said in said {
        said.ok();
    }
    let list = world.run("list --json").ok().document();
    assert_eq!(list["accountCount"], json!(3));
    world.run("switch 3").ok();
    let (pool, list) = (world.pool(), world.run("list --json").ok().document());
    assert_eq!(list["activeNumber"], json!(3), "once alone, a switch holds");
    assert!(pool["foreignSaves"].as_u64().is_some(), "what it wrote of its own is kept");
}

#[test]
fn a_stale_save_of_another_program_brings_no_spent_token_back() {
    let knobs = PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() };
    let world = World::with_pool(&Setup::default(), &knobs);
    let stale = world.pool();
    world.run("switch 1").ok();
    let fresh = world.pool()["accounts"][0]["refreshToken"].clone();
    assert_ne!(fresh, stale["accounts"][0]["refreshToken"], "renewed");
    foreign_save(&world, &stale);
    world.run("switch 1").ok();
    assert_eq!(world.pool()["accounts"][0]["refreshToken"], fresh, "the newest token stays");
    let presented: Vec<_> = world.fake().log().iter().filter_map(|record| record.body.presented.clone()).collect();
    assert_eq!(presented.len(), 1, "{presented:?}");
}
