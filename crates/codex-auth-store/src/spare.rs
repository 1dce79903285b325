//! Owns spares: what a renewal bought although the account had another token by the time the answer came.
//!
//! The token that was written meanwhile counts. The spare stays aside until it is proven stale: it takes the account's
//! place when the token there is refused, and goes when it is known as spent.

use camino::Utf8PathBuf;
use codex_auth_core::{Credential, Held, RecordId, SavedPool, StoreError};
use serde_json::json;

use crate::{
    engine::Engine,
    fs::{Write, io_error, os, read_optional, remove_durably, replace_atomically},
    hash::token_hash,
    journal,
};

/// One that lies aside.
pub(crate) struct Spare {
    /// What was bought.
    pub(crate) credential: Credential,
    /// Hash of the token it was bought with.
    pub(crate) spent: String,
    path: Utf8PathBuf,
}

/// Whether an account gives its place to what was bought with the token of this hash: it has that token still, or one
/// that is dead. A token somebody wrote meanwhile stays.
pub(crate) fn gives_way(held: &Held, spent: &str) -> bool {
    held.account.needs_login.is_some() || token_hash(&held.credential.refresh) == spent
}

/// Ends the journal of an answer: kept as the newest of the account that has it now in `pool`, as written, else aside.
pub(crate) fn settle(
    engine: &Engine,
    pool: &SavedPool,
    record: &RecordId,
    (spent, fresh): (&str, &Credential),
) -> Result<(), StoreError> {
    let counts = pool.find(record).is_none_or(|held| held.credential.same_grant(fresh));
    if counts || is_spent(engine, fresh) {
        return journal::keep(engine, record);
    }
    let intent = json!({ "version": 1, "record": record.as_str(), "tokenHash": spent });
    let bytes = format!("{intent}\n{}", journal::answer_line(fresh)).into_bytes();
    replace_atomically(engine.fs.as_ref(), &engine.layout.spare_credential(record, spent), &bytes)?;
    journal::forget(engine, record)
}

/// The spares of an account that are not proven stale.
pub(crate) fn of(engine: &Engine, record: &RecordId) -> Result<Vec<Spare>, StoreError> {
    let all = all_of(engine, record)?.into_iter();
    Ok(all.filter(|spare| !is_spent(engine, &spare.credential)).collect())
}

/// Wipes the spares that are proven stale, or are the account's credential in `pool`, as written. What goes wrong is
/// tried again with the next refusal.
pub(crate) fn sweep(engine: &Engine, pool: &SavedPool, record: &RecordId) {
    let held = pool.find(record);
    for spare in all_of(engine, record).unwrap_or_default() {
        let is_in_place = held.is_some_and(|held| held.credential.same_grant(&spare.credential));
        if is_in_place || is_spent(engine, &spare.credential) {
            let _ = wipe(engine, &spare.path);
        }
    }
}

fn all_of(engine: &Engine, record: &RecordId) -> Result<Vec<Spare>, StoreError> {
    let (dir, prefix) = engine.layout.spare_credentials(record);
    let names = os::names_in(&dir).map_err(|error| io_error("list", &dir, &error))?;
    let mut spares = Vec::new();
    for path in names.iter().filter(|name| name.starts_with(&prefix)).map(|name| dir.join(name)) {
        let entry = read_optional(engine.fs.as_ref(), &path)?.and_then(|bytes| journal::parse(&bytes));
        let Some(entry) = entry.filter(|entry| entry.record == *record) else { continue };
        if let Some(credential) = entry.answer {
            spares.push(Spare { credential, spent: entry.token_hash, path });
        }
    }
    Ok(spares)
}

/// Where nobody can tell, it is not.
fn is_spent(engine: &Engine, credential: &Credential) -> bool {
    engine.spender_of(&token_hash(&credential.refresh)).is_ok_and(|spender| spender.is_some())
}

fn wipe(engine: &Engine, path: &Utf8PathBuf) -> Result<(), StoreError> {
    let fs = engine.fs.as_ref();
    let Some(bytes) = read_optional(fs, path)? else { return Ok(()) };
    // Overwriting is best effort, as for the journal; removing is what counts.
    let _ = fs.write(path, &vec![0; bytes.len()], Write::At(0));
    remove_durably(fs, path)
}
