//! Owns what must hold for documents that are read and written: written anew they say the same, and what nobody knows
//! survives.

use camino::Utf8Path;
use codex_auth_core::{RecordId, SavedPool};
use serde_json::{Value, json};

use super::{NOW, read};
use crate::{
    document::{Codec, v3::V3},
    json::{self, Object},
    sidecar::{Difference, Sidecar},
};

/// Keys of an accounts document that are ours to change, at the top and in a row.
const OF_POOL: [&str; 6] =
    ["version", "accounts", "activeIndex", "activeIndexByFamily", "pinnedAccountIndex", "affinityGeneration"];
const OF_ACCOUNT: [&str; 16] = [
    "recordId",
    "accountId",
    "accountIdSource",
    "email",
    "accountLabel",
    "refreshToken",
    "accessToken",
    "expiresAt",
    "enabled",
    "addedAt",
    "lastUsed",
    "rateLimitResetTimes",
    "coolingDownUntil",
    "cooldownReason",
    "authInvalidatedAt",
    "authInvalidationErrorCode",
];

/// The same of the sidecar.
const OF_SIDECAR: [&str; 2] = ["version", "accounts"];
const OF_ENTRY: [&str; 14] = [
    "spentTokenHashes",
    "importedFrom",
    "shared",
    "userId",
    "workspaceId",
    "idToken",
    "issuer",
    "generation",
    "obtainedAt",
    "refreshTokenHash",
    "alias",
    "disabledBy",
    "needsLogin",
    "refreshToken",
];

/// `openai-codex-accounts.json`.
pub(super) fn accounts(bytes: &[u8]) {
    codec(&V3, "openai-codex-accounts.json", bytes);
}

/// What must hold for any codec of a pool; a new format needs a line in the table and a call of this.
fn codec(codec: &dyn Codec, name: &str, bytes: &[u8]) {
    let path = Utf8Path::new(name);
    let parse = |bytes: &[u8]| codec.upgrade(path, json::parse_object(path, bytes, "mend it")?, NOW);
    let Some(document) = read(bytes, parse) else { return };
    let pool = codec.decode(&document, NOW);
    check_one_row_each(&pool);
    let written = codec.encode(&document, &pool, NOW);
    check_kept(&document, &written, &OF_POOL);
    check_rows_kept(&document, &written, &pool);
    let again = parse(&json::pretty(&written)).expect("what we write, we read");
    assert_eq!(again, written, "an upgraded document is of today's shape");
    assert_eq!(codec.decode(&again, NOW), pool, "written anew it says the same");
    assert_eq!(codec.encode(&again, &pool, NOW), written, "nothing changed is nothing written");
    check_changes(codec, &written, &pool);
}

/// No two accounts have one name: commands and the sidecar go by it.
fn check_one_row_each(pool: &SavedPool) {
    for (index, held) in pool.accounts.iter().enumerate() {
        assert!(!held.credential.refresh.is_blank(), "an account without a token is none");
        let twin = pool.accounts[..index].iter().find(|other| other.account.record == held.account.record);
        assert!(twin.is_none(), "two accounts are called {}", held.account.record);
    }
    for named in [&pool.active, &pool.pin].into_iter().flatten() {
        assert!(pool.find(named).is_some(), "a position leads to no account");
    }
}

/// A change to one account is read back, and every other account stays as it was.
fn check_changes(codec: &dyn Codec, document: &Object, pool: &SavedPool) {
    let mut changed = pool.clone();
    let Some(last) = changed.accounts.last_mut() else { return };
    last.account.enabled = !last.account.enabled;
    last.account.rests.clear();
    last.account.needs_login = None;
    let record = last.account.record.clone();
    changed.active = Some(record.clone());
    changed.pin = Some(record);
    assert_eq!(codec.decode(&codec.encode(document, &changed, NOW), NOW), changed, "a change is read back");
    let mut fewer = pool.clone();
    fewer.accounts.remove(0);
    (fewer.active, fewer.pin) = (fewer.accounts.first().map(|held| held.account.record.clone()), None);
    assert_eq!(codec.decode(&codec.encode(document, &fewer, NOW), NOW), fewer, "a removal takes one account");
}

/// Keys that are not ours have their values, whatever else changed.
fn check_kept(before: &Object, after: &Object, ours: &[&str]) {
    for (key, value) in before.iter().filter(|(key, _)| !ours.contains(&key.as_str())) {
        assert_eq!(after.get(key), Some(value), "the unknown key of {} bytes is gone or changed", key.len());
    }
}

/// Rows keep their unknown keys, and rows nobody can use stay whole. Rows of one grant are folded into one, which
/// leaves their order to the codec.
fn check_rows_kept(before: &Object, after: &Object, pool: &SavedPool) {
    let (before, after) = (rows(before), rows(after));
    if before.len() != after.len() {
        return;
    }
    let mut accounts = 0;
    for (old, new) in before.iter().zip(after) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) if json::text(old, "refreshToken").is_some() => {
                accounts += 1;
                check_kept(old, new, &OF_ACCOUNT);
            }
            _ => assert_eq!(old, new, "a row nobody can use stays as it is"),
        }
    }
    assert_eq!(accounts, pool.accounts.len());
}

fn rows(document: &Object) -> &[Value] {
    document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `codex-auth.json`, beside a document of two accounts.
pub(super) fn sidecar(bytes: &[u8]) {
    let path = Utf8Path::new("codex-auth.json");
    let Some(sidecar) = read(bytes, |bytes| Sidecar::parse(path, Some(bytes))) else { return };
    assert_eq!(Sidecar::parse(path, Some(&sidecar.bytes())).as_ref(), Ok(&sidecar), "what we write, we read");
    let none_kept = |_: &RecordId| None;
    let mut pool = V3.decode(&two_accounts(), NOW);
    sidecar.complete(&mut pool, Difference::WrittenSince, &none_kept);
    let written = sidecar.saying(&pool);
    let mut read = V3.decode(&two_accounts(), NOW);
    written.complete(&mut read, Difference::WrittenSince, &none_kept);
    assert_eq!(read, pool, "what was said is read");
    assert_eq!(written.saying(&read), written, "saying it again changes nothing");
    let object = |sidecar: &Sidecar| json::parse_object(path, &sidecar.bytes(), "").expect("what we write, we read");
    let (before, after) = (object(&sidecar), object(&written));
    check_kept(&before, &after, &OF_SIDECAR);
    for record in pool.accounts.iter().map(|held| held.account.record.as_str()) {
        let entry = |object: &Object| object.get("accounts")?.get(record)?.as_object().cloned();
        if let Some((old, new)) = entry(&before).zip(entry(&after)) {
            check_kept(&old, &new, &OF_ENTRY);
        }
    }
}

fn two_accounts() -> Object {
    let row = |n: u8| json!({ "recordId": format!("record:{n}"), "refreshToken": format!("refresh-{n}") });
    let document = json!({ "version": 3, "accounts": [row(1), row(2)], "activeIndex": 0, "activeIndexByFamily": {} });
    document.as_object().cloned().unwrap_or_default()
}
