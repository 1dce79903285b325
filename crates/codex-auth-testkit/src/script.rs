//! Owns what the model says: one default answer, and the scripts that replace it for some turns.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::people::Who;

/// What the model says when nobody scripted anything.
pub const DEFAULT_TEXT: &str = "Hello from the fake.";

/// What the model says instead of [`DEFAULT_TEXT`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// An answer text, streamed word by word.
    pub text: Option<String>,
    /// Output items in place of the text (a `function_call`, say); framed by the usual events.
    pub items: Option<Vec<Value>>,
    /// The events of the stream, verbatim; nothing is added, not even `response.completed`.
    pub events: Option<Vec<Value>>,
    /// Whether an item of encrypted reasoning precedes the answer. Only the account that minted it may send it back.
    pub reasoning: bool,
    /// For this account alone.
    pub account: Option<Who>,
    /// For this many turns; without it until the next script of the same account.
    pub times: Option<u32>,
}

impl Script {
    /// Says this text from now on.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Sends these output items, framed by the usual events, once.
    pub fn items(items: Vec<Value>) -> Self {
        Self { items: Some(items), times: Some(1), ..Self::default() }
    }

    /// Sends these events and nothing else, once.
    pub fn events(events: Vec<Value>) -> Self {
        Self { events: Some(events), times: Some(1), ..Self::default() }
    }
}

/// Scripts in the order they were given; counted ones are used before a standing one.
#[derive(Debug, Default)]
pub(crate) struct Scripts(Vec<Script>);

impl Scripts {
    pub(crate) fn add(&mut self, script: Script) {
        if script.times.is_none() {
            self.0.retain(|held| held.times.is_some() || held.account != script.account);
        }
        self.0.push(script);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The script of the next turn of `who`.
    pub(crate) fn next(&mut self, who: Who) -> Script {
        let fits = |held: &Script| held.account.is_none_or(|of| of == who);
        let counted = self.0.iter().position(|held| held.times.is_some() && fits(held));
        if let Some(at) = counted {
            let script = self.0[at].clone();
            let left = script.times.unwrap_or(1).saturating_sub(1);
            if left == 0 {
                self.0.remove(at);
            } else {
                self.0[at].times = Some(left);
            }
            return script;
        }
        let own = self.0.iter().find(|held| held.account == Some(who));
        own.or_else(|| self.0.iter().find(|held| fits(held))).cloned().unwrap_or_default()
    }
}

/// What a turn answers with besides its script.
pub(crate) struct Frame<'a> {
    pub response_id: &'a str,
    pub model: &'a str,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub reasoning: Option<Value>,
}

/// The events of a turn, in order.
pub(crate) fn events(script: &Script, frame: &Frame<'_>) -> Vec<Value> {
    if let Some(events) = &script.events {
        return events.clone();
    }
    let mut out = vec![json!({ "type": "response.created", "response": head(frame, "in_progress") })];
    let mut output = Vec::new();
    let text = script.text.as_deref().unwrap_or(DEFAULT_TEXT);
    let items = script.items.clone().unwrap_or_else(|| vec![message(frame, text)]);
    for item in frame.reasoning.iter().cloned().chain(items) {
        let index = output.len();
        out.push(json!({ "type": "response.output_item.added", "output_index": index, "item": opening(&item) }));
        if item["type"] == "message" {
            deltas(&mut out, &item, index);
        }
        out.push(json!({ "type": "response.output_item.done", "output_index": index, "item": item }));
        output.push(item);
    }
    out.push(json!({ "type": "response.completed", "response": completed(frame, output, text) }));
    for (number, event) in out.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    out
}

/// The answer of a turn that was not asked to stream.
pub(crate) fn whole(script: &Script, frame: &Frame<'_>) -> Value {
    let text = script.text.as_deref().unwrap_or(DEFAULT_TEXT);
    let items = script.items.clone().unwrap_or_else(|| vec![message(frame, text)]);
    completed(frame, frame.reasoning.iter().cloned().chain(items).collect(), text)
}

fn deltas(out: &mut Vec<Value>, item: &Value, index: usize) {
    let text = item["content"][0]["text"].as_str().unwrap_or_default();
    for word in text.split_inclusive(' ') {
        out.push(json!({
            "type": "response.output_text.delta", "item_id": item["id"], "output_index": index,
            "content_index": 0, "delta": word,
        }));
    }
    out.push(json!({
        "type": "response.output_text.done", "item_id": item["id"], "output_index": index,
        "content_index": 0, "text": text,
    }));
}

fn head(frame: &Frame<'_>, status: &str) -> Value {
    json!({ "id": frame.response_id, "object": "response", "status": status, "model": frame.model })
}

fn message(frame: &Frame<'_>, text: &str) -> Value {
    json!({
        "type": "message", "id": format!("msg_{}", frame.response_id), "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [] }],
    })
}

/// An item as it is announced: present, but empty.
fn opening(item: &Value) -> Value {
    let mut opening = item.clone();
    for (key, empty) in [("content", json!([])), ("arguments", json!("")), ("input", json!(""))] {
        if opening.get(key).is_some() {
            opening[key] = empty;
        }
    }
    opening["status"] = json!("in_progress");
    opening
}

fn completed(frame: &Frame<'_>, output: Vec<Value>, text: &str) -> Value {
    let output_tokens = tokens(text.len());
    let mut response = head(frame, "completed");
    response["output"] = output.into();
    response["usage"] = json!({
        "input_tokens": frame.input_tokens,
        "input_tokens_details": { "cached_tokens": frame.cached_tokens },
        "output_tokens": output_tokens,
        "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": frame.input_tokens + output_tokens,
    });
    response
}

/// Four bytes to a token, and never none.
pub(crate) fn tokens(bytes: usize) -> u64 {
    (bytes as u64 / 4).max(1)
}
