//! Owns tables inside a document: rows under text keys, of which unknown keys and rows nobody understands survive.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::Object;

/// One row of a table.
pub(crate) trait Row: Sized {
    /// The key as it is meant; `None` for one that names nothing.
    fn key(raw: &str) -> Option<String> {
        Some(raw.to_owned())
    }

    /// What the row says; `None` for one that says nothing we understand.
    fn decode(row: &Object) -> Option<Self>;

    /// Makes the row say this.
    fn encode(&self, key: &str, row: &mut Object);
}

/// The rows of a table that are understood.
pub(crate) fn decode<R: Row>(object: &Object, table: &str) -> BTreeMap<String, R> {
    let rows = object.get(table).and_then(Value::as_object);
    rows.into_iter().flatten().filter_map(|(raw, row)| understood(raw, row)).collect()
}

/// Makes the table hold these rows.
pub(crate) fn encode<R: Row>(object: &mut Object, table: &str, rows: &BTreeMap<String, R>) {
    let old = object.get(table).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut new = Object::new();
    for (raw, row) in old {
        match understood::<R>(&raw, &row) {
            None => drop(new.insert(raw, row)),
            Some((key, _)) if rows.contains_key(&key) => drop(new.insert(key, row)),
            Some(_) => {}
        }
    }
    for (key, row) in rows {
        let mut written = new.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        row.encode(key, &mut written);
        new.insert(key.clone(), Value::Object(written));
    }
    object.insert(table.to_owned(), Value::Object(new));
}

fn understood<R: Row>(raw: &str, row: &Value) -> Option<(String, R)> {
    Some((R::key(raw)?, R::decode(row.as_object()?)?))
}
