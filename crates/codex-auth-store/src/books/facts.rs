//! Owns the best that is known of each key.

use std::collections::BTreeMap;

use codex_auth_core::{Timestamp, capability::Observation};
use serde_json::{Value, json};

use super::{Book, count, entries, set_entries};
use crate::json::{self, Object};

/// What is known, merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FactBook(BTreeMap<String, Observation>);

impl FactBook {
    /// What is known of a key.
    pub(crate) fn latest(&self, key: &str) -> Option<Observation> {
        self.0.get(key).cloned()
    }

    /// Adds what was seen and says what is known now.
    pub(crate) fn append(&mut self, seen: Observation) -> Observation {
        let known = match self.0.remove(&seen.key) {
            Some(known) => known.merge(seen),
            None => seen,
        };
        self.0.insert(known.key.clone(), known.clone());
        known
    }
}

impl Book for FactBook {
    fn decode(object: &Object) -> Option<Self> {
        let fact = |key: &str, entry: &Object| {
            let seen = Observation {
                key: key.to_owned(),
                epoch: entry.get("epoch").and_then(Value::as_i64)?,
                used: count(entry, "used")?,
                taken_at: json::millis(entry, "takenAt")?,
                source: entry.get("source")?.as_str()?.to_owned(),
            };
            Some((key.to_owned(), seen))
        };
        Some(Self(entries(object, "facts", fact)?.into_iter().collect()))
    }

    fn encode(&self, object: &mut Object) {
        let entry = |(key, seen): (&String, &Observation)| {
            let Observation { epoch, used, taken_at, source, .. } = seen;
            (key.clone(), json!({ "epoch": epoch, "used": used, "takenAt": taken_at.as_millis(), "source": source }))
        };
        set_entries(object, "facts", self.0.iter().map(entry));
    }

    fn expire(&mut self, _now: Timestamp) {}
}
