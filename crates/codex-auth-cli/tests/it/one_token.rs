//! Thirty-two at once with one expired account: the issuer punishes reuse, sees one presentation, and everybody goes on.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use codex_auth_testkit::{Act, Fault, PoolKnobs, Presented, Route, Setup, Verdict, Who};
use serde_json::{Value, json};

use crate::{
    serving::Serving,
    world::{World, read},
};

const LIMIT: Duration = Duration::from_mins(1);

/// One account, whose access token has ended, and an issuer that holds its first answer back.
fn world() -> World {
    let setup = Setup { accounts: 1, ..Setup::default() };
    let world = World::with_pool(&setup, &PoolKnobs { expired_access: vec![1], ..PoolKnobs::default() });
    world.fake().fault(Fault::once(Route::Token, Act::HoldBeforeHeaders));
    world
}

fn checks(world: &World, count: usize) -> Vec<Child> {
    let start = || {
        let mut check = world.own_command(&["check", "--json"]);
        check.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    (0..count).map(|_| start()).collect()
}

/// Lets the issuer answer once everybody was started.
fn go(world: &World) {
    assert!(world.fake().wait_until_held(1, LIMIT), "nobody presents the token");
    world.fake().release();
}

#[track_caller]
fn all_are_available(world: &World, checks: Vec<Child>) {
    for check in checks {
        let said = world.said(&check.wait_with_output().expect("it ends")).ok();
        assert_eq!(said.document()["summary"]["available"], json!(1), "{said}");
    }
}

#[track_caller]
fn one_presentation(world: &World) {
    let log = world.fake().log();
    let shown: Vec<&Presented> = log.iter().filter_map(|record| record.body.presented.as_ref()).collect();
    assert_eq!(shown.iter().map(|shown| shown.verdict).collect::<Vec<_>>(), [Verdict::Fresh]);
    let state = world.fake().state();
    let account = state.account(Who::Account(1)).expect("the only account");
    assert!(!account.revoked);
}

#[test]
fn thirty_two_processes_present_it_once() {
    let world = world();
    let checks = checks(&world, 32);
    go(&world);
    all_are_available(&world, checks);
    one_presentation(&world);
}

#[test]
fn sixteen_at_the_agent_and_sixteen_by_themselves_present_it_once() {
    let world = world();
    let agent = Serving::start(&world);
    let token = read(&world.root().join("agent/agent.json"))["clientToken"].as_str().expect("a token").to_owned();
    let port = agent.ready["port"].as_u64().expect("a port");
    let turns: Vec<JoinHandle<String>> = (0..16)
        .map(|_| {
            let token = token.clone();
            thread::spawn(move || turn(port, &token))
        })
        .collect();
    let checks = checks(&world, 16);
    go(&world);
    all_are_available(&world, checks);
    for turn in turns {
        let answer = turn.join().expect("no client panics");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    one_presentation(&world);
}

/// A turn of a model, asked of the agent.
fn turn(port: u64, token: &str) -> String {
    let body: Value = json!({ "model": "gpt-5.5", "stream": true, "store": false, "instructions": "", "input": [] });
    let body = body.to_string();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the agent listens");
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    write!(
        stream,
        "POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
