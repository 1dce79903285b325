//! Owns moving accounts between the pool and the file of parked accounts: pool, file and log say it as one, so that
//! an account is in exactly one place whatever stops us.

use codex_auth_core::{Credential, Held, NeedsLogin, Owner, RecordId, SavedPool, StoreError, Timestamp};
use serde_json::{Value, json};

use super::Operated;
use crate::{
    document::row,
    documents::flagged::{self, FlaggedRow},
    engine::{Engine, reading},
    file_store::FileStore,
    flagged_file::{self, held_of, is_in, look},
    freshness,
    fs::os,
    history::BESIDE,
    json::{self, Object},
    merge::{self, merge},
    oplog::{Aside, Operation},
    transaction::Step,
};

/// The reason of an account that was parked without one.
const NO_REASON: &str = "flagged";
/// Copies of rows that came back, for the day that is taken back.
const KEPT: usize = 20;
const PREFIX: &str = "parked-";
/// How often a reader tries to meet two files between two writes.
const READS: usize = 8;

/// An account that is out of the pool until somebody signs in to it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The account.
    pub record: RecordId,
    /// Whose it is.
    pub owner: Owner,
    /// Its alias, if it had one.
    pub alias: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

/// Rows that an operation puts among the parked, made of the pool before it.
pub(super) type Put<'a> = dyn Fn(&SavedPool) -> Result<Vec<FlaggedRow>, StoreError> + 'a;

impl FileStore {
    /// The parked accounts. An account that is in the pool is none of them.
    pub fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        let engine = &self.engine;
        let path = engine.layout.root().join(flagged::FLAGGED);
        let glance = || (engine.stamp(), os::glance(&path));
        let mut seen = glance();
        for tries_left in (0..READS).rev() {
            let file = look(engine)?;
            let pool = engine.read()?;
            let now = glance();
            if now != seen && tries_left > 0 {
                seen = now;
                continue;
            }
            if let Some(flaw) = file.flaw() {
                return Err(flaw.clone());
            }
            return Ok(file.parked(engine, &pool).into_iter().map(|(held, row)| parked(held, row)).collect());
        }
        Ok(Vec::new())
    }

    /// Takes an account out of the pool and parks it.
    pub fn park(&self, record: &RecordId, reason: &str) -> Result<Operated, StoreError> {
        let engine = &self.engine;
        let put = |before: &SavedPool| {
            let held = before.find(record).ok_or_else(|| StoreError::NoSuchAccount(record.clone()))?;
            Ok(vec![FlaggedRow::park(row_of(engine, held)?, reason, None, engine.now())])
        };
        let change = format!("parked an account ({reason})");
        let take_out = |pool: &mut SavedPool| {
            pool.accounts.retain(|held| held.account.record != *record);
            let is_gone = |named: &Option<RecordId>| named.as_ref() == Some(record);
            if is_gone(&pool.active) {
                pool.active = pool.accounts.first().map(|held| held.account.record.clone());
            }
            if is_gone(&pool.pin) {
                pool.pin = None;
            }
            pool.affinity_generation += 1;
        };
        self.operate_moving(Operation::new("park", &change), take_out, &[], &put)
    }

    /// Puts a parked account back into the pool: with `fresh` tokens, else as one that must be signed in again.
    pub fn bring_back(&self, record: &RecordId, fresh: Option<Credential>) -> Result<Operated, StoreError> {
        let engine = &self.engine;
        let file = look(engine)?;
        let pool = engine.read()?;
        let mut all = file.parked(engine, &pool).into_iter();
        let no_such = || StoreError::NoSuchAccount(record.clone());
        let (mut held, row) = all.find(|(held, _)| held.account.record == *record).ok_or_else(no_such)?;
        if let Some(fresh) = fresh {
            freshness::replace(&mut held, fresh);
            held.account.needs_login = None;
        } else {
            super::restoring::with_newest_tokens(engine, &mut held);
            let code = row.reason().unwrap_or(NO_REASON).to_owned();
            held.account.needs_login.get_or_insert(NeedsLogin { code, at: row.flagged_at() });
        }
        let now = engine.now();
        let put = |pool: &mut SavedPool| drop(merge(pool, vec![held], now));
        self.operate(Operation::new("bring-back", "brought a parked account back"), put)
    }

    /// The rows an operation took out of the file, as they were.
    pub(super) fn rows_taken(&self, copy: Option<&str>) -> Vec<FlaggedRow> {
        let engine = &self.engine;
        let path = copy.map(|name| engine.layout.history_dir().join(name));
        let read = path.and_then(|path| {
            let bytes = engine.fs.read(&path).ok()?;
            flagged_file::parse(engine, &path, &bytes).ok()
        });
        read.map(|(_, rows)| rows).unwrap_or_default()
    }
}

