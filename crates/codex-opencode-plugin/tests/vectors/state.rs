//! Performs the groups of file 05: normal form and older shapes, in memory.

use codex_auth_store::opencode::{
    migrate::{has_usable_oauth, legacy_accounts, migrate, sanitise},
    normalise::normalise,
};
use serde_json::{Map, Value};

use super::case::{Case, Found, Outcome, object, text};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    let found = match group {
        "normalise_openai_state" => whole(case).map(|openai| Value::Object(normalise(openai))),
        "migrate_auth_file" => whole(case).map(|file| Value::Object(migrate(file))),
        "migrate_legacy_accounts_file" => {
            whole(case).map(|file| legacy_accounts(file).map_or(Value::Null, Value::Object))
        }
        "has_usable_oauth" => whole(case).map(|file| Value::Bool(has_usable_oauth(file))),
        "sanitize" => sanitised(case),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

fn whole(case: &Case) -> Result<&Map<String, Value>, String> {
    case.input.as_object().ok_or_else(|| "the input is no object".to_owned())
}

fn sanitised(case: &Case) -> Result<Value, String> {
    Ok(Value::Object(sanitise(text(&case.input, "baseName")?, object(&case.input, "file")?)))
}
