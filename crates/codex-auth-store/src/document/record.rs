//! Owns the stable name of a row that has none yet.

use codex_auth_core::RecordId;

use crate::{
    hash::sha256_hex,
    json::{self, Object},
};

/// The record id of a row: its own, else the one the predecessor derives from it.
pub(crate) fn record_of(row: &Object) -> RecordId {
    json::text(row, "recordId").and_then(RecordId::parse).unwrap_or_else(|| derive(row))
}

/// `record:` and the hash of when the row was added, its account id, its e-mail address and its refresh token.
fn derive(row: &Object) -> RecordId {
    let added_at = row.get("addedAt").and_then(json::integer).map(|at| at.to_string()).unwrap_or_default();
    let text = |key: &str| json::text(row, key).unwrap_or_default();
    let parts = [&*added_at, text("accountId"), &text("email").to_lowercase(), text("refreshToken")];
    RecordId::parse(&format!("record:{}", sha256_hex(parts.join("\0")))).expect("the prefix is not blank")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(row: &serde_json::Value, expect: &str) {
        assert_eq!(record_of(row.as_object().expect("a row")).as_str(), expect);
    }

    #[test]
    fn equals_the_predecessors() {
        let row = json!({ "addedAt": 1_700_000_000_000_i64, "accountId": "acc-1", "email": " Me@a.co", "refreshToken": "RT1 " });
        check(&row, "record:87543379866b1e631b26939670719db130678e393aa63d9c9efba40b69eee74e");
    }

    #[test]
    fn a_name_once_given_stays() {
        check(&json!({ "recordId": "record:mine", "refreshToken": "RT2" }), "record:mine");
    }
}
