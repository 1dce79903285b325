//! What engines without a server keep, as values with rules: leases, bindings, counters, facts, spent tokens.
//!
//! A book knows no disk and no clock. The memory engine holds the books; the file engine reads one, changes it and
//! writes it back under a lock.

pub(crate) mod affinity;
pub(crate) mod counters;
pub(crate) mod facts;
pub(crate) mod leases;
pub(crate) mod spent;

use codex_auth_core::Timestamp;
use serde_json::Value;

use crate::json::{self, Object};

/// Bytes of secrets an engine of this crate keeps per account.
pub(crate) const LARGEST_ITEM: u64 = 64 * 1024;

/// One kind of state.
pub(crate) trait Book: Clone + Default + PartialEq {
    /// Reads it out of its document; `None` when a part of it is not what it should be.
    fn decode(object: &Object) -> Option<Self>;

    /// Writes it into its document; keys it does not know stay.
    fn encode(&self, object: &mut Object);

    /// Ends what has expired.
    fn expire(&mut self, now: Timestamp);
}

/// Writes `entries` as the object under `name`: entries that are gone go, unknown keys of the others stay.
fn set_entries(object: &mut Object, name: &str, entries: impl IntoIterator<Item = (String, Value)>) {
    let mut old = match object.shift_remove(name) {
        Some(Value::Object(old)) => old,
        Some(_) | None => Object::new(),
    };
    let merged = entries.into_iter().map(|(key, entry)| {
        let mut whole = match old.shift_remove(&key) {
            Some(Value::Object(whole)) => whole,
            Some(_) | None => Object::new(),
        };
        let Value::Object(fields) = entry else { return (key, entry) };
        for (field, value) in fields {
            json::set(&mut whole, &field, Some(value).filter(|value| !value.is_null()));
        }
        (key, Value::Object(whole))
    });
    let merged: Object = merged.collect();
    object.insert(name.to_owned(), Value::Object(merged));
}

/// Reads the object under `name`, one entry at a time; a missing one has none.
fn entries<T>(object: &Object, name: &str, read: impl Fn(&str, &Object) -> Option<T>) -> Option<Vec<T>> {
    match object.get(name) {
        None => Some(Vec::new()),
        Some(Value::Object(entries)) => {
            entries.iter().map(|(key, entry)| read(key, entry.as_object()?)).collect::<Option<Vec<_>>>()
        }
        Some(_) => None,
    }
}

/// A whole number that is not negative.
fn count(object: &Object, key: &str) -> Option<u64> {
    object.get(key).and_then(Value::as_u64)
}
