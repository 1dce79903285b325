//! Owns waiting for a refresh that the predecessor has begun: its lease of a token is respected, never made.

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
const POLL: Duration = Duration::from_millis(150);

/// Waits until no fresh lease of `token` is left.
pub(crate) async fn wait_for_predecessor(
    engine: &Engine,
    token: &RefreshToken,
    wait: Duration,
) -> Result<(), StoreError> {
    let path = engine.layout.refresh_lease(&token_hash(token));
    let mut waited = Duration::ZERO;
    while let Some(holder) = holder(engine.fs.as_ref(), &path, engine.now())? {
        if waited >= wait {
            return Err(StoreError::Locked { path: path.to_string(), holder, waited_secs: wait.as_secs() });
        }
        tokio::time::sleep(POLL).await;
        waited += POLL;
    }
    Ok(())
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
