//! Owns a turn: what the backend refuses before it starts, and the stream it answers with.

use http::StatusCode;
use serde_json::{Value, json};

use crate::ask::{Ask, BadBody};
use crate::fault::Act;
use crate::people::{Person, Who};
use crate::reply::Reply;
use crate::route::is_platform;
use crate::script::{self, Frame, Script};
use crate::world::World;

/// What ciphertext minted here begins with; the number of its account follows.
const CIPHER: &str = "fake-cipher:";

/// Answers `POST …/responses` of an admitted person.
pub(super) fn answer(world: &mut World, ask: &Ask, person: &Person, act: Option<&Act>, now_ms: i64) -> Reply {
    let turn = match &ask.turn {
        Some(Ok(turn)) => turn,
        Some(Err(bad)) => return unreadable(*bad),
        None => return Reply::not_found(),
    };
    let backend = &mut world.backend;
    if let Some(until) = backend.quotas.ask(person.who, now_ms) {
        let headers = backend.quotas.headers(person.who, now_ms);
        return limit_reached(person, until, now_ms).with_all(headers);
    }
    if let Some(refusal) = refused(turn, person.who, is_platform(&ask.path)) {
        return refusal;
    }
    let script = paced(act).unwrap_or_else(|| backend.scripts.next(person.who));
    backend.responses += 1;
    let response_id = format!("resp_fake_{}", backend.responses);
    let input_tokens = script::tokens(turn["input"].to_string().len());
    let cache_key = turn["prompt_cache_key"].as_str();
    let cached_tokens = backend.quotas.serve(person.who, cache_key, input_tokens);
    let frame = Frame {
        response_id: &response_id,
        model: turn["model"].as_str().unwrap_or("unknown"),
        input_tokens,
        cached_tokens,
        reasoning: script.reasoning.then(|| reasoning(&response_id, person.who)),
    };
    let script = compaction(turn, person.who).unwrap_or(script);
    let headers = backend.quotas.headers(person.who, now_ms);
    let etag = backend.catalogue(person.who).1;
    world.counts.entry(person.who).or_default().served += 1;
    let reply = if turn["stream"] == true {
        let gap_ms = if let Some(Act::Pace { gap_ms, .. }) = act { *gap_ms } else { 0 };
        Reply::events(&script::events(&script, &frame), gap_ms)
    } else {
        Reply::json(StatusCode::OK, &script::whole(&script, &frame))
    };
    let reply = reply.with_all(headers).with("x-request-id", response_id);
    match etag {
        Some(etag) => reply.with("x-models-etag", etag),
        None => reply,
    }
}

fn unreadable(bad: BadBody) -> Reply {
    let (status, detail) = match bad {
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body too large"),
        BadBody::NotZstd => (StatusCode::BAD_REQUEST, "body is not zstd"),
        BadBody::NotJson => (StatusCode::BAD_REQUEST, "body is not JSON"),
        BadBody::UnknownEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unknown content-encoding"),
    };
    Reply::json(status, &json!({ "detail": detail }))
}

/// The one refusal clients take as "this account is used up": 429 before the stream, `resets_at` a whole number.
fn limit_reached(person: &Person, until_ms: i64, now_ms: i64) -> Reply {
    // Rounded up, so that whoever waits until then finds the account restored.
    let resets_at = until_ms.div_euclid(1000) + i64::from(until_ms.rem_euclid(1000) > 0);
    let error = json!({
        "type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": person.plan,
        "resets_at": resets_at, "resets_in_seconds": (until_ms - now_ms).max(0) / 1000,
    });
    Reply::json(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": error }))
        .with("x-codex-rate-limit-reached-type", "rate_limit_reached")
}

/// What the ChatGPT backend does not take, and ciphertext of another account.
fn refused(turn: &Value, who: Who, platform: bool) -> Option<Reply> {
    let detail = |text: &str| Some(Reply::json(StatusCode::BAD_REQUEST, &json!({ "detail": text })));
    if !platform && turn["stream"] != true {
        return detail("Stream must be set to true");
    }
    if !platform && turn["store"] == true {
        return detail("Store must be set to false");
    }
    if !platform && turn.get("max_output_tokens").is_some() {
        return detail("Unsupported parameter: max_output_tokens");
    }
    let items = turn["input"].as_array().map_or(&[][..], Vec::as_slice);
    let ours = format!("{CIPHER}{who}:");
    let foreign = items.iter().find(|item| {
        let cipher = item["encrypted_content"].as_str().unwrap_or_default();
        cipher.starts_with(CIPHER) && !cipher.starts_with(&ours)
    })?;
    let message = format!("The encrypted content of item {} could not be verified.", foreign["id"]);
    let error = json!({
        "message": message, "type": "invalid_request_error", "param": "input", "code": "invalid_encrypted_content",
    });
    Some(Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error })))
}

fn reasoning(response_id: &str, who: Who) -> Value {
    let encrypted = format!("{CIPHER}{who}:{response_id}");
    json!({ "type": "reasoning", "id": format!("rs_{response_id}"), "summary": [], "encrypted_content": encrypted })
}

/// A compaction turn is answered with exactly one compaction item.
fn compaction(turn: &Value, who: Who) -> Option<Script> {
    let last = turn["input"].as_array()?.last()?;
    let encrypted = format!("{CIPHER}{who}:compaction");
    let item = json!({ "type": "compaction", "id": "cmp_fake", "encrypted_content": encrypted });
    (last["type"] == "compaction_trigger").then(|| Script::items(vec![item]))
}

/// Text of the size and in the number of events that a pacing fault asks for.
fn paced(act: Option<&Act>) -> Option<Script> {
    let Some(Act::Pace { events, total_bytes, .. }) = act else { return None };
    let events = (*events).max(1);
    // Every word ends in a space, and every word is an event.
    let word = |number: usize| {
        let size = total_bytes / events + usize::from(number < total_bytes % events);
        let mut word = "x".repeat(size.saturating_sub(1));
        word.push(' ');
        word
    };
    Some(Script::text((0..events).map(word).collect::<String>()))
}