/// What becomes of the parked accounts when `before` becomes `after`: `put` goes on it, and whoever came into the pool or got
/// new tokens there goes off it. Nothing when neither is the case.
pub(super) fn steps(
    engine: &Engine,
    (before, after): (&SavedPool, &SavedPool),
    put: &[FlaggedRow],
) -> Result<Option<(Vec<Step>, Aside)>, StoreError> {
    let is_news = |held: &Held| before.find(&held.account.record).is_none_or(|old| old.credential != held.credential);
    if put.is_empty() && !after.accounts.iter().any(is_news) {
        return Ok(None);
    }
    let file = look(engine)?;
    let comes_back = |row: &FlaggedRow| {
        let held = held_of(engine, row)?;
        let place = merge::known(after, &held.account.owner, &held.credential)?;
        Some(is_news(&after.accounts[place]))
    };
    let comes_back = |row: &FlaggedRow| comes_back(row).unwrap_or(false);
    let (taken, mut rows): (Vec<FlaggedRow>, Vec<FlaggedRow>) = file.rows.iter().cloned().partition(comes_back);
    let mut parked = 0;
    for row in put {
        let Some(held) = held_of(engine, row).filter(|held| !is_in(after, held)) else { continue };
        flagged::put(&mut rows, with_newest_tokens(engine, before, row, &held));
        parked += 1;
    }
    if taken.is_empty() && parked == 0 {
        return Ok(None);
    }
    let mut steps = file.steps_to(engine, &rows)?;
    let copy = (!taken.is_empty()).then(|| copy_of(engine, &taken));
    let aside = Aside::Parked { parked, back: taken.len(), copy: copy.as_ref().map(|(name, _)| name.clone()) };
    steps.extend(copy.map(|(_, step)| step));
    Ok(Some((steps, aside)))
}

/// The step that keeps rows as they were, and the name of their file.
fn copy_of(engine: &Engine, rows: &[FlaggedRow]) -> (String, Step) {
    let dir = engine.layout.history_dir();
    let mut kept: Vec<i64> = os::names_in(&dir).unwrap_or_default().iter().filter_map(|name| made_at(name)).collect();
    kept.sort_unstable();
    let name = |at: i64| format!("{PREFIX}{at}.json");
    let at = engine.now().as_millis().max(kept.last().map_or(0, |at| at + 1));
    for old in kept.iter().take((kept.len() + 1).saturating_sub(KEPT)) {
        let _ = engine.fs.remove(&dir.join(name(*old)));
    }
    let mut document = Object::new();
    flagged::set_flagged_rows(&mut document, rows);
    (name(at), Step::replace(dir.join(name(at)), None, json::pretty(&document)))
}

fn made_at(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.strip_suffix(".json")?.parse().ok()
}

/// Tokens never go back: a row that goes among the parked again has those the account had last.
fn with_newest_tokens(engine: &Engine, before: &SavedPool, row: &FlaggedRow, held: &Held) -> FlaggedRow {
    let place = merge::known(before, &held.account.owner, &held.credential);
    let newest = place.map(|index| &before.accounts[index]);
    match newest.filter(|newest| freshness::is_newer(&newest.credential, &held.credential, engine.now())) {
        Some(newest) => {
            let held = Held { account: held.account.clone(), credential: newest.credential.clone() };
            row.clone().map(|object| row::encode(object, &held, engine.now()))
        }
        None => row.clone(),
    }
}

/// An account's row as the document has it, with what stands beside the document under a key of ours.
fn row_of(engine: &Engine, held: &Held) -> Result<Object, StoreError> {
    let reading = reading::read(engine)?;
    let one = SavedPool { accounts: vec![held.clone()], ..SavedPool::default() };
    let document = engine.codec.encode(&reading.document, &one, engine.now());
    let rows = document.get("accounts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
    let named = |row: &&Object| json::text(row, "recordId") == Some(held.account.record.as_str());
    let mut row = rows.into_iter().find(named).cloned().unwrap_or_default();
    json::set(&mut row, BESIDE, Some(json!(reading.sidecar.saying(&one).as_object())));
    Ok(row)
}

fn parked(held: Held, row: &FlaggedRow) -> Parked {
    let Held { account, .. } = held;
    let (since, reason) = (row.flagged_at(), row.reason().map(str::to_owned));
    Parked { record: account.record, owner: account.owner, alias: account.alias, since, reason }
}
