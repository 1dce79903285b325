//! The ledger over files: one line per event, in one of 256 files by hash of the event's key, so that a key is looked
//! for in a small part of what was ever written.

use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    StoreError, Timestamp,
    capability::{Appended, CapabilityError, UsageEntry},
};
use serde_json::{Value, json};

use super::FileEngine;
use crate::{
    fs::{
        Write, io_error,
        lock::{self, Signature},
        os, parent_of, read_optional,
    },
    hash::sha256_hex,
    json,
};

impl FileEngine {
    pub(super) fn append_event(&self, event: &UsageEntry) -> Result<Appended, CapabilityError> {
        let dir = self.shelf.path("ledger");
        let path = dir.join(format!("{}.jsonl", &sha256_hex(&event.key)[..2]));
        let fs = self.shelf.fs.as_ref();
        let _lock = lock::lock(&self.shelf.path("ledger.lock"), Signature::Pid, self.shelf.wait)?;
        let bytes = read_optional(fs, &path)?.unwrap_or_default();
        match events(&bytes).find(|known| known.key == event.key) {
            Some(known) if known == *event => return Ok(Appended::Known),
            Some(_) => return Err(CapabilityError::Reused { what: format!("event {}", event.key) }),
            None => {}
        }
        fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
        // A line that a crash tore is ended first, so that it spoils no other.
        let is_torn = bytes.last().is_some_and(|last| *last != b'\n');
        let line = format!("{}{}\n", if is_torn { "\n" } else { "" }, line(event));
        fs.write(&path, line.as_bytes(), Write::Append).map_err(|error| io_error("append to", &path, &error))?;
        if bytes.is_empty() {
            let dir = parent_of(&path);
            fs.sync_dir(&dir).map_err(|error| io_error("sync", &dir, &error))?;
        }
        Ok(Appended::New)
    }

    pub(super) fn events_in(&self, span: &Range<Timestamp>) -> Result<Vec<UsageEntry>, CapabilityError> {
        let dir = self.shelf.path("ledger");
        let mut found = Vec::new();
        for path in ledger_files(&dir)? {
            let bytes = read_optional(self.shelf.fs.as_ref(), &path)?.unwrap_or_default();
            found.extend(events(&bytes).filter(|event| span.contains(&event.at)));
        }
        found.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        Ok(found)
    }
}

fn ledger_files(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let names = os::names_in(dir).map_err(|error| io_error("list", dir, &error))?;
    Ok(names
        .iter()
        .filter(|name| Utf8Path::new(name).extension() == Some("jsonl"))
        .map(|name| dir.join(name))
        .collect())
}

/// The events of a file. A line that a crash tore was never acknowledged; it is none.
fn events(bytes: &[u8]) -> impl Iterator<Item = UsageEntry> {
    bytes.split(|byte| *byte == b'\n').filter_map(parse)
}

fn line(event: &UsageEntry) -> Value {
    let UsageEntry { key, at, subject, amount } = event;
    json!({ "key": key, "at": at.as_millis(), "subject": subject, "amount": amount })
}

fn parse(line: &[u8]) -> Option<UsageEntry> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let line = line.as_object()?;
    Some(UsageEntry {
        key: line.get("key")?.as_str()?.to_owned(),
        at: json::millis(line, "at")?,
        subject: line.get("subject")?.as_str()?.to_owned(),
        amount: line.get("amount")?.as_u64()?,
    })
}
