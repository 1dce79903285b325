//! `restore` and `reset`: going back to a copy, and beginning anew on purpose.

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::{Value, json};

use crate::world::{Said, World, in_millis, row, timeless, write};

const HOUR: i64 = 3_600_000;

fn three() -> World {
    World::holding(&[row(1), row(2), row(3)])
}

/// A copy of a pool with these accounts, made so long ago.
fn copy(world: &World, accounts: &[usize], hours_ago: i64) -> String {
    let rows: Vec<Value> = accounts.iter().map(|n| row(*n)).collect();
    let path = world.root().join(format!("history/accounts-{}.json", in_millis(-hours_ago * HOUR)));
    write(&path, &json!({ "version": 3, "accounts": rows, "activeIndex": 0 }).to_string());
    path.into_string()
}

/// What differs in every run replaced: spans of time, and the instants in names.
fn same(said: &Said) -> String {
    let text = timeless(&said.to_string());
    let mut parts = text.split("/accounts-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}/accounts-[at]{}", part.trim_start_matches(|letter: char| letter.is_ascii_digit()))
    })
}

#[track_caller]
fn check_accounts(world: &World, expect: &[usize]) {
    let emails: Vec<Value> =
        world.pool()["accounts"].as_array().into_iter().flatten().map(|row| row["email"].clone()).collect();
    let expect: Vec<Value> = expect.iter().map(|n| json!(format!("person{n}@example.test"))).collect();
    assert_eq!(emails, expect);
}

#[test]
fn without_a_copy_there_is_nothing_to_go_back_to() {
    let world = three();
    let before = world.files();
    assert_eq!(world.run("restore --list").ok().out, "There are no copies yet.\n");
    assert_eq!(world.run("restore --list --json").ok().document()["copies"], json!([]));
    insta::assert_snapshot!("no_copies", world.run("restore").failed());
    let own = world.home().join("notes.txt");
    write(&own, "mine");
    let said = world.run_words(&["restore", own.as_str(), "--json"]).failed().document();
    assert_eq!((&said["errorInfo"]["code"], &said["ok"]), (&json!("no_copy"), &json!(false)));
    std::fs::remove_file(own).expect("removed");
    assert_eq!(world.files(), before);
}

#[test]
fn a_copy_is_shown_then_gone_back_to_and_that_taken_back() {
    let world = three();
    world.run("remove 2 --yes").ok();
    insta::assert_snapshot!("the_copies", same(&world.run("restore --list").ok()));
    let before = world.files();
    insta::assert_snapshot!("going_back_would", same(&world.run("restore --dry-run").ok()));
    assert_eq!(world.files(), before, "only shown");
    insta::assert_snapshot!("going_back", same(&world.run("restore").ok()));
    check_accounts(&world, &[1, 2, 3]);
    world.run("undo").ok();
    check_accounts(&world, &[1, 3]);
}

#[test]
fn what_a_copy_has_is_a_document_too() {
    let world = three();
    let path = copy(&world, &[1, 2], 1);
    let said = world.run("restore --json").ok().document();
    let path = path.replace(world.home().as_str(), "[HOME]");
    assert_eq!(said["path"], json!(path));
    let expect = json!({ "ok": true, "dryRun": false, "accountCount": 2, "added": [], "kept": 2, "command": "restore",
        "removed": ["Account 3 (person3@example.test, id:000003)"], "schemaVersion": 1 });
    for (key, value) in expect.as_object().expect("an object") {
        assert_eq!(said[key], *value, "{key}");
    }
    let row = &world.run("restore --list --json").ok().document()["copies"][1];
    assert_eq!((&row["path"], &row["accountCount"]), (&json!(path), &json!(2)));
}

#[test]
fn a_time_is_the_pool_as_it_was_then() {
    let check = |when: &str, expect: &[usize]| {
        let world = three();
        copy(&world, &[1], 30);
        copy(&world, &[1, 2], 10);
        world.run_words(&["restore", "--at", when]).ok();
        check_accounts(&world, expect);
    };
    // A copy shows the pool as it was until the copy was made.
    check("40h", &[1]);
    check("20h", &[1, 2]);
    check("1d", &[1, 2]);
    check("2001-01-01T00:00:00Z", &[1]);
}

