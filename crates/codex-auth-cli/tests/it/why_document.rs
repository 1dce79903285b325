//! `docs/why.md`: every transcript in it is made again and compared, from requests that went through a real agent.
//!
//! `CODEX_AUTH_BLESS=1` writes the transcripts into the document.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use codex_auth_testkit::{PoolKnobs, Setup};
use serde_json::{Value, json};

use crate::{
    serving::Serving,
    world::{World, in_millis, read, timeless},
};

/// A turn of a model in a session, asked of the agent; the status of its answer.
fn turn(world: &World, agent: &Serving, session: &str) -> String {
    let token = read(&world.root().join("agent/agent.json"))["clientToken"].as_str().expect("a token").to_owned();
    let port = agent.ready["port"].as_u64().expect("a port");
    let body: Value = json!({ "model": "gpt-5.5", "stream": true, "store": false, "instructions": "", "input": [] });
    let body = body.to_string();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the agent listens");
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("set");
    write!(
        stream,
        "POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\
         session_id: {session}\r\nx-codex-routing-hint: model=gpt-5.5\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Waits until the log holds this many decisions; it is written behind the answers.
#[track_caller]
fn recorded(world: &World, count: u64) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let counted = world.run("what-if --strategy sequential --json").ok().document()["decisions"].as_u64();
        if counted == Some(count) {
            return;
        }
        assert!(Instant::now() < end, "{counted:?} decisions are recorded, not {count}");
        std::thread::yield_now();
    }
}

/// Ages and hashes replaced by what stands for them.
fn placeholders(text: &str) -> String {
    let mut said = String::new();
    for line in text.lines().filter(|line| !line.starts_with("codex-multi-auth: CODEX_MULTI_AUTH_")) {
        let line = timeless(line);
        let line = match (line.strip_prefix("Made: "), line.split_once(", from ")) {
            (Some(made), _) => {
                let about = made.split_once(" ago").map_or("", |(_, about)| about);
                format!("Made: 2m 5s ago{about}")
            }
            (None, Some((before, _))) => format!("{before}, from 2h 5m to 2m 5s ago"),
            (None, None) => line,
        };
        said.push_str(&line);
        said.push('\n');
    }
    said
}

fn typed(world: &World, line: &str) -> String {
    let said = world.run(line.strip_prefix("codex-multi-auth ").expect("a command of ours")).ok();
    placeholders(&format!("$ {line}\n{}", said.out))
}

/// The first of three accounts is paused when two sessions come, and is back for the third.
fn transcripts() -> Vec<(&'static str, String)> {
    let mut world = World::with_pool(&Setup { accounts: 3, ..Setup::default() }, &PoolKnobs::default());
    world.set("CODEX_AUTH_SCHEDULING_STRATEGY", "round_robin");
    let mut pool = world.pool();
    pool["accounts"][2]["coolingDownUntil"] = json!(in_millis(600_000));
    pool["accounts"][2]["cooldownReason"] = json!("rate-limit");
    world.write_pool(&pool);
    world.run("account pause 1").ok();
    let agent = Serving::start(&world);
    let now = typed(&world, "codex-multi-auth why-selected");
    for session in ["019aa5b0-one", "019aa5b0-two"] {
        assert!(turn(&world, &agent, session).starts_with("HTTP/1.1 200"));
    }
    recorded(&world, 2);
    world.run("account unpause 1").ok();
    let back = world.run("why-selected").ok().out;
    assert!(back.contains("Selected: Account 1 "), "the first is back: {back}");
    let last = typed(&world, "codex-multi-auth why-selected --last");
    assert!(turn(&world, &agent, "019aa5b0-three").starts_with("HTTP/1.1 200"));
    recorded(&world, 3);
    let what_if = typed(&world, "codex-multi-auth what-if --without 2 --since 8h");
    vec![("now", now), ("last", last), ("what-if", what_if)]
}

/// Where a transcript begins and ends in the document.
fn place(document: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let mark = format!("<!-- transcript: {name} -->\n```console\n");
    let begin = document.find(&mark)? + mark.len();
    Some(begin..begin + document[begin..].find("```\n")?)
}

#[test]
fn every_transcript_of_why_is_what_the_program_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/why.md");
    let mut document = std::fs::read_to_string(path).expect("the document is there");
    let made = transcripts();
    assert_eq!(document.matches("<!-- transcript: ").count(), made.len());
    let blesses = std::env::var("CODEX_AUTH_BLESS").is_ok_and(|bless| bless == "1");
    for (name, text) in made {
        let place = place(&document, name).unwrap_or_else(|| panic!("the document has no transcript `{name}`"));
        if blesses {
            document.replace_range(place, &text);
        } else {
            assert_eq!(document[place], text, "the document is old: run this test with CODEX_AUTH_BLESS=1");
        }
    }
    if blesses {
        std::fs::write(path, document).expect("written");
    }
}

#[test]
fn the_last_selection_is_replayed_whatever_happened_since() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let none = world.run("why-selected --last --json").failed().document();
    assert_eq!(none["errorInfo"]["code"], json!("no_decision"), "{none}");
    let agent = Serving::start(&world);
    assert!(turn(&world, &agent, "019aa5b0-one").starts_with("HTTP/1.1 200"));
    recorded(&world, 1);
    let then = world.run("why-selected --last --json").ok().document();
    drop(agent);
    let mut pool = world.pool();
    for account in pool["accounts"].as_array_mut().expect("accounts") {
        account["enabled"] = json!(false);
    }
    world.write_pool(&pool);
    let now = world.run("why-selected --json").failed().document();
    assert_eq!(now["selected"], Value::Null);
    let last = world.run("why-selected --last --json").ok().document();
    assert_eq!((&last["selected"]["recordId"], &last["decidedBy"]), (&then["selected"]["recordId"], &json!("log")));
    assert_eq!((&last["recorded"]["sameAgain"], &last["candidates"]), (&json!(true), &then["candidates"]));
    assert_eq!(last["recorded"]["session"].as_str().map(str::len), Some(8), "a hash");
    assert!(!last.to_string().contains("019aa5b0"), "{last}");
}

/// The agent dies in the middle of its work, and the log's last line with it.
#[test]
fn a_killed_agent_leaves_a_log_that_is_read_up_to_its_torn_end_and_gone_on_with() {
    let world = World::with_pool(&Setup::default(), &PoolKnobs::default());
    let agent = Serving::start(&world);
    for session in ["one", "two", "three"] {
        assert!(turn(&world, &agent, session).starts_with("HTTP/1.1 200"));
    }
    recorded(&world, 3);
    // Dropping kills it.
    drop(agent);
    let log = world.root().join("agent/decisions.log");
    let bytes = std::fs::read(&log).expect("there");
    std::fs::write(&log, &bytes[..bytes.len() - 7]).expect("torn");
    recorded(&world, 2);
    assert_eq!(world.run("why-selected --last --json").ok().document()["recorded"]["sameAgain"], json!(true));
    let agent = Serving::start(&world);
    assert!(turn(&world, &agent, "four").starts_with("HTTP/1.1 200"));
    recorded(&world, 3);
    drop(agent);
}
