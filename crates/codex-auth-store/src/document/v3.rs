//! The codec of `openai-codex-accounts.json`: V3 is read and written, V1 read.

use std::collections::{HashMap, HashSet};

use camino::Utf8Path;
use codex_auth_core::{Held, RecordId, SavedPool, StoreError, Timestamp};
use serde_json::{Value, json};

use super::{Codec, positions, row, v1};
use crate::{
    json::{self, Object},
    merge::{Fold, names_like},
};

/// Unknown to the predecessor, which drops it when it writes.
const REVISION: &str = "codexAuthRevision";

/// The document of the predecessor's command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct V3;

impl Codec for V3 {
    fn upgrade(&self, path: &Utf8Path, document: Object, now: Timestamp) -> Result<Object, StoreError> {
        let upgraded = match json::version(&document) {
            Some(3) => document,
            Some(1) => v1::upgrade(document, now),
            Some(_) | None => {
                let found = json::version_named(&document);
                return Err(StoreError::UnknownVersion { path: path.to_string(), found });
            }
        };
        if upgraded.get("accounts").is_some_and(Value::is_array) {
            return Ok(upgraded);
        }
        let why = "`accounts` is not a list; mend it or move the file away".to_owned();
        Err(StoreError::Unreadable { path: path.to_string(), why })
    }

    fn decode(&self, document: &Object, now: Timestamp) -> SavedPool {
        let places = places(document, now);
        let (active, pin) = positions::decode(document, &records(&places));
        let affinity_generation = json::count(document, "affinityGeneration");
        SavedPool {
            accounts: places.into_iter().filter_map(Place::into_held).collect(),
            active,
            pin,
            affinity_generation: affinity_generation.unwrap_or(0),
        }
    }

    fn folded(&self, document: Object, folds: &[Fold], now: Timestamp) -> Object {
        let places = places(&document, now);
        let known = rows_of(&places);
        let row_of = |record: &RecordId| known.get(record).copied();
        let fold_of = |record: &RecordId| folds.iter().find(|fold| fold.members.contains(record));
        let now_called = |record: RecordId| fold_of(&record).map_or(record, |fold| fold.kept.clone());
        let (mut rows, mut after) = (Vec::new(), Vec::new());
        for place in &places {
            let record = place.record().map(now_called);
            if record.is_some() && after.contains(&record) {
                continue;
            }
            let fold = record.as_ref().and_then(fold_of);
            rows.push(fold.map_or_else(|| place.raw(), |fold| one_row(fold, row_of)));
            after.push(record);
        }
        let before: Vec<_> = places.iter().map(|place| place.record().map(now_called)).collect();
        let mut document = document;
        json::set(&mut document, "accounts", Some(Value::Array(rows)));
        positions::follow(&mut document, &before, &after);
        document
    }

    fn encode(&self, document: &Object, pool: &SavedPool, now: Timestamp) -> Object {
        let places = places(document, now);
        let (before, known) = (records(&places), rows_of(&places));
        let mut rows: Vec<(Option<RecordId>, Value)> = pool
            .accounts
            .iter()
            .map(|held| {
                let mut row = known.get(&held.account.record).map(|row| (*row).clone()).unwrap_or_default();
                row::encode(&mut row, held, now);
                (Some(held.account.record.clone()), Value::Object(row))
            })
            .collect();
        // Rows nobody can use stay where they were: they may be all that is left of an account.
        for (index, place) in places.iter().enumerate() {
            if let Place::Unusable(raw) = place {
                rows.insert(index.min(rows.len()), (None, (*raw).clone()));
            }
        }
        let (after, rows): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let mut document = document.clone();
        json::set(&mut document, "accounts", Some(Value::Array(rows)));
        positions::encode(&mut document, &before, &after, pool);
        let generation = pool.affinity_generation;
        if document.contains_key("affinityGeneration") || generation > 0 {
            json::set(&mut document, "affinityGeneration", (generation > 0).then(|| json!(generation)));
        }
        document
    }

    fn names(&self, document: &Object) -> HashSet<String> {
        let rows = document.get("accounts").and_then(Value::as_array).into_iter().flatten();
        rows.filter_map(|row| row.get("recordId").and_then(Value::as_str)).map(str::to_owned).collect()
    }

    fn empty(&self) -> Object {
        let document = json!({ "version": 3, "accounts": [], "activeIndex": 0, "activeIndexByFamily": {} });
        document.as_object().cloned().unwrap_or_default()
    }

    fn of_rows(&self, rows: Vec<Value>) -> Object {
        let document = json!({ "version": 3, "accounts": rows, "activeIndex": 0 });
        document.as_object().cloned().unwrap_or_default()
    }

    fn revision(&self, document: &Object) -> Option<u64> {
        document.get(REVISION).and_then(json::integer).and_then(|count| u64::try_from(count).ok())
    }

    fn revised(&self, mut document: Object) -> Object {
        let next = self.revision(&document).unwrap_or(0) + 1;
        json::set(&mut document, REVISION, Some(json!(next)));
        document
    }
}

/// What stands at one position of the document.
#[derive(Debug)]
enum Place<'d> {
    /// An account, with the row it came from.
    Account(Box<Held>, &'d Object),
    /// A row without a refresh token, or no row at all.
    Unusable(&'d Value),
}

impl Place<'_> {
    fn record(&self) -> Option<RecordId> {
        match self {
            Self::Account(held, _) => Some(held.account.record.clone()),
            Self::Unusable(_) => None,
        }
    }

    fn raw(&self) -> Value {
        match self {
            Self::Account(_, row) => Value::Object((*row).clone()),
            Self::Unusable(raw) => (*raw).clone(),
        }
    }

    fn into_held(self) -> Option<Held> {
        match self {
            Self::Account(held, _) => Some(*held),
            Self::Unusable(_) => None,
        }
    }
}

/// The row of accounts that are one: that of the one used last, with the keys it lacks from the others.
fn one_row<'p>(fold: &Fold, row_of: impl Fn(&RecordId) -> Option<&'p Object>) -> Value {
    let mut rows = fold.members.iter().filter_map(row_of);
    let mut row = rows.next().cloned().unwrap_or_default();
    rows.for_each(|older| row::fill_from(&mut row, older));
    json::set(&mut row, "recordId", Some(json!(fold.kept.as_str())));
    Value::Object(row)
}

/// The rows by the accounts they came from.
fn rows_of<'p, 'd>(places: &'p [Place<'d>]) -> HashMap<&'p RecordId, &'d Object> {
    let row = |place: &'p Place<'d>| match place {
        Place::Account(held, row) => Some((&held.account.record, *row)),
        Place::Unusable(_) => None,
    };
    places.iter().filter_map(row).collect()
}

fn records(places: &[Place<'_>]) -> Vec<Option<RecordId>> {
    places.iter().map(Place::record).collect()
}

fn places(document: &Object, now: Timestamp) -> Vec<Place<'_>> {
    let rows = document.get("accounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut places: Vec<Place<'_>> = rows.iter().map(|raw| place(raw, now)).collect();
    let mut taken = HashSet::new();
    for place in &mut places {
        if let Place::Account(held, _) = place {
            let record = held.account.record.clone();
            let mut names = names_like(&record);
            held.account.record = names.find(|name| !taken.contains(name)).expect("names do not end");
            taken.insert(held.account.record.clone());
        }
    }
    places
}

fn place(raw: &Value, now: Timestamp) -> Place<'_> {
    let account = raw.as_object().and_then(|row| Some((row::decode(row, now)?, row)));
    account.map_or(Place::Unusable(raw), |(held, row)| Place::Account(Box::new(held), row))
}
