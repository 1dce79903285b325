//! Performs the groups of file 11: the file of session pins, read, written and pruned.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Memory, Timestamp, testing::ManualClock};
use codex_auth_store::{
    Document, StateFile,
    documents::opencode_affinity::{ModePins, SESSIONS_KEPT, SessionAffinity},
};
use serde_json::{Value, json};

use super::{
    case::{Case, Found, Outcome, field, object, text},
    tree,
    world::{NOW, World, put},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "load" => load(case, world),
        "write" => write(&case.input, world),
        "save" => save(&case.input, world),
        "prune" => prune(&case.input),
        // Nothing of ours looks for the host's session files, so no decision depends on them.
        "exists" => Ok(Value::Null),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

fn file(world: &World) -> StateFile<SessionAffinity> {
    StateFile::of_opencode(&world.root, SessionAffinity::NAME, Arc::new(ManualClock::at(NOW)))
}

fn shown(document: &SessionAffinity) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("version".to_owned(), json!(1));
    document.encode(&mut object);
    Value::Object(object)
}

fn load(case: &Case, world: &World) -> Result<Value, String> {
    let file = file(world);
    put(file.path(), &case.input)?;
    let read = file.read().map_err(|error| error.to_string())?.document;
    if !case.shown().contains(&"loaded") {
        return Ok(shown(&read));
    }
    Ok(json!({ "loaded": shown(&read), "text": world.text(SessionAffinity::NAME)? }))
}

/// The pins of a snapshot.
fn mine(input: &Value) -> Result<ModePins, String> {
    if let Some(generated) = input.get("generated") {
        let count = field(generated, "count")?.as_i64().ok_or("`count` is no number")?;
        let pin = text(generated, "pin")?;
        return Ok(ModePins {
            seen: (0..count).map(|at| (format!("s{at}"), Timestamp::from_millis(at))).collect(),
            sticky: (0..count).map(|at| (format!("s{at}"), pin.to_owned())).collect(),
            ..ModePins::default()
        });
    }
    let snapshot = field(input, "snapshot")?;
    let seen = field(snapshot, "seen")?.as_array().ok_or("`seen` is no list")?.iter();
    let pair = |pair: &Value| Some((pair.get(0)?.as_str()?.to_owned(), Timestamp::from_millis(pair.get(1)?.as_i64()?)));
    let pins = |key: &str| {
        let pins = object(snapshot, key)?.iter();
        Ok::<_, String>(pins.filter_map(|(key, to)| Some((key.clone(), to.as_str()?.to_owned()))).collect())
    };
    Ok(ModePins { seen: seen.filter_map(pair).collect(), sticky: pins("sticky")?, hybrid: pins("hybrid")? })
}

fn written(input: &Value, world: &World) -> Result<SessionAffinity, String> {
    let (file, mine, mode) = (file(world), mine(input)?, text(input, "mode")?);
    if let Some(current) = input.get("current").filter(|current| !current.is_null()) {
        put(file.path(), current)?;
    }
    let most = input.get("maxEntries").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let memory = Memory { most: most.unwrap_or(SESSIONS_KEPT.most), ..SESSIONS_KEPT };
    let edited = file.edit(NOW, |known| {
        known.merge(mode, &mine);
        // The times of these cases are those of the first second.
        known.prune(memory, Timestamp::from_secs(1));
    });
    edited.map_err(|error| error.to_string())?;
    Ok(file.read().map_err(|error| error.to_string())?.document)
}

fn write(input: &Value, world: &World) -> Result<Value, String> {
    let document = written(input, world)?;
    if input.get("generated").is_none() {
        return Ok(shown(&document));
    }
    let pins = document.modes.get("native").cloned().unwrap_or_default();
    let by_age = |left: &&String| pins.seen.get(*left).copied();
    Ok(json!({
        "seen": pins.seen.len(), "firstSeen": pins.seen.keys().min_by_key(by_age),
        "sticky": pins.sticky.len(), "firstSticky": pins.sticky.keys().min_by_key(by_age),
    }))
}

fn save(input: &Value, world: &World) -> Result<Value, String> {
    written(input, world)?;
    Ok(json!({ "text": world.text(SessionAffinity::NAME)?, "tree": tree::tree(&world.root.join("cache"))? }))
}

/// Sessions are forgotten by their age and number alone, whatever the host has.
fn prune(input: &Value) -> Result<Value, String> {
    let mut pins = ModePins::default();
    for (session, at) in object(input, "seen")? {
        pins.seen.insert(session.clone(), Timestamp::from_millis(at.as_i64().ok_or("no time")?));
    }
    for (session, to) in object(input, "sticky")? {
        pins.sticky.insert(session.clone(), to.as_str().ok_or("no account")?.to_owned());
    }
    let mut known = SessionAffinity { modes: [("native".to_owned(), pins.clone())].into() };
    let now = Timestamp::from_millis(field(input, "now")?.as_i64().ok_or("`now` is no time")?);
    known.prune(SESSIONS_KEPT, now);
    let left = known.modes.get("native").cloned().unwrap_or_default();
    let holds = left.seen == pins.seen && left.sticky.get("gone") == pins.sticky.get("gone");
    known.prune(SESSIONS_KEPT, now.after(SESSIONS_KEPT.lasts + Duration::from_secs(2)));
    let forgets = known.modes.values().all(|pins| pins.seen.is_empty() && pins.sticky.is_empty());
    if holds && forgets { Ok(Value::Null) } else { Err(format!("left {left:?}, after a month {known:?}")) }
}
