//! Performs the groups of file 33 about the store: what cannot be told apart, a lock left behind, a link.
#![allow(clippy::disallowed_methods, reason = "the runner leaves a lock and a link behind as another program would")]

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use codex_auth_store::{
    StateFile,
    documents::opencode_affinity::{ModePins, SessionAffinity},
    opencode::{
        Domain,
        normalise::{domain_of, normalise, records},
    },
};
use serde_json::{Map, Value, json};

use super::{
    case::{Case, Found, Outcome, field, object, text},
    files::refused,
    tools,
    world::{NOW, STORE, World, put},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "affinity_two_processes" => two_processes(case, world),
        "key_less_twins" => twins(case),
        "ambiguous_tool_action" => ambiguous(case, world),
        "stale_lock" => stale_lock(case, world),
        "symlinked_store" => symlinked(case, world),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// Each process knows its own pins, and saves them one after the other.
fn two_processes(case: &Case, world: &World) -> Result<Value, String> {
    let file = StateFile::<SessionAffinity>::under(&world.root);
    let save = |name: &str, at: u64| {
        let mut mine = ModePins::default();
        for (session, identity) in object(&case.input, name)? {
            mine.seen.insert(session.clone(), NOW.after(Duration::from_secs(at)));
            mine.sticky.insert(session.clone(), identity.as_str().ok_or("a pin names an identity")?.to_owned());
        }
        let now = NOW.after(Duration::from_secs(at));
        let edited = file.edit(now, |known| known.merge("native", &mine)).map_err(|error| error.to_string())?;
        let () = edited.answer;
        let read = file.read().map_err(|error| error.to_string())?.document;
        Ok::<Value, String>(json!(read.modes.get("native").map(|pins| &pins.sticky)))
    };
    Ok(json!({ "afterA": save("A", 0)?, "afterB": save("B", 1)? }))
}

fn twins(case: &Case) -> Result<Value, String> {
    let openai = normalise(object(&case.input, "openai")?);
    let refresh = |record: &Map<String, Value>| record.get("refresh").cloned();
    let native = domain_of(&openai, Domain::Native).ok_or("no native domain")?;
    let pair = |row: &Map<String, Value>| json!([row.get("identityKey"), refresh(row)]);
    Ok(json!({
        "native": records(native).iter().map(refresh).collect::<Vec<_>>(),
        "aggregate": records(&openai).iter().map(pair).collect::<Vec<_>>(),
    }))
}

fn ambiguous(case: &Case, world: &World) -> Result<Value, String> {
    let openai = normalise(object(&case.input, "openai")?);
    let rows = |openai: &Map<String, Value>| {
        let native = domain_of(openai, Domain::Native).map(tools::brief);
        json!({ "aggregate": tools::brief(openai), "native": native })
    };
    let Some(action) = case.input.get("action").and_then(Value::as_str) else { return Ok(rows(&openai)) };
    put(&world.root.join(STORE), &json!({ "openai": openai }))?;
    let index = field(&case.input, "index")?;
    let saved = world.file().save(|document| {
        let openai = document.get_mut("openai").and_then(Value::as_object_mut).ok_or("the pool is gone")?;
        match tools::act(action, openai, index) {
            Ok(changed) => {
                *openai = changed;
                Ok(rows(openai))
            }
            Err(error) => Ok::<_, String>(json!({ "throws": { "message": error.to_string() } })),
        }
    });
    let saved = saved.map_err(|error| refused(&error))?;
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    Ok(json!({ "returned": saved.value?, "saved": rows(object(&stored, "openai")?) }))
}

fn stale_lock(case: &Case, world: &World) -> Result<Value, String> {
    let dir = world.root.join(text(&case.input, "lockDirectory")?);
    fs::create_dir(&dir).map_err(|error| error.to_string())?;
    if let Some(owner) = case.input.get("ownerFile").and_then(Value::as_str) {
        fs::write(dir.join(".owner"), owner).map_err(|error| error.to_string())?;
    }
    let age = field(&case.input, "ageMs")?.as_u64().ok_or("`ageMs` is no number")?;
    let now = u64::try_from(NOW.as_millis()).map_err(|error| error.to_string())?;
    let left = SystemTime::UNIX_EPOCH + Duration::from_millis(now - age);
    let aged = fs::File::open(&dir).and_then(|dir| dir.set_modified(left));
    aged.map_err(|error| error.to_string())?;
    // Both of the predecessor's schemes are one lock to us.
    match text(&case.input, "scheme")? {
        "normal" | "fallback" => {}
        other => return Err(format!("`{other}` is no scheme")),
    }
    let result = match world.file().load() {
        Ok(_) => json!("acquired"),
        Err(error) => json!({ "code": error.to_string() }),
    };
    Ok(json!({ "result": result, "waitedSeconds": 0 }))
}

fn symlinked(case: &Case, world: &World) -> Result<Value, String> {
    let (real, store) = (world.data.join("real.json"), world.root.join(STORE));
    put(&real, field(&case.input, "store")?)?;
    symlink(&real, &store).map_err(|error| error.to_string())?;
    let change = object(&case.input, "save")?;
    let pointers: Vec<(String, Value)> = change.iter().map(|(path, value)| (pointer(path), value.clone())).collect();
    let saved = world.file().save(|document| {
        let mut whole = Value::Object(document.clone());
        for (pointer, value) in &pointers {
            set_at(&mut whole, pointer, value)?;
        }
        *document = whole.as_object().cloned().unwrap_or_default();
        Ok::<_, String>(())
    });
    saved.map_err(|error| refused(&error))?.value?;
    let has_change = |text: String| {
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        pointers.iter().all(|(pointer, value)| document.pointer(pointer) == Some(value))
    };
    let target = fs::read_to_string(&real).map_err(|error| error.to_string())?;
    Ok(json!({
        "storeIsLink": store.is_symlink(),
        "targetChanged": has_change(target),
        "storeHasChange": has_change(world.text(STORE)?),
    }))
}

/// `native.accounts[0].lastUsed` below `openai`, as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/openai/{}", path.replace('[', ".").replace(']', "").replace('.', "/"))
}

fn set_at(document: &mut Value, pointer: &str, value: &Value) -> Result<(), String> {
    let (parent, key) = pointer.rsplit_once('/').ok_or("no pointer")?;
    let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
    parent.ok_or_else(|| format!("`{pointer}` leads nowhere"))?.insert(key.to_owned(), value.clone());
    Ok(())
}
