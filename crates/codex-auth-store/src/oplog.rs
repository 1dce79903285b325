//! Owns the log of changes a person made: one line each, durable together with the change, with secrets as the first
//! digits of their hash. What a line needs of secrets to be undone stands in a copy that it names.

use std::collections::BTreeSet;

use codex_auth_core::{RecordId, SavedPool, StoreError, Timestamp};
use serde_json::{Value, json};

use crate::{
    engine::Engine,
    fs::read_optional,
    json::{self, Object},
    transaction::{self, Step},
};

mod aside;
pub(crate) mod facts;

pub use aside::Aside;
use facts::Facts;

/// Operations whose copies are kept whatever their age.
const REFERRED: usize = 20;

/// Which change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The command, such as `switch`.
    pub command: &'a str,
    /// What it does, in a few words.
    pub change: &'a str,
    /// The number of the operation it takes back.
    pub undoes: Option<u64>,
    /// What it changes besides the pool.
    pub aside: Option<&'a Aside>,
}

impl<'a> Operation<'a> {
    /// The operation of a command.
    pub fn new(command: &'a str, change: &'a str) -> Self {
        Self { command, change, undoes: None, aside: None }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Counted from one.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// The command.
    pub command: String,
    /// What it did, in a few words.
    pub change: String,
    /// The operation it took back.
    pub undoes: Option<u64>,
    /// Name of the copy made before it, if one was.
    pub copy: Option<String>,
    /// What it changed besides the pool.
    pub aside: Option<Aside>,
    pub(crate) before: Side,
    pub(crate) after: Side,
}

/// What the pool said on one side of a change, as far as the change touched it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) accounts: Vec<Facts>,
    pub(crate) active: Option<RecordId>,
    pub(crate) pin: Option<RecordId>,
}

/// All lines that can be read, oldest first.
pub(crate) fn read(engine: &Engine) -> Result<Vec<Logged>, StoreError> {
    let fs = engine.fs.as_ref();
    // A change that counts already has its line, though the next writer may still have to append it.
    let steps = transaction::pending(fs, &engine.layout.change_journal())?;
    let bytes = transaction::read_over(fs, &engine.layout.oplog(), &steps)?.unwrap_or_default();
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// The copies that the last operations refer to.
pub(crate) fn copies_referred(engine: &Engine) -> BTreeSet<String> {
    let all = read(engine).unwrap_or_default();
    all.into_iter().rev().take(REFERRED).filter_map(|logged| logged.copy).collect()
}

/// The step that notes a change; none when nothing a person would see has changed.
pub(crate) fn step(
    engine: &Engine,
    operation: Operation<'_>,
    (before, after): (&SavedPool, &SavedPool),
    copy: Option<&str>,
) -> Result<Option<Step>, StoreError> {
    if before == after && operation.aside.is_none() && operation.undoes.is_none() {
        return Ok(None);
    }
    let path = engine.layout.oplog();
    let bytes = read_optional(engine.fs.as_ref(), &path)?.unwrap_or_default();
    // A line that a crash tore is ended first, so that it spoils no other.
    let is_torn = bytes.last().is_some_and(|last| *last != b'\n');
    let last = bytes.split(|byte| *byte == b'\n').filter_map(parse).map(|logged| logged.number).max();
    let line = json!({
        "number": last.unwrap_or(0) + 1, "at": engine.now().as_millis(),
        "command": operation.command, "change": operation.change, "undoes": operation.undoes, "copy": copy,
        "aside": operation.aside.map(Aside::to_json),
        "before": side(before, after), "after": side(after, before),
    });
    let text = format!("{}{line}\n", if is_torn { "\n" } else { "" });
    Ok(Some(Step::append(path, bytes.len() as u64, text.into_bytes())))
}

fn side(mine: &SavedPool, theirs: &SavedPool) -> Value {
    let changed = mine.accounts.iter().enumerate();
    let changed = changed.filter(|(_, held)| theirs.find(&held.account.record) != Some(*held));
    let accounts: Vec<Value> = changed.map(|(place, held)| Facts::of(held, place).to_json()).collect();
    json!({
        "accounts": accounts, "count": mine.accounts.len(),
        "active": mine.active.as_ref().map(RecordId::as_str), "pin": mine.pin.as_ref().map(RecordId::as_str),
    })
}

/// One line; `None` for a torn one, and for one of another kind.
pub(crate) fn parse(line: &[u8]) -> Option<Logged> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let line = line.as_object()?;
    let number = |key: &str| line.get(key).and_then(json::integer).and_then(|number| u64::try_from(number).ok());
    let text = |key: &str| json::text(line, key).map(str::to_owned);
    Some(Logged {
        number: number("number")?,
        at: json::millis(line, "at")?,
        command: text("command")?,
        change: text("change").unwrap_or_default(),
        undoes: number("undoes"),
        copy: text("copy"),
        aside: line.get("aside").and_then(Value::as_object).and_then(Aside::of_json),
        before: side_of(line.get("before")?.as_object()?),
        after: side_of(line.get("after")?.as_object()?),
    })
}

fn side_of(side: &Object) -> Side {
    let record = |key: &str| json::text(side, key).and_then(RecordId::parse);
    let accounts = side.get("accounts").and_then(Value::as_array).into_iter().flatten();
    Side {
        accounts: accounts.filter_map(Value::as_object).filter_map(Facts::of_json).collect(),
        active: record("active"),
        pin: record("pin"),
    }
}
