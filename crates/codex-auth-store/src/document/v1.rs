//! Owns bringing a V1 document to the shape of V3.

use codex_auth_core::{FAMILIES, Timestamp};
use serde_json::{Value, json};

use crate::json::{self, Object};

/// Keys that V1 never had: the predecessor does not carry them over, and neither may we, or the two would disagree.
const NOT_OF_V1: [&str; 4] = ["recordId", "workspaces", "authInvalidatedAt", "authInvalidationErrorCode"];

/// The same pool as V3: one reset becomes the reset of every family, one position the position in every family.
pub(crate) fn upgrade(mut document: Object, now: Timestamp) -> Object {
    document.insert("version".into(), json!(3));
    let active = document.get("activeIndex").and_then(json::integer).unwrap_or(0);
    let families = FAMILIES.iter().map(|family| ((*family).to_owned(), json!(active))).collect();
    document.insert("activeIndexByFamily".into(), Value::Object(families));
    if let Some(Value::Array(rows)) = document.get_mut("accounts") {
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            upgrade_row(row, now);
        }
    }
    document
}

fn upgrade_row(row: &mut Object, now: Timestamp) {
    for key in NOT_OF_V1 {
        row.shift_remove(key);
    }
    let Some(reset) = row.shift_remove("rateLimitResetTime") else { return };
    let holds = json::integer(&reset).is_some_and(|until| now < Timestamp::from_millis(until));
    if holds {
        let resets = FAMILIES.iter().map(|family| ((*family).to_owned(), reset.clone())).collect();
        row.insert("rateLimitResetTimes".into(), Value::Object(resets));
    }
}
