//! Owns the refresh journal: which token is about to be spent, and the answer it bought until the pool has it.
//!
//! One file per account: a line that says the intent, then room for the answer. The room is written out when the
//! intent is, so that the answer fits in place even when the disk is full by then. The answer carries its own hash,
//! because a torn write may leave holes that still parse.

use std::io;

use camino::Utf8Path;
use codex_auth_core::{
    AccessToken, Credential, Held, IdToken, RecordId, RefreshToken, SavedPool, StoreError, Timestamp,
};
use serde_json::{Value, json};

use crate::{
    engine::{Engine, reading},
    freshness,
    fs::{
        Fs, Write, io_error,
        lock::{self, Signature},
        os, parent_of, read_optional, remove_durably, replace_atomically,
    },
    hash::{sha256_hex, token_hash},
    json::{self, Object},
    sidecar::Kept,
    spare,
};

/// Bytes kept for the answer: three tokens are 6 to 8 KiB, claims of large workspaces a few more.
const RESERVE: usize = 16 * 1024;

/// One account's journal, as far as it can be read.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Whose token.
    pub(crate) record: RecordId,
    /// Hash of the token that was to be spent.
    pub(crate) token_hash: String,
    /// What it bought, once that is durable.
    pub(crate) answer: Option<Credential>,
    /// Where the room for the answer begins.
    pub(crate) room_at: u64,
}

/// Notes durably that the token with this hash is about to be presented.
pub(crate) fn intend(
    engine: &Engine,
    record: &RecordId,
    token_hash: String,
    now: Timestamp,
) -> Result<Entry, StoreError> {
    let intent = json!({
        "version": 1, "record": record.as_str(), "tokenHash": token_hash,
        "pid": std::process::id(), "at": now.as_millis(),
    });
    let mut bytes = format!("{intent}\n").into_bytes();
    let room_at = bytes.len() as u64;
    bytes.resize(bytes.len() + RESERVE, b' ');
    replace_atomically(engine.fs.as_ref(), &engine.layout.refresh_journal(record), &bytes)?;
    Ok(Entry { record: record.clone(), token_hash, answer: None, room_at })
}

/// Writes the answer into its room.
pub(crate) fn answer(engine: &Engine, entry: &Entry, fresh: &Credential) -> Result<(), StoreError> {
    let path = engine.layout.refresh_journal(&entry.record);
    let written = engine.fs.write(&path, answer_line(fresh).as_bytes(), Write::At(entry.room_at));
    written.map_err(|error| io_error("write", &path, &error))
}

/// The journal of one account; `None` when there is none that can be read.
pub(crate) fn read(engine: &Engine, record: &RecordId) -> Result<Option<Entry>, StoreError> {
    read_entry(engine.fs.as_ref(), &engine.layout.refresh_journal(record))
}

/// Wipes and removes an account's journal. A file half wiped by a crash reads as none.
pub(crate) fn forget(engine: &Engine, record: &RecordId) -> Result<(), StoreError> {
    let (fs, path) = (engine.fs.as_ref(), engine.layout.refresh_journal(record));
    let Some(bytes) = read_optional(fs, &path)? else { return Ok(()) };
    // Overwriting is best effort (some file systems write elsewhere); removing is what counts.
    let _ = fs.write(&path, &vec![0; bytes.len()], Write::At(0));
    remove_durably(fs, &path)
}

