//! Real processes on one root: no update is lost, no reader sees half a file, and a lock names its holder.

use std::{
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use camino::Utf8PathBuf;
use codex_auth_core::{AccountStore as _, StoreError, Timestamp, testing::ManualClock};
use codex_auth_store::FileStore;

use crate::world::{NOW, World, layout_in, sign_in};

const HOME: &str = "STORE_TEST_HOME";
const TASK: &str = "STORE_TEST_TASK";
const EACH: usize = 20;

/// This test again, in a process of its own, doing `task` on `world`.
fn process(world: &World, task: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "two_processes::worker", "--nocapture"])
        .env(HOME, world.home().as_str())
        .env(TASK, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

/// Does its task when it is started by another test; alone it has nothing to do.
#[test]
fn worker() {
    let (Ok(home), Ok(task)) = (std::env::var(HOME), std::env::var(TASK)) else { return };
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let store = FileStore::new(layout_in(&Utf8PathBuf::from(home)), clock);
    match task.split_once(' ') {
        Some(("add", first)) => {
            let first: usize = first.parse().expect("a number");
            for n in first..first + EACH {
                store.edit_now(|pool| pool.accounts.push(sign_in(n, &format!("R{n}"), 0))).expect("written");
                say("added");
            }
        }
        Some(("claim", _)) => hold(&store),
        Some(("edit", _)) => {
            let ended = store.edit_now(|pool| {
                pool.affinity_generation += 1;
                say("editing");
                wait_for_the_other_end();
            });
            ended.expect("written");
        }
        Some((other, _)) => panic!("no such task: {other}"),
        None => panic!("a task and its argument"),
    }
}

/// Claims the first account, says so, and holds it until the other end hangs up.
fn hold(store: &FileStore) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    let _claim = runtime.block_on(store.claim(&record)).expect("free");
    say("claimed");
    wait_for_the_other_end();
}

/// A line of its own, whatever the test harness has written before.
fn say(word: &str) {
    writeln!(std::io::stdout(), "\n{word}").expect("somebody listens");
}

fn wait_for_the_other_end() {
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("until the end");
}

/// Reads what a process says until it has said `word` so many times. The rest is heard while the result lives.
fn listen(process: &mut Child, word: &str, times: usize) -> Lines<BufReader<ChildStdout>> {
    let mut said = BufReader::new(process.stdout.take().expect("piped")).lines();
    let heard = said.by_ref().map_while(Result::ok).filter(|line| line == word).take(times).count();
    assert_eq!(heard, times, "it ended before it said {word}");
    said
}

#[test]
fn no_update_is_lost() {
    let world = World::new();
    let mut workers = [process(&world, "add 100"), process(&world, "add 200"), process(&world, "add 300")];
    let store = world.store();
    while workers.iter_mut().any(|worker| worker.try_wait().expect("a child").is_none()) {
        let pool = store.read_now().expect("never half a file");
        assert!(pool.accounts.iter().all(|held| held.credential.id.is_some()), "the files were read as one");
    }
    for worker in &mut workers {
        assert!(worker.wait().expect("a child").success());
    }
    let pool = store.read_now().expect("readable");
    assert_eq!(pool.accounts.len(), 3 * EACH);
    assert!(pool.accounts.iter().all(|held| held.credential.id.is_some()), "both files tell of every account");
}

#[tokio::test(start_paused = true)]
async fn a_claim_excludes_other_processes_and_ends_with_its_holder() {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 0)]);
    let record = store.read_now().expect("readable").accounts[0].account.record.clone();
    let mut other = process(&world, "claim first");
    let _said = listen(&mut other, "claimed", 1);
    let error = store.claim(&record).await.expect_err("held elsewhere");
    let StoreError::Locked { holder, path, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder, format!("process {}", other.id()));
    assert!(path.contains("/codex-auth/refresh/"), "{path}");
    other.kill().expect("killed");
    other.wait().expect("gone");
    store.claim(&record).await.expect("a dead holder holds nothing");
}

#[test]
fn an_edit_that_cannot_begin_names_who_edits() {
    let world = World::new();
    let store = world.holding(vec![sign_in(1, "R1", 0)]);
    let mut other = process(&world, "edit slowly");
    let _said = listen(&mut other, "editing", 1);
    let error = store.edit_now(|pool| pool.affinity_generation = 9).expect_err("locked");
    let expect = format!("{} is locked by process {}; waited 0 s", world.layout().root_lock(), other.id());
    assert_eq!(error.to_string(), expect);
    assert_eq!(store.read_now().expect("reading takes no lock").affinity_generation, 0);
    drop(other.stdin.take());
    assert!(other.wait().expect("a child").success());
    assert_eq!(store.read_now().expect("readable").affinity_generation, 1);
}

#[test]
fn a_killed_writer_leaves_whole_files_and_a_free_lock() {
    let world = World::new();
    let store = world.store();
    for round in 0..6 {
        let mut worker = process(&world, &format!("add {}", 1000 * (round + 1)));
        let _said = listen(&mut worker, "added", 2 + round);
        worker.kill().expect("killed");
        worker.wait().expect("gone");
        let pool = store.read_now().expect("whole");
        assert!(pool.accounts.iter().all(|held| held.credential.id.is_some() && held.credential.generation == 0));
        store.edit_now(|pool| pool.affinity_generation += 1).expect("nobody holds the lock");
    }
    assert!(store.read_now().expect("whole").accounts.len() >= (0..6).map(|round| 2 + round).sum());
}
