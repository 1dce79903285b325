//! What the real client used, written down by the agent: one row for each request, with the numbers the client saw; and
//! the same held against the client's own logs.

use std::{fs, time::Duration};

use codex_auth_e2e::codex::ANSWER;
use codex_auth_e2e::{Finished, Scene, World, wait};
use codex_auth_testkit::Script;
use serde_json::{Value, json};

const TURN: [&str; 5] = ["exec", "--skip-git-repo-check", "-m", "gpt-5.5", "say hi"];

/// The requests of the ledger, once there are so many; attempts are left out.
#[track_caller]
fn rows(world: &World, count: usize) -> Vec<Value> {
    let path = world.root().join("usage/usage-ledger.jsonl");
    let read = || {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("one document a line"));
        let rows: Vec<Value> = rows.filter(|row| row["version"] == 1).collect();
        (rows.len() >= count).then_some(rows)
    };
    let rows = wait::until(Duration::from_secs(10), read);
    let rows = rows.unwrap_or_else(|| panic!("fewer than {count} rows\n{}", world.story()));
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows
}

#[track_caller]
fn reconciled(world: &World) -> Value {
    let done = world.ours(&["usage", "reconcile", "--json"]).succeeds();
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.story()))
}

#[track_caller]
fn served(done: &Finished) {
    assert_eq!(done.stdout, ANSWER, "{}", done.story());
}

/// The id of the only thread there is.
fn thread(world: &World) -> String {
    let done = world.ours(&["usage", "reconcile", "--json"]).succeeds();
    let logs: Value = serde_json::from_str(&done.stdout).expect("a document");
    assert_eq!(logs["logs"]["files"], 1, "{logs}");
    let mut dirs = vec![world.codex_home().join("sessions")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("there").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.strip_suffix(".jsonl") {
                Some(name) => return name[name.len() - 36..].to_owned(),
                None => dirs.push(entry.path()),
            }
        }
    }
    panic!("no log")
}

#[test]
fn usage_a_turn_of_the_real_client_is_one_row_with_its_tokens() {
    let world = World::of(&Scene::accounts(3).exhausted(&[1]));
    served(&world.run(&TURN).succeeds());
    let row = rows(&world, 1).remove(0);
    let told = (&row["outcome"], &row["model"], &row["statusCode"], &row["tokens"]["outputTokens"]);
    assert_eq!(told, (&"success".into(), &"gpt-5.5".into(), &200.into(), &5.into()), "{row}");
    assert!(row["tokens"]["inputTokens"].as_u64().is_some_and(|tokens| tokens > 100), "{row}");
    assert!(row["costUsd"].as_f64().is_some_and(|cost| cost > 0.0), "{row}");
    // Account 1 was asked first: that is an attempt, and no request.
    let usage = world.ours(&["usage", "--json"]).succeeds();
    let usage: Value = serde_json::from_str(&usage.stdout).expect("a document");
    assert_eq!(usage["attempts"].as_array().map(Vec::len), Some(2), "{usage}");
    assert_eq!(usage["summary"]["totals"]["requests"], 1);
    let told = reconciled(&world);
    assert_eq!((&told["agreed"]["answers"], &told["differences"]), (&1.into(), &json!([])), "{told}");
    assert_eq!(told["agreed"]["tokens"]["totalTokens"], row["tokens"]["totalTokens"], "the client saw the same");
    world.close();
}

#[test]
fn usage_a_client_that_is_stopped_has_cancelled() {
    let world = World::of(&Scene::accounts(3));
    world.hold_turns(1);
    let run = world.start_run(&TURN);
    world.await_turns(1, Duration::from_secs(20));
    run.signal(rustix::process::Signal::TERM);
    let row = rows(&world, 1).remove(0);
    assert_eq!((&row["outcome"], &row["errorCode"]), (&"cancelled".into(), &"client_left".into()), "{row}");
    assert_eq!(row["tokens"]["totalTokens"], 0);
    run.wait(Duration::from_secs(10));
    world.fake().release();
    world.close();
}

#[test]
fn usage_a_killed_agent_writes_nothing_twice() {
    let world = World::of(&Scene::accounts(3));
    served(&world.run(&TURN).succeeds());
    world.hold_turns(1);
    let run = world.start_run(&TURN);
    world.await_turns(2, Duration::from_secs(20));
    world.agent_process().kill();
    served(&run.wait(Duration::from_secs(30)).succeeds());
    let outcomes: Vec<Value> = rows(&world, 2).into_iter().map(|row| row["outcome"].clone()).collect();
    assert_eq!(
        outcomes,
        ["success", "success"],
        "the request that died with the agent is in no row\n{}",
        world.story()
    );
    assert_eq!(reconciled(&world)["differences"], json!([]));
    world.close();
}

