//! A small client for machines without codex: it asks one question the way codex does and prints the answer.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::ExitCode,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{environment::Environment, ui::Ui};

/// Name under which this program is this client.
pub(crate) const NAME: &str = "codex-auth-demo-client";

/// The client whose behaviour this one follows.
const VERSION: &str = "codex-cli 0.169.0";
/// As often as codex resumes a stream that broke.
const TRIES: usize = 5;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Answers an invocation under [`NAME`].
pub(crate) fn answer(words: &[OsString], environment: &Environment, ui: Ui) -> ExitCode {
    if words.iter().any(|word| word == "--version") {
        ui.line(VERSION);
        return ExitCode::SUCCESS;
    }
    let (Some(base), Some(key)) = (base_url(words), environment.text("CODEX_API_KEY")) else {
        ui.say("this client is started by the demo only");
        return ExitCode::FAILURE;
    };
    let prompt = words.last().and_then(|word| word.to_str()).unwrap_or("say hi");
    for _ in 0..TRIES {
        if let Ok(Some(text)) = ask(&base, key, prompt) {
            ui.line(&text);
            return ExitCode::SUCCESS;
        }
    }
    ui.say("the answer broke off too often");
    ExitCode::FAILURE
}

fn base_url(words: &[OsString]) -> Option<String> {
    let overrides = words.iter().filter_map(|word| OsStr::to_str(word));
    let value = overrides.filter_map(|word| word.strip_prefix("openai_base_url=")).next_back()?;
    Some(value.trim_matches('"').to_owned())
}

/// One request; `None` when its stream ended before the answer was complete.
fn ask(base: &str, key: &str, prompt: &str) -> std::io::Result<Option<String>> {
    let rest = base.strip_prefix("http://").ok_or_else(|| std::io::Error::other("not on this machine"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let body = json!({ "model": "gpt-5.5", "stream": true, "store": false, "input": [
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": prompt }] },
    ] })
    .to_string();
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    write!(
        stream,
        "POST /{path}/responses HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nSession-Id: demo\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len(),
    )?;
    let mut text = String::new();
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let Some(event) = line.strip_prefix("data:").and_then(|data| serde_json::from_str::<Value>(data).ok()) else {
            continue;
        };
        match event["type"].as_str() {
            Some("response.output_text.delta") => text.push_str(event["delta"].as_str().unwrap_or_default()),
            Some("response.completed") => return Ok(Some(text)),
            _ => {}
        }
    }
    Ok(None)
}