#[test]
fn a_time_after_the_last_copy_and_no_time_at_all_are_refused() {
    let world = three();
    copy(&world, &[1], 30);
    insta::assert_snapshot!("no_copy_since", world.run("restore --at 2h").failed());
    insta::assert_snapshot!("no_time", world.run("restore --at yesterday").failed());
    check_accounts(&world, &[1, 2, 3]);
}

#[test]
fn nobody_empties_a_pool_without_a_yes() {
    let world = three();
    let before = world.files();
    insta::assert_snapshot!("a_reset_needs_a_yes", world.run("reset").failed());
    insta::assert_snapshot!("a_reset_needs_a_yes_json", world.run("reset --json").failed());
    assert_eq!(world.files(), before);
}

#[test]
fn an_emptied_pool_stays_empty_names_the_way_back_and_comes_back() {
    let world = three();
    insta::assert_snapshot!("a_reset", world.run("reset --yes").ok());
    insta::assert_snapshot!("a_list_after_a_reset", timeless(&world.run("list").ok().to_string()));
    let list = world.run("list --json").ok().document();
    assert_eq!((&list["storageHealth"], &list["accountCount"]), (&json!("intentional-reset"), &json!(0)));
    world.run("undo").ok();
    check_accounts(&world, &[1, 2, 3]);
    let again = world.run("reset --yes --json").ok().document();
    assert_eq!((&again["removedCount"], &again["quarantined"]), (&json!(3), &json!(null)));
}

#[test]
fn a_file_that_nobody_can_read_is_kept_when_the_pool_begins_anew() {
    let world = World::empty();
    write(&world.root().join("openai-codex-accounts.json"), "<html>");
    world.run("list").failed();
    let said = world.run("reset --yes --json").ok().document();
    let kept = said["quarantined"].as_str().expect("kept");
    assert_eq!(std::fs::read_to_string(kept.replace("[HOME]", world.home().as_str())).expect("there"), "<html>");
    assert_eq!(world.run("list --json").ok().document()["storageHealth"], json!("intentional-reset"));
}

/// The lines of the page that says how to be rid of tokens.
const SECURITY: &str = include_str!("../../../../SECURITY.md");

#[test]
fn the_lines_of_the_security_page_leave_no_token() {
    let mut world = World::with_pool(&Setup::default(), &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    world.set("PATH", "/usr/bin:/bin");
    // Renewed, removed, kept under a name, broken and mended: each leaves copies of its own.
    for typed in ["switch 1", "remove 2 --yes", "backup daily"] {
        world.run(typed).ok();
    }
    write(&world.root().join("openai-codex-accounts.json"), "{\"version\":3,\"accounts\":[{\"refreshToken\":\"rt_");
    world.run("list").ok();
    std::fs::remove_file(world.auth_json()).expect("as `codex logout` does");
    let holding = || {
        let files = world.files().into_iter().filter(|(_, content)| content.contains("CANARY"));
        files.map(|(path, _)| path.file_name().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert!(holding().len() > 5, "there are copies: {:?}", holding());
    let lines = SECURITY.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the lines");
    let (copies, pool) = lines.trim_end().rsplit_once('\n').expect("the pool comes last");
    world.said(&world.command("bash", &["-ec", copies]).output().expect("bash starts")).ok();
    let mut left = holding();
    left.retain(|name| name != "openai-codex-accounts.json" && name != "codex-auth.json");
    assert_eq!(left, [""; 0]);
    assert_eq!(world.run("list --json").ok().document()["accountCount"], json!(2), "the pool goes on");
    let both = format!("{copies}\n{pool}");
    world.said(&world.command("bash", &["-ec", &both]).output().expect("bash starts")).ok();
    assert_eq!(holding(), [""; 0]);
}
