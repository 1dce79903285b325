//! `fake-openai` as another process uses it: flags in, one ready line out, files beside it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::client::{get, post};

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(args: &[&str]) -> (Running, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fake-openai")).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let running = Running(child);
    (running, serde_json::from_str(&line).unwrap())
}

#[test]
fn one_ready_line_and_everything_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (running, ready) = run(&[
        "--accounts",
        "2",
        "--exhaust",
        "1,2",
        "--write-pool",
        &path("pool"),
        "--write-login",
        &path("home"),
        "--log",
        &path("log.jsonl"),
        "--egress-port",
        "0",
        "--egress-log",
        &path("egress.jsonl"),
    ]);
    let port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["url"], format!("http://127.0.0.1:{port}"));
    assert_eq!(ready["pid"], running.0.id());
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let pool: Value = serde_json::from_slice(&read("pool/openai-codex-accounts.json")).unwrap();
    let login: Value = serde_json::from_slice(&read("home/auth.json")).unwrap();
    let status = |token: &Value| {
        let token = token.as_str().unwrap();
        post("/backend-api/codex/responses", crate::client::TURN).bearer(token).send_to(port).status
    };
    assert_eq!(status(&pool["accounts"][0]["accessToken"]), 429);
    assert_eq!(status(&pool["accounts"][1]["accessToken"]), 429);
    assert_eq!(status(&login["tokens"]["access_token"]), 200);
    assert_eq!(
        get("http://example.test/").send_to(u16::try_from(ready["egressPort"].as_u64().unwrap()).unwrap()).status,
        403
    );
    assert_eq!(String::from_utf8(read("egress.jsonl")).unwrap().lines().count(), 1);
    assert_eq!(String::from_utf8(read("log.jsonl")).unwrap().lines().count(), 6);
}

#[test]
fn a_taken_port_is_an_error_with_a_reason() {
    let (_running, ready) = run(&[]);
    let port = ready["port"].to_string();
    let second = Command::new(env!("CARGO_BIN_EXE_fake-openai")).args(["--port", &port]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains(&format!("cannot listen on loopback port {port}")), "{said}");
}
