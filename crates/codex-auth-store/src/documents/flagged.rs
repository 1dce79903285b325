//! `openai-codex-flagged-accounts.json`: accounts that are parked because their refresh token died. Pure: the engine
//! reads and writes the file together with the pool.

use codex_auth_core::{RefreshToken, Timestamp};
use serde_json::{Value, json};

use crate::json::{self, Object};

/// Name of the file.
pub const FLAGGED: &str = "openai-codex-flagged-accounts.json";
/// The older name: read where [`FLAGGED`] is missing, removed once its rows are written there.
pub const LEGACY_FLAGGED: &str = "openai-codex-blocked-accounts.json";
const VERSION: i64 = 1;
const REASONS: [&str; 4] = ["auth-failure", "network-error", "server-error", "rate-limit"];
const SOURCES: [&str; 4] = ["token", "id_token", "org", "manual"];
const SWITCHES: [&str; 6] = ["rate-limit", "initial", "rotation", "best", "restore", "manual"];

/// A parked account: the account's row with why and when.
#[derive(Debug, Clone, PartialEq)]
pub struct FlaggedRow(Object);

impl FlaggedRow {
    /// Parks an account's row.
    pub fn park(mut row: Object, reason: &str, error: Option<&str>, now: Timestamp) -> Self {
        json::set(&mut row, "flaggedAt", Some(json!(now.as_millis())));
        json::set(&mut row, "flaggedReason", Some(json!(reason)));
        json::set(&mut row, "lastError", error.map(|error| json!(error)));
        Self(row)
    }

    /// Its token; rows are told apart by it.
    pub fn refresh_token(&self) -> RefreshToken {
        RefreshToken::new(json::text(&self.0, "refreshToken").unwrap_or_default())
    }

    /// Since when it is parked.
    pub fn flagged_at(&self) -> Timestamp {
        json::millis(&self.0, "flaggedAt").unwrap_or_default()
    }

    /// Why it is parked.
    pub fn reason(&self) -> Option<&str> {
        json::text(&self.0, "flaggedReason")
    }

    /// The account's row as it goes back to the pool.
    pub fn released(mut self) -> Object {
        for key in ["flaggedAt", "flaggedReason", "lastError"] {
            self.0.shift_remove(key);
        }
        self.0
    }

    /// The same row, changed.
    pub(crate) fn map(mut self, change: impl FnOnce(&mut Object)) -> Self {
        change(&mut self.0);
        self
    }

    fn normalised(mut row: Object, now: Timestamp) -> Option<Self> {
        json::text(&row, "refreshToken")?;
        let flagged_at = json::millis(&row, "flaggedAt").unwrap_or(now);
        json::set(&mut row, "flaggedAt", Some(json!(flagged_at.as_millis())));
        for key in ["addedAt", "lastUsed"] {
            if json::millis(&row, key).is_none() {
                json::set(&mut row, key, Some(json!(flagged_at.as_millis())));
            }
        }
        let words = [("cooldownReason", &REASONS[..]), ("accountIdSource", &SOURCES), ("lastSwitchReason", &SWITCHES)];
        for (key, known) in words {
            if row.get(key).is_some_and(|word| word.as_str().is_none_or(|word| !known.contains(&word))) {
                row.shift_remove(key);
            }
        }
        Some(Self(row))
    }
}

/// The rows of a document of version 1: one for each refresh token, the last counts; `None` when it is no such
/// document, or when nothing of a filled one can be used.
pub fn flagged_rows(object: &Object, now: Timestamp) -> Option<Vec<FlaggedRow>> {
    let is_known = object.get("version").and_then(json::integer) == Some(VERSION);
    let told = object.get("accounts").and_then(Value::as_array).filter(|_| is_known)?;
    let mut rows: Vec<FlaggedRow> = Vec::new();
    for row in told.iter().filter_map(Value::as_object) {
        let Some(row) = FlaggedRow::normalised(row.clone(), now) else { continue };
        put(&mut rows, row);
    }
    (told.is_empty() || !rows.is_empty()).then_some(rows)
}

