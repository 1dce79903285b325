//! `capabilities.json`: hashes, limits and counts, 0600 in the agent's directory. It is read whole or not at all.

use std::time::Duration;

use codex_auth_core::{Permit, PermitTable, PermitTerms, RecordId, SecretHash, StateDir, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::leases::hex;

pub(super) const NAME: &str = "capabilities.json";
const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    version: u64,
    capabilities: Vec<Row>,
    revoked_names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Row {
    id: String,
    name: Option<String>,
    // A limit that is missing is no limit, so each must be said.
    #[serde(deserialize_with = "Option::deserialize")]
    account: Option<String>,
    models: Vec<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    requests: Option<u64>,
    used: u64,
    lasts_ms: u64,
    created_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
    secrets_sha256: Vec<String>,
}

/// The table as the directory has it; an empty one where there is no file.
pub(super) fn read(directory: &dyn StateDir) -> Result<PermitTable, StoreError> {
    let Some(bytes) = directory.read(NAME)? else { return Ok(PermitTable::default()) };
    let path = directory.path_of(NAME);
    match parse(&bytes) {
        Ok(table) => Ok(table),
        Err(Flaw::Version(found)) => Err(StoreError::UnknownVersion { path, found }),
        Err(Flaw::Broken) => {
            let why = format!("it is no list of capabilities; begin anew with `mv {path} {path}.broken`");
            Err(StoreError::Unreadable { path, why })
        }
    }
}

/// Why bytes are no table.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    Version(String),
    Broken,
}

fn parse(bytes: &[u8]) -> Result<PermitTable, Flaw> {
    let document: Value = serde_json::from_slice(bytes).map_err(|_| Flaw::Broken)?;
    let version = document.get("version").and_then(Value::as_u64).ok_or(Flaw::Broken)?;
    if version != VERSION {
        return Err(Flaw::Version(version.to_string()));
    }
    let Document { capabilities, revoked_names, .. } = serde_json::from_value(document).map_err(|_| Flaw::Broken)?;
    let rows = capabilities.into_iter().map(permit).collect::<Option<Vec<_>>>().ok_or(Flaw::Broken)?;
    Ok(PermitTable { rows, revoked_names })
}

/// A row says of an account that it is bound to one; a name that is none must not open the whole pool.
fn permit(row: Row) -> Option<Permit> {
    let account = row.account.map(|record| RecordId::parse(&record).ok_or(())).transpose().ok()?;
    let lasts = Duration::from_millis(row.lasts_ms);
    let secrets = row.secrets_sha256.iter().map(|hash| unhex(hash)).collect::<Option<Vec<_>>>()?;
    Some(Permit {
        id: row.id,
        terms: PermitTerms { name: row.name, account, models: row.models, requests: row.requests, lasts },
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        last_used_at: row.last_used_at.map(Timestamp::from_millis),
        used: row.used,
        reserved: row.used,
        secrets,
    })
}

/// The document that says this table.
pub(super) fn text(table: &PermitTable) -> String {
    let row = |permit: &Permit| Row {
        id: permit.id.clone(),
        name: permit.terms.name.clone(),
        account: permit.terms.account.as_ref().map(RecordId::to_string),
        models: permit.terms.models.clone(),
        requests: permit.terms.requests,
        used: permit.used.max(permit.reserved),
        lasts_ms: u64::try_from(permit.terms.lasts.as_millis()).unwrap_or(u64::MAX),
        created_at: permit.created_at.as_millis(),
        expires_at: permit.expires_at.as_millis(),
        last_used_at: permit.last_used_at.map(Timestamp::as_millis),
        secrets_sha256: permit.secrets.iter().map(|hash| hex(hash)).collect(),
    };
    let capabilities = table.rows.iter().map(row).collect();
    let document = Document { version: VERSION, capabilities, revoked_names: table.revoked_names.clone() };
    let text = serde_json::to_string_pretty(&document).expect("plain fields serialise");
    format!("{text}\n")
}

fn unhex(text: &str) -> Option<SecretHash> {
    let mut hash = SecretHash::default();
    if text.len() != hash.len() * 2 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PermitTable {
        let terms = PermitTerms {
            name: Some("ci".to_owned()),
            account: RecordId::parse("record:2"),
            models: vec!["gpt-5.5".to_owned()],
            requests: Some(40),
            lasts: Duration::from_hours(1),
        };
        let mut table = PermitTable { revoked_names: vec!["old".to_owned()], ..PermitTable::default() };
        table.issue(("a1", [0xab; 32]), terms, Timestamp::from_secs(1_800_000_000)).expect("made");
        table
    }

    #[test]
    fn a_table_reads_as_it_was_written() {
        assert_eq!(parse(text(&table()).as_bytes()), Ok(table()));
    }

    #[test]
    fn what_is_reserved_counts_as_used() {
        let mut table = table();
        table.reserve("a1");
        let read = parse(text(&table).as_bytes()).expect("a table");
        assert_eq!((read.rows[0].used, table.rows[0].used), (2, 0));
    }

    /// Whatever a damaged file says, it opens nothing that the whole one did not.
    #[test]
    fn damage_never_widens() {
        let whole = text(&table());
        for at in 0..whole.trim_end().len() {
            let _torn = parse(&whole.as_bytes()[..at]).expect_err("a part is no table");
            for byte in [b' ', b'0', b'"', b'}', 0xff] {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] = byte;
                let Ok(read) = parse(&bytes) else { continue };
                for row in &read.rows {
                    assert!(row.terms.account.is_some() && row.terms.requests.is_some(), "at {at}: {row:?}");
                    assert!(!row.terms.models.is_empty(), "at {at}: {row:?}");
                }
            }
        }
        assert_eq!(parse(br#"{"version":2}"#), Err(Flaw::Version("2".to_owned())));
        let no_record = whole.replace("record:2", "");
        assert_eq!(parse(no_record.as_bytes()), Err(Flaw::Broken));
        for key in ["account", "requests", "models"] {
            let line = whole.lines().find(|line| line.contains(&format!("\"{key}\""))).expect("a line for each key");
            let without =
                if key == "models" { whole.replace("\"models\"", "\"model\"") } else { whole.replace(line, "") };
            assert_eq!(parse(without.as_bytes()), Err(Flaw::Broken), "{key}");
        }
    }
}
