//! The log of changes a person made: one line each, durable, with secrets as the first digits of their hash.

use std::sync::Arc;

use camino::Utf8PathBuf;
use codex_auth_core::{AccessToken, Held, SavedPool, StoreError, Timestamp, UserId, WorkspaceId};
use serde_json::{Value, json};

use crate::{
    fs::{Fs, Write, io_error, os::OsFs, parent_of},
    hash::sha256_hex,
};

/// Digits of a hash that stand for a secret.
const DIGITS: usize = 12;

/// Appends to `oplog/ops.jsonl`.
#[derive(Debug, Clone)]
pub struct OpLog {
    path: Utf8PathBuf,
    fs: Arc<dyn Fs>,
}

/// Which change was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation<'a> {
    /// When.
    pub at: Timestamp,
    /// The command, such as `switch`.
    pub command: &'a str,
    /// What it did, in one sentence.
    pub change: &'a str,
}

impl OpLog {
    /// The log at `path`.
    pub fn new(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into(), fs: Arc::new(OsFs) }
    }

    /// Notes a change; says nothing when `before` and `after` are equal.
    pub fn append(&self, operation: Operation<'_>, before: &SavedPool, after: &SavedPool) -> Result<(), StoreError> {
        if before == after {
            return Ok(());
        }
        let dir = parent_of(&self.path);
        self.fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
        // A line that a crash tore is ended first, so that it spoils no other.
        let torn = self.fs.read(&self.path).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
        let line = format!("{}{}\n", if torn { "\n" } else { "" }, line(operation, before, after));
        let appended = self.fs.write(&self.path, line.as_bytes(), Write::Append);
        appended.map_err(|error| io_error("append to", &self.path, &error))
    }
}

fn line(operation: Operation<'_>, before: &SavedPool, after: &SavedPool) -> Value {
    let changed = |mine: &SavedPool, theirs: &SavedPool| {
        let differs = |held: &&Held| theirs.find(&held.account.record) != Some(*held);
        mine.accounts.iter().filter(differs).map(facts).collect::<Vec<_>>()
    };
    let side = |mine: &SavedPool, theirs: &SavedPool| {
        json!({
            "accounts": changed(mine, theirs),
            "active": mine.active.as_ref().map(ToString::to_string),
            "pin": mine.pin.as_ref().map(ToString::to_string),
            "count": mine.accounts.len(),
        })
    };
    let all = after.accounts.iter().chain(&before.accounts);
    let mut records: Vec<String> = all
        .filter(|held| before.find(&held.account.record) != after.find(&held.account.record))
        .map(|held| held.account.record.to_string())
        .collect();
    records.sort();
    records.dedup();
    json!({
        "at": operation.at.as_millis(), "command": operation.command, "change": operation.change,
        "records": records, "before": side(before, after), "after": side(after, before),
    })
}

fn facts(held: &Held) -> Value {
    let Held { account, credential } = held;
    let digits = |secret: &str| sha256_hex(secret)[..DIGITS].to_owned();
    json!({
        "record": account.record.as_str(), "email": account.owner.email,
        "userId": account.owner.user.as_ref().map(UserId::as_str),
        "workspaceId": account.owner.workspace.as_ref().map(WorkspaceId::as_str),
        "alias": account.alias, "label": account.label, "enabled": account.enabled,
        "needsLogin": account.needs_login.as_ref().map(|needs| &needs.code),
        "generation": credential.generation,
        "refreshToken": digits(credential.refresh.expose()),
        "accessToken": credential.access.as_ref().map(AccessToken::expose).map(digits),
    })
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::pool;

    use super::*;

    const OPERATION: Operation<'_> =
        Operation { at: Timestamp::from_millis(7), command: "switch", change: "selected account 2" };

    fn log() -> (tempfile::TempDir, OpLog) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("oplog/ops.jsonl")).expect("text");
        (dir, OpLog::new(path))
    }

    #[test]
    fn a_change_is_one_line_without_secrets() {
        let (_dir, log) = log();
        let (before, mut after) = (pool(2), pool(2));
        after.accounts[1].account.alias = Some("work".into());
        after.active = Some(after.accounts[1].account.record.clone());
        log.append(OPERATION, &before, &after).expect("appended");
        log.append(OPERATION, &after, &after).expect("nothing to say");
        let text = String::from_utf8(OsFs.read(&log.path).expect("there")).expect("text");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains("refresh-2") && !text.contains("access-2"), "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["records"], json!(["record:2"]));
        assert_eq!(line["after"]["accounts"][0]["alias"], json!("work"));
        assert_eq!(line["before"]["active"], json!("record:1"));
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let (_dir, log) = log();
        OsFs.make_dir(&parent_of(&log.path)).expect("made");
        OsFs.write(&log.path, b"{\"at\":1,\"comm", Write::New).expect("written");
        log.append(OPERATION, &pool(1), &pool(2)).expect("appended");
        let text = String::from_utf8(OsFs.read(&log.path).expect("there")).expect("text");
        assert!(serde_json::from_str::<Value>(text.lines().nth(1).expect("a second line")).is_ok());
    }
}
