//! Owns telling the formats of import files apart by what stands in them; names of files decide nothing.

use serde_json::Value;

use crate::{
    json::{self, Object},
    official::accounts_json,
};

/// A format that accounts are imported from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An accounts document of the predecessor's command line, version 1 or 3, or an export of it.
    Accounts,
    /// Its list of accounts whose refresh token died.
    Flagged,
    /// The store of the OpenCode predecessor, an older one of it, or OpenCode's own `auth.json`.
    OpenCode,
    /// The official client's `auth.json`.
    AuthJson,
    /// The official client's `accounts.json`.
    AccountsJson,
}

impl Format {
    /// The format of a document; `None` when it is none of these.
    pub(super) fn of(document: &Object) -> Option<Self> {
        let rows = document.get("accounts").and_then(Value::as_array);
        if document.get("openai").is_some_and(Value::is_object) {
            return Some(Self::OpenCode);
        }
        match rows {
            Some(rows) if document.contains_key("version") => {
                let is_flagged = |row: &Value| row.get("flaggedAt").is_some();
                let is_first = document.get("version").and_then(json::integer) == Some(1);
                Some(if is_first && rows.iter().any(is_flagged) { Self::Flagged } else { Self::Accounts })
            }
            Some(_) if accounts_json::is_such(document) => Some(Self::AccountsJson),
            Some(rows) => {
                let keys = ["access", "expires", "authTypes", "identityKey"];
                let is_old_plugins = |row: &Value| keys.iter().any(|key| row.get(*key).is_some());
                // Without a version and without its keys it is refused as what it resembles most.
                Some(if rows.iter().any(is_old_plugins) { Self::OpenCode } else { Self::Accounts })
            }
            None => {
                let own = ["tokens", "auth_mode", "OPENAI_API_KEY"];
                own.iter().any(|key| document.contains_key(*key)).then_some(Self::AuthJson)
            }
        }
    }

    /// The name in the sidecar.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Flagged => "flagged",
            Self::OpenCode => "opencode",
            Self::AuthJson => "auth.json",
            Self::AccountsJson => "accounts.json",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(document: &Value, expect: Option<Format>) {
        assert_eq!(Format::of(document.as_object().expect("an object")), expect, "{document}");
    }

    #[test]
    fn each_is_known_by_its_keys() {
        check(&json!({ "version": 3, "accounts": [{ "refreshToken": "R" }] }), Some(Format::Accounts));
        check(&json!({ "version": 1, "accounts": [{ "refreshToken": "R" }] }), Some(Format::Accounts));
        check(&json!({ "version": 9, "accounts": [] }), Some(Format::Accounts));
        check(&json!({ "version": 1, "accounts": [{ "refreshToken": "R", "flaggedAt": 1 }] }), Some(Format::Flagged));
        check(&json!({ "openai": { "type": "oauth" } }), Some(Format::OpenCode));
        check(&json!({ "accounts": [{ "refreshToken": "R", "expires": 1 }] }), Some(Format::OpenCode));
        check(&json!({ "accounts": [{ "refresh_token": "R" }] }), Some(Format::AccountsJson));
        check(&json!({ "accounts": [{ "refreshToken": "R" }] }), Some(Format::Accounts));
        check(&json!({ "tokens": {} }), Some(Format::AuthJson));
        check(&json!({ "a": 1 }), None);
    }
}