#[test]
fn usage_what_differs_is_named() {
    let world = World::of(&Scene::accounts(3));
    served(&world.run(&TURN).succeeds());
    rows(&world, 1);
    // One turn without us, and one row that is lost.
    served(&world.codex_direct(&TURN).succeeds());
    let resume = ["exec", "--skip-git-repo-check", "-m", "gpt-5.5", "resume", "--last", "say more"];
    served(&world.run(&resume).succeeds());
    served(&world.run(&resume).succeeds());
    rows(&world, 3);
    let path = world.root().join("usage/usage-ledger.jsonl");
    let text = fs::read_to_string(&path).expect("there");
    let last = text.lines().rfind(|line| line.starts_with("{\"version\":1,")).expect("a row");
    fs::write(&path, text.replace(&format!("{last}\n"), "")).expect("our own root is writable");
    let told = reconciled(&world);
    assert_eq!(told["byKind"], json!({ "row-not-here": 2 }), "{told}");
    world.close();
}

/// The thread of a subagent's log, if there is one: what names its parent by how it was made.
fn subagents(world: &World) -> usize {
    let logs = world.codex_files().into_iter().filter(|(path, _)| path.extension().is_some_and(|end| end == "jsonl"));
    let heads = logs.filter_map(|(_, bytes)| String::from_utf8_lossy(&bytes).lines().next().map(str::to_owned));
    heads.filter(|head| head.contains("thread_spawn")).count()
}

#[test]
fn usage_resumed_forked_and_spawned_sessions_are_each_counted_once() {
    let world = World::of(&Scene::accounts(3));
    served(&world.run(&TURN).succeeds());
    let (thread, more) = (thread(&world), ["exec", "--skip-git-repo-check", "-m", "gpt-5.5"]);
    served(&world.run(&[&more[..], &["resume", &thread, "say more"]].concat()).succeeds());
    served(&world.run(&[&more[..], &["fork", &thread, "say otherwise"]].concat()).succeeds());
    rows(&world, 3);
    assert_eq!(subagents(&world), 0);
    // One answer with both calls, so that it is the parent who waits.
    let call = |name: &str, arguments: &Value| {
        json!({ "type": "function_call", "call_id": format!("call_{name}"), "namespace": "collaboration",
                "name": name, "arguments": arguments.to_string() })
    };
    let spawn = call("spawn_agent", &json!({ "task_name": "look", "message": "say hi", "fork_turns": "all" }));
    let wait = call("wait_agent", &json!({ "timeout_ms": 30_000 }));
    world.fake().script(&Script::items(vec![spawn, wait]));
    let enabled = ["exec", "--enable", "multi_agent_v2", "--skip-git-repo-check", "-m", "gpt-5.5"];
    served(&world.run(&[&enabled[..], &["resume", &thread, "ask somebody"]].concat()).succeeds());
    // Two answers of the parent's and one of the subagent's.
    rows(&world, 6);
    assert_eq!(subagents(&world), 1, "{}", world.story());
    let told = reconciled(&world);
    assert_eq!((&told["differences"], &told["agreed"]["answers"]), (&json!([]), &6.into()), "{told}");
    assert_eq!((&told["unclear"], &told["incomplete"]), (&json!([]), &json!([])), "{told}");
    assert_eq!(told["logs"]["files"], 3, "{told}");
    world.close();
}

#[test]
fn usage_every_transcript_of_the_guide_is_what_the_program_prints() {
    let world = World::of(&Scene::accounts(3));
    served(&world.run(&TURN).succeeds());
    let thread = thread(&world);
    let more = ["exec", "--skip-git-repo-check", "-m", "gpt-5.5"];
    served(&world.run(&[&more[..], &["resume", &thread, "say more"]].concat()).succeeds());
    served(&world.run(&[&more[..], &["fork", &thread, "say otherwise"]].concat()).succeeds());
    rows(&world, 3);
    let guide = include_str!("../../../docs/usage.md");
    let told: Vec<&str> = guide.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(told.len(), 2, "the guide shows {} transcripts", told.len());
    for transcript in told {
        let typed = transcript.lines().filter_map(|line| line.strip_prefix("$ codex-multi-auth "));
        let said = |line: &str| {
            let done = world.ours(&line.split(' ').collect::<Vec<_>>()).succeeds();
            format!("$ codex-multi-auth {line}\n{}", placeholders(&done.stdout))
        };
        assert_eq!(typed.map(said).collect::<String>(), transcript);
    }
    world.close();
}

/// Counts of prompts, and what they cost, depend on the client's own instructions; how long ago something was told, on
/// the machine.
fn placeholders(text: &str) -> String {
    let mut out = String::new();
    let text: String = text.split_inclusive('\n').map(two_seconds_ago).collect();
    for piece in text.split_inclusive([' ', '\n', ',', '(', ';']) {
        let core = piece.trim_end_matches([' ', '\n', ',', '(', ';']);
        let dollars = core.strip_prefix('$').unwrap_or(core);
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_cost =
            dollars.split_once('.').is_some_and(|(whole, part)| is_number(whole) && part.len() >= 6 && is_number(part));
        let name = match core {
            _ if is_cost && core.starts_with('$') => "$[cost]",
            _ if is_cost => "[cost]",
            _ if is_number(core) && core.len() >= 4 => "[n]",
            _ => core,
        };
        out.push_str(name);
        out.push_str(&piece[core.len()..]);
    }
    out
}

fn two_seconds_ago(line: &str) -> String {
    match line.split_once(", told ").and_then(|(before, rest)| Some((before, rest.split_once(" ago")?.1))) {
        Some((before, after)) => format!("{before}, told 2s ago{after}"),
        None => line.to_owned(),
    }
}
