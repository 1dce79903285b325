//! `alerts.json`: how low each window was when a person was told, and the last things that were told.
//!
//! Small on purpose: `list` and the wrapper read it.

use std::time::Duration;

use codex_auth_core::{Alert, AlertBook, Reached, RecordId, Timestamp, WindowReading};
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// The alerts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerts {
    /// As core keeps them.
    pub book: AlertBook,
}

impl Document for Alerts {
    const NAME: &'static str = "alerts.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let rows = |table: &str| object.get(table).and_then(Value::as_array).into_iter().flatten();
        let reached = rows("reached").filter_map(|row| {
            let row = row.as_object()?;
            let (record, reading) = reading(row)?;
            let thresholds = usize::try_from(json::count(row, "thresholds")?).ok()?;
            Some(((record, reading.length), Reached { thresholds, reading }))
        });
        let last = rows("last").filter_map(|row| {
            let row = row.as_object()?;
            let (record, WindowReading { length, resets_at, seen_at, .. }) = reading(row)?;
            Some(Alert { record, length, threshold: json::number(row, "threshold")?, at: seen_at, resets_at })
        });
        Self { book: AlertBook { reached: reached.collect(), last: last.collect() } }
    }

    fn encode(&self, object: &mut Object) {
        let reached = self.book.reached.iter().map(|((record, _), reached)| {
            let mut row = row_of(record, &reached.reading);
            row.insert("thresholds".to_owned(), json!(reached.thresholds));
            Value::Object(row)
        });
        object.insert("reached".to_owned(), reached.collect());
        let last = self.book.last.iter().map(|alert| {
            let Alert { length, resets_at, at, threshold, .. } = *alert;
            let used_percent = 100.0 - threshold;
            let mut row = row_of(&alert.record, &WindowReading { length, used_percent, resets_at, seen_at: at });
            json::set_real(&mut row, "threshold", threshold);
            Value::Object(row)
        });
        object.insert("last".to_owned(), last.collect());
    }
}

/// A reading with the account it is about.
pub(super) fn row_of(record: &RecordId, reading: &WindowReading) -> Object {
    let WindowReading { length, used_percent, resets_at, seen_at } = *reading;
    let mut row = Object::new();
    row.insert("recordId".to_owned(), json!(record.as_str()));
    row.insert("windowMinutes".to_owned(), json!(length.as_secs() / 60));
    json::set_real(&mut row, "usedPercent", used_percent);
    row.insert("seenAt".to_owned(), json!(seen_at.as_millis()));
    json::set(&mut row, "resetsAt", resets_at.map(|at: Timestamp| json!(at.as_millis())));
    row
}

pub(super) fn reading(row: &Object) -> Option<(RecordId, WindowReading)> {
    let minutes = json::count(row, "windowMinutes").filter(|minutes| *minutes > 0)?;
    let reading = WindowReading {
        length: Duration::from_mins(minutes),
        used_percent: json::number(row, "usedPercent")?,
        resets_at: json::millis(row, "resetsAt"),
        seen_at: json::millis(row, "seenAt")?,
    };
    Some((RecordId::parse(json::text(row, "recordId")?)?, reading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_survives_a_restart() {
        let record = RecordId::parse("record:1").expect("not blank");
        let reading = |used_percent, at| WindowReading {
            length: Duration::from_hours(5),
            used_percent,
            resets_at: Some(Timestamp::from_secs(9000)),
            seen_at: Timestamp::from_secs(at),
        };
        let mut alerts = Alerts::default();
        assert!(alerts.book.saw(&record, reading(97.5, 10)).is_some());
        let mut object = Object::new();
        alerts.encode(&mut object);
        let mut again = Alerts::decode(&object);
        assert_eq!(again, alerts);
        assert_eq!(again.book.saw(&record, reading(98.0, 20)), None, "it was told before the restart");
    }
}
