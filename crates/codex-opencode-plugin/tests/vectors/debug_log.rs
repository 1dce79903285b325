//! Performs the debug log's groups of file 26, and file 32: the timing variables.
#![allow(clippy::disallowed_methods, reason = "the runner looks at what was written as another program would")]

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use codex_auth_core::testing::ManualClock;
use codex_auth_oauth::{
    DEBUG_LOG, DEBUG_MAX_BYTES_VARIABLE, DEBUG_VARIABLE, DebugLog, Timing, debug_log_limit, is_debugging,
};
use codex_auth_store::{Layout, LayoutInputs, LineLog, opencode::Domain};
use serde_json::{Map, Value, json};

use super::{
    case::{Case, Found, Outcome, field, object, text},
    identity::whole_text,
    world::{NOW, World},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "debug_flag" => whole_text(&case.input).map(|value| json!(is_debugging(Some(value)))),
        "debug_log" => written(case, world),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// The one group of file 32.
pub(crate) fn timing(group: &str, case: &Case) -> Option<Found> {
    if group != "timeouts" {
        return None;
    }
    let told = |name: &str| case.input.get(name).and_then(Value::as_str).map(str::to_owned);
    let Timing { http, device, callback, grace, error_grace } = Timing::OPENCODE.told_by(told);
    let ms = |span: Duration| json!(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    Some(Ok(Outcome::Output(json!({
        "http": ms(http), "device": ms(device), "callback": ms(callback),
        "grace": ms(grace), "errorGrace": ms(error_grace),
    }))))
}

fn written(case: &Case, world: &World) -> Result<Value, String> {
    let env = object(&case.input, "env")?;
    let variable = |name: &str| env.get(name).and_then(Value::as_str);
    let layout = Layout::resolve_with(&LayoutInputs::default(), &|_| Vec::new())
        .with_opencode_pool_in(world.root.clone(), Domain::Native);
    let dir = layout.logs_dir();
    let limit = debug_log_limit(variable(DEBUG_MAX_BYTES_VARIABLE));
    let file = LineLog::new(dir.join(DEBUG_LOG), limit);
    let emit = field(&case.input, "emit")?;
    let count = emit.get("count").and_then(Value::as_u64).unwrap_or(1);
    if is_debugging(variable(DEBUG_VARIABLE)) {
        let log = DebugLog::new(Arc::new(ManualClock::at(NOW)), std::process::id(), move |line| {
            file.append(line).expect("the directory is there");
        });
        for index in 0..count {
            let meta = field(emit, "meta")?.to_string().replace("\"<index>\"", &index.to_string());
            log.note(text(emit, "event")?, serde_json::from_str(&meta).map_err(|error| error.to_string())?);
        }
    }
    let mut modes = Map::new();
    let mut bytes = Map::new();
    for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
        let seen = entry.metadata().map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        modes.insert(name.clone(), json!(format!("{:o}", seen.permissions().mode() & 0o777)));
        bytes.insert(name, json!(seen.len()));
    }
    modes.sort_keys();
    let expects_names = case.expect_member("files").is_some_and(Value::is_array);
    let files = if expects_names { json!(modes.keys().collect::<Vec<_>>()) } else { json!(modes) };
    let mut found = json!({ "files": files });
    if case.shown().contains(&"rotatedAtLeastLimit") {
        let rotated = bytes.get(&format!("{DEBUG_LOG}.1")).and_then(Value::as_u64).unwrap_or(0);
        found["rotatedAtLeastLimit"] = json!(rotated >= limit);
    }
    if case.shown().contains(&"line") {
        let text = fs::read_to_string(dir.join(DEBUG_LOG)).map_err(|error| error.to_string())?;
        let line = text.lines().next().unwrap_or_default();
        found = json!({ "line": serde_json::from_str::<Value>(line).map_err(|error| error.to_string())? });
    }
    Ok(found)
}
