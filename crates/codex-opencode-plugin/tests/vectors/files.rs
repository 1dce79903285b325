//! Performs the groups of file 07: the store on a disk.

use codex_auth_core::{StoreError, Timestamp};
use codex_auth_store::opencode::{
    OpenCodeFile, change,
    gitignore::{MANAGED, missing_lines},
    normalise::{domain_of, records},
    transfer,
};
use serde_json::{Map, Value, json};

use super::{
    case::{Case, Expect, Found, Outcome, field, object, text},
    tree,
    upsert::mode,
    world::{STORE, World, put},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "authoritative" => authoritative(case, world),
        "transfer" => transferred(case, world),
        "load" => loaded(case, world),
        "corrupt" => corrupt(case, world),
        "save" => saved(case, world),
        "cooldown" => cooldown(case, world),
        "tokens" => tokens(case, world),
        "quarantine" => quarantine(case, world),
        "gitignore" => gitignore(case),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// The product's refusal where none was asked for.
pub(crate) fn refused(error: &StoreError) -> String {
    format!("refused: {error}")
}

fn lay(case: &Case, world: &World) -> Result<OpenCodeFile, String> {
    for (name, content) in object(&case.input, "files")? {
        put(&world.root.join(name), content)?;
    }
    let data = case.input.get("dataHomeFiles").and_then(Value::as_object);
    for (name, content) in data.into_iter().flatten() {
        put(&world.data.join(name), content)?;
    }
    Ok(world.file())
}

fn sources(world: &World) -> Vec<camino::Utf8PathBuf> {
    transfer::sources(&world.root, &world.data, None)
}

fn offer(file: &OpenCodeFile, world: &World) -> Result<bool, String> {
    transfer::is_offered(file, &sources(world)).map_err(|error| refused(&error))
}

fn load(file: &OpenCodeFile) -> Result<Value, String> {
    file.load().map(|loaded| Value::Object(loaded.document)).map_err(|error| refused(&error))
}

fn authoritative(case: &Case, world: &World) -> Result<Value, String> {
    let file = lay(case, world)?;
    Ok(json!({ "offer": offer(&file, world)?, "loaded": load(&file)? }))
}

fn transferred(case: &Case, world: &World) -> Result<Value, String> {
    let file = lay(case, world)?;
    let offered = offer(&file, world)?;
    let outcome = transfer::transfer(&file, &sources(world)).map_err(|error| refused(&error))?;
    let result = json!({ "imported": outcome.imported, "sourcesUsed": outcome.sources_used });
    if case.shown().contains(&"imported") {
        return Ok(result);
    }
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    let mut found = json!({
        "offer": offered,
        "result": result,
        "stored": stored,
        "offerAfter": offer(&file, world)?,
        "tree": tree::tree(&world.root)?,
    });
    // A case shows the members it is about.
    if let Some(found) = found.as_object_mut() {
        found.retain(|key, _| case.shown().contains(&key.as_str()));
    }
    Ok(found)
}

fn loaded(case: &Case, world: &World) -> Result<Value, String> {
    let file = lay(case, world)?;
    let document = load(&file)?;
    if !case.shown().contains(&"loaded") {
        return Ok(document);
    }
    let ignored = world.text(".gitignore")?;
    let Expect::Output(expect) = &case.expect else { return Err("a load that throws has no rule".to_owned()) };
    Ok(json!({
        "loaded": document,
        "tree": tree::tree(&world.root)?,
        "gitignore": lines_or(field(expect, "gitignore")?, "", &ignored),
    }))
}

fn corrupt(case: &Case, world: &World) -> Result<Value, String> {
    let file = lay(case, world)?;
    let (error, warnings) = match file.load() {
        Ok(loaded) => (Value::Null, loaded.warnings),
        Err(error) => (json!({ "message": error.to_string() }), Vec::new()),
    };
    Ok(json!({
        "firstLoadThrows": error,
        "warnings": warnings,
        "secondLoad": load(&file)?,
        "files": tree::names(&world.root)?,
        "quarantine": tree::tree(&world.root.join("quarantine"))?,
    }))
}

fn saved(case: &Case, world: &World) -> Result<Value, String> {
    let file = world.file();
    let mut rewrote = Value::Null;
    for step in field(&case.input, "steps")?.as_array().ok_or("`steps` is no list")? {
        let before = inode(world);
        if step.get("noop") == Some(&Value::Bool(true)) {
            let outcome = file.save(|_| ()).map_err(|error| refused(&error))?;
            rewrote = Value::Bool(outcome.written || inode(world) != before);
        } else {
            let set = object(step, "set")?;
            file.save(|document| document.clone_from(set)).map_err(|error| refused(&error))?;
        }
    }
    Ok(json!({
        "text": world.text(STORE)?,
        "mode": tree::mode(&world.root.join(STORE))?,
        "noopRewrote": rewrote,
        "tree": tree::tree(&world.root)?,
    }))
}

fn inode(world: &World) -> Option<u64> {
    use std::os::unix::fs::MetadataExt as _;
    world.root.join(STORE).metadata().ok().map(|seen| seen.ino())
}

/// Lays `store`, changes its `openai` object, and returns the file and the record of `identityKey` afterwards.
fn changed(
    case: &Case,
    world: &World,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Result<(Value, Map<String, Value>), String> {
    let input = &case.input;
    put(&world.root.join(STORE), field(input, "store")?)?;
    let file = world.file();
    let saved = file.save(|document| {
        if let Some(openai) = document.get_mut("openai").and_then(Value::as_object_mut) {
            change(openai);
        }
    });
    saved.map_err(|error| refused(&error))?;
    let document: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    let domain = domain_of(object(&document, "openai")?, mode(input, "mode")?).ok_or("the domain is gone")?;
    let key = text(input, "identityKey")?;
    let record = records(domain).into_iter().find(|one| one.get("identityKey").is_some_and(|known| known == key));
    record.map(|record| (document, record)).ok_or_else(|| "the record is gone".to_owned())
}

fn cooldown(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let Value::Number(until) = field(input, "until")? else { return Err("`until` is no number".to_owned()) };
    let (key, domain) = (text(input, "identityKey")?, mode(input, "mode")?);
    let (file, record) = changed(case, world, |openai| {
        change::set_cooldown(openai, domain, key, until);
    })?;
    let whole_file = case.shown().contains(&"openai");
    Ok(if whole_file { file } else { record.get("cooldownUntil").cloned().unwrap_or(Value::Null) })
}

fn tokens(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let given = field(input, "tokens")?;
    let tokens = change::RenewedTokens {
        access: text(given, "access")?.to_owned(),
        refresh: text(given, "refresh")?.to_owned(),
        expires: field(given, "expires")?.as_i64().ok_or("`expires` is no number")?,
    };
    let (key, domain) = (text(input, "identityKey")?, mode(input, "mode")?);
    let (_, record) = changed(case, world, |openai| {
        change::set_tokens(openai, domain, key, &tokens);
    })?;
    Ok(record.get("access").cloned().unwrap_or(Value::Null))
}

fn quarantine(case: &Case, world: &World) -> Result<Value, String> {
    let name = text(&case.input, "baseName")?;
    for stamp in field(&case.input, "stamps")?.as_array().ok_or("`stamps` is no list")? {
        let now = stamp.as_i64().map(Timestamp::from_millis).ok_or("a stamp is no time")?;
        put(&world.root.join(name), &json!("{broken"))?;
        load(&world.file_at(name, now))?;
    }
    let dir = world.root.join("quarantine");
    let names = tree::names(&dir)?;
    let first = names.first().ok_or("nothing was kept")?;
    let file_mode = tree::mode(&dir.join(first))?;
    Ok(json!({ "dirMode": tree::mode(&dir)?, "fileMode": file_mode, "files": names }))
}

fn gitignore(case: &Case) -> Result<Value, String> {
    let Expect::Output(expect) = &case.expect else { return Err("lines that throw have no rule".to_owned()) };
    if let Some(wanted) = expect.as_array() {
        let has_all = wanted.iter().all(|line| MANAGED.iter().filter(|known| line == *known).count() == 1);
        return Ok(if has_all { expect.clone() } else { json!(MANAGED) });
    }
    let prior = case.input.as_str().unwrap_or_default();
    Ok(lines_or(expect, prior, &format!("{prior}{}", missing_lines(prior))))
}

/// What was expected, when `text` begins with `prior` and has each of the expected lines once; else `text`.
fn lines_or(expect: &Value, prior: &str, text: &str) -> Value {
    let lines: Vec<&str> = text.lines().collect();
    let once = |line: &str| lines.iter().filter(|known| **known == line).count() == 1;
    let holds = text.starts_with(prior) && text.ends_with('\n') && expect.as_str().is_some_and(|e| e.lines().all(once));
    if holds { expect.clone() } else { json!(text) }
}