/// Keeps an answer that the pool has now: the day a foreign program writes an older pool back, it is the only place
/// with the newest token.
pub(crate) fn keep(engine: &Engine, record: &RecordId) -> Result<(), StoreError> {
    let (fs, path) = (engine.fs.as_ref(), engine.layout.refresh_journal(record));
    let kept = engine.layout.kept_credential(record);
    let dir = parent_of(&kept);
    let moved = fs.make_dir(&dir).and_then(|()| fs.rename(&path, &kept));
    match moved {
        Ok(()) => fs.sync_dir(&parent_of(&path)).map_err(|error| io_error("sync", &path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Then it is forgotten, as it would be without a second place for it.
        Err(_) => forget(engine, record),
    }
}

/// The newest credential of an account, where an answer was kept.
pub(crate) fn kept(engine: &Engine, record: &RecordId) -> Option<Kept> {
    let entry = read_entry(engine.fs.as_ref(), &engine.layout.kept_credential(record)).ok()??;
    let newest = entry.answer.filter(|_| entry.record == *record)?;
    Some(Kept { newest, spent: entry.token_hash })
}

/// Puts answers that the pool does not have yet into it.
pub(crate) fn replay(engine: &Engine, pool: &mut SavedPool) -> Result<(), StoreError> {
    replay_all(&entries(engine)?, pool);
    Ok(())
}

/// The same for entries that were read already.
pub(crate) fn replay_all(entries: &[Entry], pool: &mut SavedPool) {
    for entry in entries {
        // An account that was folded into another since is found by the token that was spent.
        let by_token = |pool: &SavedPool| {
            let spent = |held: &Held| token_hash(&held.credential.refresh) == entry.token_hash;
            pool.accounts.iter().find(|held| spent(held)).map(|held| held.account.record.clone())
        };
        let is_there = pool.find(&entry.record).is_some();
        let record = if is_there || entry.answer.is_none() { Some(entry.record.clone()) } else { by_token(pool) };
        if let Some(held) = record.and_then(|record| pool.find_mut(&record)) {
            replay_one(entry, held);
        }
    }
}

/// Puts an answer into its account, if that does not have it yet.
pub(crate) fn replay_one(entry: &Entry, held: &mut Held) {
    let Some(fresh) = &entry.answer else { return };
    if held.credential.refresh == fresh.refresh && held.credential.access == fresh.access {
        return;
    }
    if spare::gives_way(held, &entry.token_hash) {
        freshness::replace(held, fresh.clone());
    }
}

/// Forgets journals that `pool`, as written, has outgrown. Those somebody still works on are left alone; so is every
/// trouble, because the next edit comes here again.
pub(crate) fn sweep(engine: &Engine, pool: &SavedPool) {
    for entry in entries(engine).unwrap_or_default() {
        let held = pool.find(&entry.record);
        let is_done = match (&entry.answer, held) {
            (Some(_), Some(_)) => true,
            (None, None) => !reading::has_neighbour_named(engine, &entry.record),
            // An answer without its account may be all that is left of it; an intent is kept until it is resolved.
            (Some(_), None) | (None, Some(_)) => false,
        };
        let identity = held.and_then(|held| held.account.owner.identity());
        let lock_path = engine.layout.refresh_lock(identity.as_ref(), &entry.record);
        if is_done && let Ok(Some(_lock)) = lock::try_lock(&lock_path, Signature::Pid) {
            let _ = match &entry.answer {
                Some(fresh) => spare::settle(engine, pool, &entry.record, (&entry.token_hash, fresh)),
                None => forget(engine, &entry.record),
            };
        }
    }
}

pub(crate) fn entries(engine: &Engine) -> Result<Vec<Entry>, StoreError> {
    let dir = engine.layout.journal_dir();
    let names = os::names_in(&dir).map_err(|error| io_error("list", &dir, &error))?;
    let is_ours = |name: &&String| name.strip_suffix(".json").is_some_and(|name| name.starts_with("refresh-"));
    names
        .iter()
        .filter(is_ours)
        .filter_map(|name| read_entry(engine.fs.as_ref(), &dir.join(name)).transpose())
        .collect()
}

fn read_entry(fs: &dyn Fs, path: &Utf8Path) -> Result<Option<Entry>, StoreError> {
    Ok(read_optional(fs, path)?.and_then(|bytes| parse(&bytes)))
}

pub(crate) fn parse(bytes: &[u8]) -> Option<Entry> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (intent, room) = (bytes.get(..end)?, bytes.get(end + 1..)?);
    let intent: Value = serde_json::from_slice(intent).ok()?;
    let intent = intent.as_object()?;
    Some(Entry {
        record: RecordId::parse(json::text(intent, "record")?)?,
        token_hash: json::text(intent, "tokenHash")?.to_owned(),
        answer: parse_answer(room),
        room_at: end as u64 + 1,
    })
}

fn parse_answer(room: &[u8]) -> Option<Credential> {
    let line = room.split(|byte| *byte == b'\n').next()?;
    let (hash, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if hash != sha256_hex(text) {
        return None;
    }
    let answer: Value = serde_json::from_str(text).ok()?;
    credential_of(answer.as_object()?)
}

/// An answer as it stands in its room: its hash, then what it says.
pub(crate) fn answer_line(fresh: &Credential) -> String {
    let text = credential_json(fresh).to_string();
    format!("{} {text}\n", sha256_hex(&text))
}

fn credential_json(credential: &Credential) -> Value {
    let Credential { access, refresh, id, expires_at, obtained_at, generation } = credential;
    json!({
        "accessToken": access.as_ref().map(AccessToken::expose), "refreshToken": refresh.expose(),
        "idToken": id.as_ref().map(IdToken::expose), "expiresAt": expires_at.map(Timestamp::as_millis),
        "obtainedAt": obtained_at.map(Timestamp::as_millis), "generation": generation,
    })
}

fn credential_of(answer: &Object) -> Option<Credential> {
    Some(Credential {
        access: json::text(answer, "accessToken").map(AccessToken::new),
        refresh: RefreshToken::new(json::text(answer, "refreshToken")?),
        id: json::text(answer, "idToken").map(IdToken::new),
        expires_at: json::millis(answer, "expiresAt"),
        obtained_at: json::millis(answer, "obtainedAt"),
        generation: answer.get("generation").and_then(json::integer).and_then(|count| u64::try_from(count).ok())?,
    })
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::held;

    use super::*;

    fn written(fresh: &Credential) -> Vec<u8> {
        let mut bytes = b"{\"record\":\"r\",\"tokenHash\":\"h\"}\n".to_vec();
        bytes.extend_from_slice(answer_line(fresh).as_bytes());
        bytes.resize(bytes.len() + 100, b' ');
        bytes
    }

    #[test]
    fn an_answer_reads_as_it_was_written() {
        let fresh = held(1).credential;
        assert_eq!(parse(&written(&fresh)).and_then(|entry| entry.answer), Some(fresh));
    }

    #[test]
    fn a_torn_answer_is_none_but_the_intent_stays() {
        let whole = written(&held(1).credential);
        for cut in 31..whole.len() - 102 {
            let mut torn = whole.clone();
            torn[cut..].fill(b' ');
            let entry = parse(&torn).expect("the intent");
            assert_eq!(entry.answer, None, "cut at {cut}");
        }
    }

    #[test]
    fn a_hole_in_an_answer_is_noticed() {
        let mut torn = written(&held(1).credential);
        let inside = torn.windows(8).position(|text| text == b"access-1").expect("the token");
        torn[inside..inside + 4].fill(b' ');
        assert_eq!(parse(&torn).expect("the intent").answer, None);
    }

    #[test]
    fn a_wiped_file_is_none() {
        assert!(parse(&[0; 64]).is_none());
    }
}
