//! Owns waiting for a refresh that a predecessor has begun: its lease of a token is respected, never made. The one for
//! the command line leaves a file, the one for `OpenCode` an instant in the account's row.

use std::time::Duration;

use camino::Utf8Path;
use codex_auth_core::{RefreshToken, StoreError, Timestamp};
use serde_json::Value;

use crate::{
    engine::Engine,
    fs::{Fs, os, read_optional},
    hash::token_hash,
    json,
};

/// As long as the predecessor's own leases last; an older file belongs to nobody.
const LIFE: Duration = Duration::from_secs(30);
/// As long as the longest lease of a row; a later end was written by nobody who renews.
const LONGEST: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(150);

/// Waits until no fresh lease of `token` is left.
pub(crate) async fn wait_for_predecessor(
    engine: &Engine,
    token: &RefreshToken,
    wait: Duration,
) -> Result<(), StoreError> {
    let path = engine.layout.refresh_lease(&token_hash(token));
    let rows = engine.layout.opencode_accounts();
    let mut waited = Duration::ZERO;
    loop {
        let (fs, now) = (engine.fs.as_ref(), engine.now());
        let held = match holder(fs, &path, now)? {
            Some(holder) => Some((&path, holder)),
            None => row_holder(fs, &rows, token, now)?.map(|holder| (&rows, holder)),
        };
        let Some((path, holder)) = held else { return Ok(()) };
        if waited >= wait {
            return Err(StoreError::Locked { path: path.to_string(), holder, waited_secs: wait.as_secs() });
        }
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
}

/// Who has leased the row that holds this token, if anybody has. The row of a token that was replaced is another one.
fn row_holder(
    fs: &dyn Fs,
    path: &Utf8Path,
    token: &RefreshToken,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let Some(bytes) = read_optional(fs, path)? else { return Ok(None) };
    let document: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let openai = &document["openai"];
    let lists = [openai, &openai["native"], &openai["codex"]].map(|half| half["accounts"].as_array());
    let rows = lists.into_iter().flatten().flatten().filter_map(Value::as_object);
    let mut ends = rows.filter(|row| json::text(row, "refresh") == Some(token.expose()));
    let holds = |end: Timestamp| now < end && end <= now.after(LONGEST);
    let is_held = ends.any(|row| json::millis(row, "refreshLeaseUntil").is_some_and(holds));
    Ok(is_held.then(|| "OpenCode's plugin".to_owned()))
}

/// Who holds a fresh lease, if anybody does. A lease that cannot be parsed counts by its age alone.
fn holder(fs: &dyn Fs, path: &Utf8Path, now: Timestamp) -> Result<Option<String>, StoreError> {
    let Some(written_at) = os::modified_millis(path).map(Timestamp::from_millis) else { return Ok(None) };
    if now.since(written_at) >= LIFE {
        return Ok(None);
    }
    let Some(bytes) = read_optional(fs, path)? else { return Ok(None) };
    Ok(named_in(&bytes, now))
}

/// Who the content of a lease names, unless it says itself that it is over.
pub(crate) fn named_in(bytes: &[u8], now: Timestamp) -> Option<String> {
    let lease: Option<Value> = serde_json::from_slice(bytes).ok();
    let lease = lease.as_ref().and_then(Value::as_object);
    if lease.and_then(|lease| json::millis(lease, "expiresAt")).is_some_and(|end| end <= now) {
        return None;
    }
    let pid = lease.and_then(|lease| lease.get("pid")).and_then(json::integer);
    Some(pid.map_or_else(|| "the predecessor".to_owned(), |pid| format!("process {pid}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsFs;

    #[test]
    fn a_leased_row_is_somebodys_until_the_lease_ends_or_the_token_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("codex-accounts.json");
        let row = r#"{"refresh":"rt","refreshLeaseUntil":30000}"#;
        let document = format!(r#"{{"openai":{{"native":{{"accounts":[{row}]}}}}}}"#);
        crate::write_private(&OsFs, &path, document.as_bytes()).unwrap();
        let held = |token: &str, at: i64| {
            let now = Timestamp::from_millis(at);
            row_holder(&OsFs, &path, &RefreshToken::new(token), now).unwrap().is_some()
        };
        assert!(held("rt", 29_999));
        assert!(!held("rt", 30_000), "it has ended");
        assert!(!held("other", 29_999), "it is another token's");
        assert!(!held("rt", -90_001), "nobody leases a row for so long");
    }
}