/// Parks a row; one with the same token is replaced in its place.
pub fn put(rows: &mut Vec<FlaggedRow>, row: FlaggedRow) {
    match rows.iter_mut().find(|known| known.refresh_token() == row.refresh_token()) {
        Some(known) => *known = row,
        None => rows.push(row),
    }
}

/// Takes the row of this token out.
pub fn take(rows: &mut Vec<FlaggedRow>, token: &RefreshToken) -> Option<FlaggedRow> {
    let place = rows.iter().position(|row| row.refresh_token() == *token)?;
    Some(rows.remove(place))
}

/// Makes a document hold these rows; its other keys stay, and so do rows without a token.
pub fn set_flagged_rows(object: &mut Object, rows: &[FlaggedRow]) {
    json::set(object, "version", Some(json!(VERSION)));
    let told = object.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
    let has_token = |row: &Value| row.as_object().is_some_and(|row| json::text(row, "refreshToken").is_some());
    let unusable = told.into_iter().filter(|row| !has_token(row));
    let ours = rows.iter().map(|row| Value::Object(row.0.clone()));
    json::set(object, "accounts", Some(ours.chain(unusable).collect()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(9);

    fn object(value: &Value) -> Object {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn the_last_row_of_a_token_counts() {
        let told = object(&json!({ "version": 1, "accounts": [
            { "refreshToken": "f1", "email": "q@q.co", "foo": 1, "cooldownReason": "bogus" },
            { "refreshToken": "f1", "email": "z@z.co" }, { "refreshToken": "  " },
        ]}));
        let rows = flagged_rows(&told, NOW).expect("version 1");
        let expect = json!({ "refreshToken": "f1", "email": "z@z.co", "flaggedAt": 9, "addedAt": 9, "lastUsed": 9 });
        assert_eq!(rows, [FlaggedRow(object(&expect))]);
    }

    #[track_caller]
    fn check(told: &Value, expect: Option<usize>) {
        assert_eq!(flagged_rows(&object(told), NOW).map(|rows| rows.len()), expect);
    }

    #[test]
    fn what_is_no_such_document_is_told_from_an_empty_one() {
        check(&json!({ "version": 1, "accounts": [] }), Some(0));
        check(&json!({ "version": 1, "accounts": [{}] }), None);
        check(&json!({ "version": 2, "accounts": [] }), None);
        check(&json!({ "version": 1, "accounts": {} }), None);
    }

    #[test]
    fn unknown_keys_and_wrong_words() {
        let told = r#"{"version":1,"later":true,"accounts":[
            {"refreshToken":"a","mine":1.50,"cooldownReason":"bogus","accountIdSource":"org"},{"odd":1}]}"#;
        let told = object(&serde_json::from_str(told).expect("JSON"));
        let rows = flagged_rows(&told, NOW).expect("version 1");
        let mut written = told.clone();
        set_flagged_rows(&mut written, &rows);
        assert_eq!((&written["later"], &written["accounts"][1]), (&json!(true), &json!({ "odd": 1 })));
        let row = &written["accounts"][0];
        assert_eq!((row["mine"].to_string(), row.get("cooldownReason")), ("1.50".to_owned(), None));
        assert_eq!(row["accountIdSource"], json!("org"));
    }

    #[test]
    fn an_account_is_parked_and_comes_back_as_it_was() {
        let row = object(&json!({ "refreshToken": "a", "addedAt": 1 }));
        let mut rows = Vec::new();
        put(&mut rows, FlaggedRow::park(row.clone(), "token-invalid", Some("refused"), NOW));
        assert_eq!((rows[0].reason(), rows[0].flagged_at()), (Some("token-invalid"), NOW));
        assert_eq!(take(&mut rows, &RefreshToken::new("a")).map(FlaggedRow::released), Some(row));
        assert_eq!(rows, []);
    }
}
