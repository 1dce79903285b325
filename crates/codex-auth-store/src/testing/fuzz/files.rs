//! Owns what must hold for files of other programs that are read row by row: what they say is bounded, and written anew
//! they say the same.

use camino::Utf8Path;
use codex_auth_core::Held;
use serde_json::Value;

use super::{NOW, read};
use crate::{
    documents::{
        flagged::{FLAGGED, flagged_rows, set_flagged_rows},
        usage_ledger::UsageRow,
    },
    import,
    json::{self, Object},
    official::accounts_json as logins,
    opencode::{OPENCODE_ACCOUNTS, migrate, normalise},
};

fn object(name: &str, bytes: &[u8]) -> Option<Object> {
    read(bytes, |bytes| json::parse_object(Utf8Path::new(name), bytes, "mend it"))
}

/// The parked accounts.
pub(super) fn flagged(bytes: &[u8]) {
    let Some(told) = object(FLAGGED, bytes) else { return };
    let Some(rows) = flagged_rows(&told, NOW) else { return };
    for (index, row) in rows.iter().enumerate() {
        let token = row.refresh_token();
        assert!(!token.is_blank(), "a row without a token is none");
        assert!(rows[..index].iter().all(|other| other.refresh_token() != token), "two rows of one token");
    }
    let mut written = told.clone();
    set_flagged_rows(&mut written, &rows);
    let again =
        json::parse_object(Utf8Path::new(FLAGGED), &json::pretty(&written), "").expect("what we write, we read");
    // A list without one usable row is no such document, unless it is empty.
    assert_eq!(flagged_rows(&again, NOW), Some(rows), "written anew it says the same");
    for (key, value) in told.iter().filter(|(key, _)| !["version", "accounts"].contains(&key.as_str())) {
        assert_eq!(again.get(key), Some(value), "an unknown key is gone or changed");
    }
}

/// Every way into the plugin's document.
pub(super) fn opencode_document(bytes: &[u8]) {
    let Some(document) = object(OPENCODE_ACCOUNTS, bytes) else { return };
    let migrated = migrate::migrate(&document);
    assert_eq!(migrate::migrate(&migrated), migrated, "today's shape stays");
    for (key, value) in document.iter().filter(|(key, _)| migrated.contains_key(*key) && key.as_str() != "openai") {
        assert_eq!(migrated.get(key), Some(value), "an unknown key is changed");
    }
    let _ = (migrate::has_usable_oauth(&document), migrate::legacy_accounts(&document));
    for name in [OPENCODE_ACCOUNTS, "auth.json"] {
        let kept = migrate::sanitise(name, &document);
        assert_eq!(migrate::sanitise(name, &kept), kept, "what is kept once is kept");
    }
    if let Some(openai) = document.get("openai").and_then(Value::as_object) {
        let normal = normalise::normalise(openai);
        assert_eq!(normalise::normalise(&normal), normal, "normalising twice changes nothing");
    }
}

/// One line of the ledger.
pub(super) fn usage_row(bytes: &[u8]) {
    let Some(row) = UsageRow::parse(bytes) else { return };
    let line = line_of(&row);
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1), "one row is one line");
    let again = UsageRow::parse(&line).expect("what we write, we read");
    assert_eq!(UsageRow::parse(&line_of(&again)), Some(again), "written anew it says the same");
}

fn line_of(row: &UsageRow) -> Vec<u8> {
    let mut line = Vec::new();
    row.put(&mut line);
    line
}

/// The official client's list of logins.
pub(super) fn accounts_json(bytes: &[u8]) {
    let Some(document) = object("accounts.json", bytes) else { return };
    let _ = logins::is_such(&document);
    for login in logins::logins_of(&document) {
        assert!(!login.credential.refresh.is_blank(), "a login without a token is none");
    }
}

/// Any file a person may name.
pub(super) fn imported(bytes: &[u8]) {
    let path = Utf8Path::new("file.json");
    let Some(imported) = read(bytes, |bytes| import::from_bytes(path, bytes, NOW)) else { return };
    let of_the_file = |held: &Held| held.account.provenance.as_ref().is_some_and(|from| from.path == path.as_str());
    assert!(imported.accounts.iter().all(of_the_file), "every account says where it came from");
    assert!(imported.accounts.iter().all(|held| !held.credential.refresh.is_blank()), "an account has a token");
}
