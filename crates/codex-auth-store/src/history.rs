//! Owns the copies of a pool at earlier times: when one is made, which are kept, and how they are read.
//!
//! A copy is the document as it was, and in it, under a key of ours, what stood beside it. One is made before the
//! accounts themselves change, and else at most once an hour; routine writes push out nothing. The predecessor's
//! `.bak` files follow at the same moments, so that it, too, can go back.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{SavedPool, StoreError};
use serde_json::Value;

use crate::{
    engine::{Engine, reading::Reading},
    fs::{io_error, os, replace_atomically},
    json, oplog,
    recovery::{Origin, copies::predecessors_slots},
};

/// Under which key a copy carries what stood beside the document.
pub(crate) const BESIDE: &str = "codexAuth";

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const PREFIX: &str = "accounts-";
const SUFFIX: &str = ".json";
/// The newest copies, whatever their age.
const LAST: usize = 3;
/// For so long one of each hour is kept, and one of each day.
const HOURLY_FOR: i64 = DAY;
const DAILY_FOR: i64 = 30 * DAY;

/// A copy that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// When it was made, in milliseconds.
    pub(crate) at: i64,
    pub(crate) path: Utf8PathBuf,
}

/// All copies, oldest first.
pub(crate) fn all(engine: &Engine) -> Vec<Kept> {
    let dir = engine.layout.history_dir();
    let paths = os::names_in(&dir).unwrap_or_default().into_iter().map(|name| dir.join(name));
    let mut kept: Vec<Kept> = paths.filter_map(|path| Some(Kept { at: made_at(&path)?, path })).collect();
    kept.sort_by_key(|kept| kept.at);
    kept
}

/// When a copy of ours was made, in milliseconds.
pub(crate) fn made_at(path: &Utf8Path) -> Option<i64> {
    path.file_name()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// Makes a copy of what `reading` found, if `before` becoming `after` asks for one. Returns its name.
///
/// A copy that cannot be made stops a change only when accounts would go and could not come back.
pub(crate) fn keep(
    engine: &Engine,
    reading: &Reading,
    before: &SavedPool,
    after: &SavedPool,
) -> Result<Option<String>, StoreError> {
    let bytes = reading.bytes.as_deref().filter(|_| reading.origin == Origin::File && engine.makes_copies);
    let Some(bytes) = bytes else { return Ok(None) };
    let kept = all(engine);
    let now = engine.now().as_millis();
    let newest = kept.last().map(|kept| kept.at);
    let (had, has) = (records(before), records(after));
    if !is_due(newest, now, had != has) {
        return Ok(None);
    }
    let name = format!("{PREFIX}{}{SUFFIX}", now.max(newest.map_or(0, |at| at + 1)));
    if let Err(error) = write(engine, reading, &name) {
        return if had.is_subset(&has) { Ok(None) } else { Err(error) };
    }
    if engine.layout.has_predecessors_marks() {
        let _ = follow_predecessor(engine, bytes);
    }
    let referred = oplog::copies_referred(engine);
    let times: Vec<i64> = kept.iter().map(|kept| kept.at).collect();
    for at in expired(&times, now) {
        let old = format!("{PREFIX}{at}{SUFFIX}");
        if !referred.contains(&old) {
            let _ = engine.fs.remove(&engine.layout.history_dir().join(old));
        }
    }
    Ok(Some(name))
}

fn write(engine: &Engine, reading: &Reading, name: &str) -> Result<(), StoreError> {
    let mut copy = reading.document.clone();
    copy.insert(BESIDE.to_owned(), Value::Object(reading.sidecar.as_object().clone()));
    replace_atomically(engine.fs.as_ref(), &engine.layout.history_dir().join(name), &json::pretty(&copy))
}

/// `.bak.1` becomes `.bak.2`, `.bak` becomes `.bak.1`, and `.bak` says what the document says: bytes that were read
/// as a document, never broken ones.
fn follow_predecessor(engine: &Engine, bytes: &[u8]) -> Result<(), StoreError> {
    let [first, second, third] = predecessors_slots(&engine.layout.accounts());
    for (from, to) in [(&second, &third), (&first, &second)] {
        match engine.fs.rename(from, to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("rename", from, &error)),
        }
    }
    replace_atomically(engine.fs.as_ref(), &first, bytes)
}

fn records(pool: &SavedPool) -> BTreeSet<&str> {
    pool.accounts.iter().map(|held| held.account.record.as_str()).collect()
}

/// Whether a copy is to be made now.
fn is_due(newest: Option<i64>, now: i64, accounts_change: bool) -> bool {
    accounts_change || newest.is_none_or(|at| now - at >= HOUR || now < at)
}

/// Which copies, oldest first, are no longer kept: beyond the last three, one of each hour for a day and one of each
/// day for a month stay.
fn expired(times: &[i64], now: i64) -> Vec<i64> {
    let mut spans = BTreeSet::new();
    let mut gone: Vec<i64> = times
        .iter()
        .rev()
        .enumerate()
        .filter(|(rank, at)| {
            let age = now - **at;
            let span = if age < HOURLY_FOR { (0, at.div_euclid(HOUR)) } else { (1, at.div_euclid(DAY)) };
            let is_first_of_its_span = spans.insert(span);
            *rank >= LAST && (age >= DAILY_FOR || !is_first_of_its_span)
        })
        .map(|(_, at)| *at)
        .collect();
    gone.reverse();
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ages_in_minutes: &[i64], expect: &[i64]) {
        let now = 1000 * DAY;
        let times: Vec<i64> = ages_in_minutes.iter().map(|age| now - age * 60_000).collect();
        let gone: Vec<i64> = expired(&times, now).into_iter().map(|at| (now - at) / 60_000).collect();
        assert_eq!(gone, expect);
    }

    #[test]
    fn the_last_three_stay_whatever_their_age() {
        check(&[90_000, 80_000, 70_000], &[]);
        check(&[3, 2, 1], &[]);
    }

    #[test]
    fn then_one_of_an_hour_and_one_of_a_day_and_none_after_a_month() {
        check(&[50, 40, 30, 3, 2, 1], &[50, 40, 30]);
        check(&[130, 61, 3, 2, 1], &[]);
        check(&[3000, 2990, 130, 3, 2, 1], &[3000]);
        check(&[44_000, 3, 2, 1], &[44_000]);
    }

    #[test]
    fn a_copy_is_due_when_accounts_change_and_else_once_an_hour() {
        assert!(is_due(None, 5, false));
        assert!(!is_due(Some(5), 6, false));
        assert!(is_due(Some(5), 6, true));
        assert!(is_due(Some(5), 5 + HOUR, false));
    }
}
