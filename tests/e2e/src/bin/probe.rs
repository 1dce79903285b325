//! Does one thing inside a world's network that the test program, which stays outside, cannot do itself.
//!
//! Standard input is one JSON document, so that no secret stands in a command line; standard output is another.
//! `{"act":"exchange","port","method","path","headers":{},"body":"","fill":0}` makes one HTTP request, `fill` bytes of
//! padding after the body included, and answers `{"status","headers","body"}`.
//! `{"act":"bind","port","millis"}` tries to take a port for a while and answers `{"bound"}`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test tool: standard streams are its interface, and the port is tried for a while by the clock"
)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// A caller of a sign-in waits as long as the exchange behind it may take.
const LIMIT: Duration = Duration::from_secs(50);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match act() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act() -> Outcome<Value> {
    let mut order = String::new();
    io::stdin().read_to_string(&mut order)?;
    let order: Value = serde_json::from_str(&order)?;
    let port = order["port"].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("a port is missing")?;
    match order["act"].as_str() {
        Some("exchange") => exchange(&order, port),
        Some("bind") => Ok(bind(port, Duration::from_millis(order["millis"].as_u64().unwrap_or(0)))),
        Some(_) | None => Err("an act is missing".into()),
    }
}

/// Tries to listen where somebody else should be listening.
fn bind(port: u16, span: Duration) -> Value {
    let end = Instant::now() + span;
    loop {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return json!({ "bound": true });
        }
        if Instant::now() >= end {
            return json!({ "bound": false });
        }
        std::thread::yield_now();
    }
}

fn exchange(order: &Value, port: u16) -> Outcome<Value> {
    let text = |key: &str| order[key].as_str().unwrap_or_default();
    let fill = usize::try_from(order["fill"].as_u64().unwrap_or(0))?;
    let length = text("body").len() + fill;
    let given = order["headers"].as_object().cloned().unwrap_or_default();
    let mut lines = vec![format!("{} {} HTTP/1.1", text("method"), text("path"))];
    let defaults = [("host", format!("127.0.0.1:{port}")), ("content-length", length.to_string())];
    let own = defaults.iter().filter(|(name, _)| !given.contains_key(*name));
    lines.extend(own.map(|(name, value)| format!("{name}: {value}")));
    lines.extend(given.iter().map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default())));
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "{}\r\nconnection: close\r\n\r\n{}", lines.join("\r\n"), text("body"))?;
    pour(&mut stream, fill);
    let mut answer = Vec::new();
    // A refusal may come with a reset, once it has been sent; what arrived counts.
    let ended = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        ended?;
        // A server may close without a word, when what it was about to pass on broke off.
        return Ok(json!({ "status": 0, "headers": {}, "body": "" }));
    }
    read_answer(&String::from_utf8_lossy(&answer)).ok_or_else(|| "the answer is not HTTP".into())
}

/// Sends padding until everything is sent or nobody takes it any more.
fn pour(stream: &mut TcpStream, mut fill: usize) {
    let block = vec![b' '; 64 * 1024];
    while fill > 0 {
        let piece = fill.min(block.len());
        if stream.write_all(&block[..piece]).is_err() {
            return;
        }
        fill -= piece;
    }
}

fn read_answer(text: &str) -> Option<Value> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Map<String, Value> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value.trim())))
        .collect();
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if chunked { dechunk(body) } else { body.to_owned() };
    Some(json!({ "status": status, "headers": headers, "body": body }))
}

/// Joins the chunks of a chunked body.
fn dechunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("0").trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else { break };
        whole.push_str(chunk);
        rest = after.get(size + 2..).unwrap_or("");
    }
    whole
}
