//! Pools of projects: asked for, shared by worktrees, moved in once, and never anybody else's.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::world::{Said, World, read, row, write};

const PER_PROJECT: &str = "CODEX_AUTH_PER_PROJECT_ACCOUNTS";
const ACCOUNTS: &str = "openai-codex-accounts.json";

/// A home with a repository `shop`, two linked worktrees of it, and another repository.
fn repositories() -> World {
    let world = World::empty();
    let home = world.home().to_owned();
    for name in ["shop", "other"] {
        git(&home, &["init", "--quiet", "--initial-branch=main", name]);
        let repository = home.join(name);
        git(&repository, &["commit", "--quiet", "--allow-empty", "--message", "first"]);
    }
    for name in ["left", "right"] {
        git(&home.join("shop"), &["worktree", "add", "--quiet", &format!("../{name}")]);
    }
    world
}

fn git(directory: &Utf8Path, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=Ana", "-c", "user.email=ana@example.test"]).args(words).current_dir(directory);
    command.env("HOME", directory).env("GIT_CONFIG_NOSYSTEM", "1");
    let done = command.output().expect("git is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What the program says in a directory of the home.
fn run_in(world: &World, directory: &str, typed: &str) -> Said {
    let words: Vec<&str> = typed.split_whitespace().collect();
    let mut command = world.own_command(&words);
    command.current_dir(world.home().join(directory));
    world.said(&command.output().expect("it starts"))
}

fn opted_in() -> World {
    let mut world = repositories();
    world.set(PER_PROJECT, "1");
    world
}

fn pool_of(rows: &[Value]) -> String {
    json!({ "version": 3, "accounts": rows, "activeIndex": 0, "activeIndexByFamily": {} }).to_string()
}

/// Where the pool in effect in a directory is kept.
fn storage(world: &World, directory: &str) -> Utf8PathBuf {
    let path =
        run_in(world, directory, "list --json").ok().document()["storagePath"].as_str().expect("a path").to_owned();
    path.replace("[HOME]", world.home().as_str()).into()
}

fn import(world: &World, directory: &str, n: usize) {
    let file = world.home().join(format!("import-{n}.json"));
    write(&file, &pool_of(&[row(n)]));
    run_in(world, directory, &format!("import --yes {file}")).ok();
}

fn count(world: &World, directory: &str) -> Value {
    run_in(world, directory, "list --json").ok().document()["accountCount"].clone()
}

#[test]
fn without_being_asked_for_there_is_one_pool() {
    let world = repositories();
    import(&world, "left", 1);
    for directory in ["shop", "right", "other", ""] {
        assert_eq!(storage(&world, directory), world.root().join(ACCOUNTS), "{directory}");
    }
    let document = run_in(&world, "left", "status --json").ok().document();
    assert_eq!(document["scope"], json!({ "kind": "global" }));
}

#[test]
fn worktrees_share_one_pool_and_other_repositories_do_not() {
    let world = opted_in();
    import(&world, "left", 1);
    let shared = storage(&world, "left");
    assert!(shared.as_str().contains("/projects/shop-"), "{shared}");
    for directory in ["right", "shop", "shop/.git"] {
        assert_eq!(storage(&world, directory), shared, "{directory}");
    }
    assert_eq!((count(&world, "right"), count(&world, "other"), count(&world, "")), (json!(1), json!(0), json!(0)));
    assert_ne!(storage(&world, "other"), shared);
    assert_eq!(storage(&world, ""), world.root().join(ACCOUNTS));
}

#[test]
fn a_copied_pointer_proves_nothing() {
    let world = opted_in();
    import(&world, "left", 1);
    let copy = world.home().join("copy");
    write(&copy.join(".git"), &std::fs::read_to_string(world.home().join("left/.git")).expect("a pointer"));
    assert_eq!(count(&world, "copy"), json!(0));
    assert!(storage(&world, "copy").as_str().contains("/projects/copy-"));
}

#[test]
fn a_submodule_has_a_pool_of_its_own() {
    let world = opted_in();
    import(&world, "shop", 1);
    let other = world.home().join("other");
    let words = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.as_str(), "part"];
    git(&world.home().join("shop"), &words);
    assert_eq!((count(&world, "shop/part"), count(&world, "shop")), (json!(0), json!(1)));
}

/// "A repo should not share accounts with another repo": `status` tells whose pool is in effect.
#[test]
fn a_repository_that_shares_with_nobody_is_shown_as_such() {
    let world = repositories();
    let settings = json!({ "version": 1, "pluginConfig": { "perProjectAccounts": true } });
    write(&world.root().join("settings.json"), &settings.to_string());
    write(&world.root().join(ACCOUNTS), &pool_of(&[row(7)]));
    import(&world, "left", 1);
    let said = run_in(&world, "right", "status").ok().out;
    assert!(said.contains("\nScope: project shop (shared by its worktrees)\n"), "{said}");
    assert!(!said.contains("person7@example.test"), "{said}");
    let document = run_in(&world, "right", "status --json").ok().document();
    assert_eq!((&document["scope"]["kind"], &document["scope"]["name"]), (&json!("project"), &json!("shop")));
    let said = run_in(&world, "", "status").ok().out;
    assert!(!said.contains("Scope:") && said.contains("person7@example.test"), "{said}");
    assert!(!world.home().join("shop/.gitignore").exists(), "the repository's own files are not ours");
}

#[test]
fn f12_the_gitignore_of_a_project_is_never_touched() {
    let world = opted_in();
    let ignore = world.home().join("shop/.gitignore");
    write(&ignore, "target\n");
    import(&world, "shop", 1);
    run_in(&world, "shop", "switch 1");
    assert_eq!(std::fs::read_to_string(ignore).expect("there"), "target\n");
}

/// A pool under the old key of worktree `left`, and one of version 1 inside it.
fn with_pools_from_before(world: &World) -> [Utf8PathBuf; 2] {
    let key = codex_auth_store::project_key(&world.home().canonicalize_utf8().expect("there").join("left"));
    let keyed = world.root().join("projects").join(key).join(ACCOUNTS);
    let inside = world.home().join("left/.codex").join(ACCOUNTS);
    write(&keyed, &pool_of(&[row(1)]));
    write(&inside, &json!({ "version": 1, "accounts": [row(2)], "activeIndex": 0 }).to_string());
    [keyed, inside]
}

/// "A worktree asks for login again": `list`, once, in the worktree.
#[test]
fn f19_a_list_in_the_worktree_moves_its_pools_in_and_says_so() {
    let world = opted_in();
    let before = with_pools_from_before(&world);
    let said = run_in(&world, "left", "list").ok();
    let moved = said.err.lines().filter(|line| line.contains("moved into the pool of project shop (1 new)")).count();
    assert_eq!(moved, 2, "{said}");
    assert_eq!(said.out.matches("Note: 1 account of").count(), 2, "{said}");
    assert!(said.out.contains("person1@example.test") && said.out.contains("person2@example.test"), "{said}");
    assert!(before.iter().all(|path| !path.exists()));
    let log = storage(&world, "left").with_file_name("oplog").join("ops.jsonl");
    assert_eq!(std::fs::read_to_string(log).expect("a log").matches("\"move-in\"").count(), 2);
    for directory in ["right", "left"] {
        let said = run_in(&world, directory, "list").ok();
        assert!(said.err.is_empty() && !said.out.contains("Note:"), "once is enough: {said}");
        assert_eq!(count(&world, directory), json!(2));
    }
}

#[test]
fn pools_that_nobody_uses_are_named_with_the_way_out() {
    let world = repositories();
    let [keyed, inside] = with_pools_from_before(&world);
    let said = run_in(&world, "left", "list").ok();
    assert_eq!(said.out.matches("is a pool of this project alone and is not in use").count(), 2, "{said}");
    assert!(said.out.contains("Set CODEX_AUTH_PER_PROJECT_ACCOUNTS=1") && said.out.contains("codex-multi-auth import"));
    assert!(keyed.exists() && inside.exists(), "nothing moves unasked");
}

#[test]
fn a_pool_from_before_that_cannot_be_moved_stays() {
    let world = opted_in();
    let [keyed, inside] = with_pools_from_before(&world);
    write(&keyed, "{");
    let said = run_in(&world, "left", "list").ok();
    assert!(
        said.err.contains("was not moved into that of project shop") && said.err.contains("ends in the middle"),
        "{said}"
    );
    assert_eq!((keyed.exists(), inside.exists(), count(&world, "left")), (true, false, json!(1)));
}

#[test]
fn settings_are_shared_by_all_pools() {
    let world = opted_in();
    run_in(&world, "left", "rotation disable").ok();
    let settings = read(&world.root().join("settings.json"));
    assert_eq!(settings["pluginConfig"]["codexRuntimeRotationProxy"], json!(false));
    assert_eq!(run_in(&world, "other", "rotation status --json").ok().document()["enabled"], json!(false));
}

/// Starts the agent in a directory and returns where its record is, once it is ready.
fn agent_of(world: &World, directory: &Utf8Path, working_in: Option<&Utf8Path>) -> Utf8PathBuf {
    let mut command = world.own_command(&["serve", "--json"]);
    command.current_dir(directory).stdout(Stdio::piped()).envs(working_in.map(|dir| ("CODEX_AUTH_WORKING_IN", dir)));
    let mut agent = command.spawn().expect("it starts");
    let mut ready = String::new();
    BufReader::new(agent.stdout.take().expect("piped")).read_line(&mut ready).expect("a line");
    let records = [world.root(), storage(world, "left").parent().expect("in a directory").to_owned()];
    let found = records.into_iter().map(|root| root.join("agent/agent.json")).find(|record| record.exists());
    agent.kill().and_then(|()| agent.wait()).expect("it ends");
    assert!(ready.contains("\"ready\":true"), "{ready}");
    let record = found.expect("a record");
    std::fs::remove_file(&record).expect("there");
    record
}

#[test]
fn the_agent_serves_the_pool_of_the_project_it_was_started_for() {
    let world = opted_in();
    import(&world, "left", 1);
    let own = storage(&world, "left").with_file_name("agent").join("agent.json");
    assert_eq!(agent_of(&world, &world.home().join("right"), None), own);
    // In the background it has left every directory and is told.
    assert_eq!(agent_of(&world, "/".into(), Some(&world.home().join("left"))), own);
    assert_eq!(agent_of(&world, world.home(), None), world.root().join("agent/agent.json"));
}
