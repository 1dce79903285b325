//! `forecast.json`: how each window was used, what was said of it, and how often that held.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use codex_auth_core::{
    Calibration, ForecastBook, Habit, KeptHabit, PoolScore, Promise, RecordId, RunOut, Track, WindowReading,
};
use serde_json::{Value, json};

use super::alerts::{reading, row_of};
use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// The past of all windows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForecastFile {
    /// As core keeps it.
    pub book: ForecastBook,
}

impl Document for ForecastFile {
    const NAME: &'static str = "forecast.json";
    const SCHEMA: Schema = Schema::Versions(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let rows = object.get("windows").and_then(Value::as_array).into_iter().flatten();
        let tracks = rows.filter_map(|row| track(row.as_object()?)).collect();
        let scores = json::object(object, "scores").into_iter().flatten();
        let calibrations = scores.filter_map(|(minutes, row)| {
            let length = Duration::from_mins(minutes.parse().ok().filter(|minutes| *minutes > 0)?);
            Some((length, calibration(row.as_object()?)?))
        });
        let pool = json::object(object, "pool").and_then(pool).unwrap_or_default();
        Self { book: ForecastBook { tracks, calibrations: calibrations.collect(), pool } }
    }

    fn encode(&self, object: &mut Object) {
        let windows = self.book.tracks.iter().filter_map(|((record, _), track)| Some(track_row(record, track)?.into()));
        object.insert("windows".to_owned(), Value::Array(windows.collect()));
        let scores: BTreeMap<String, Value> = self
            .book
            .calibrations
            .iter()
            .map(|(length, score)| ((length.as_secs() / 60).to_string(), score_row(score)))
            .collect();
        object.insert("scores".to_owned(), json!(scores));
        let PoolScore { calibration, open, asked_until } = &self.book.pool;
        let (score, asked_until) = (score_row(calibration), asked_until.as_millis());
        object.insert(
            "pool".to_owned(),
            json!({ "score": score, "askedUntil": asked_until, "open": promise_rows(open) }),
        );
    }
}

fn pool(row: &Object) -> Option<PoolScore> {
    Some(PoolScore {
        calibration: calibration(json::object(row, "score")?)?,
        open: promises(row),
        asked_until: json::millis(row, "askedUntil")?,
    })
}

fn score_row(score: &Calibration) -> Value {
    let Calibration { outside, said, held, lasting, lasted } = *score;
    json!({ "outside": outside, "said": said, "held": held, "lasting": lasting, "lasted": lasted })
}

fn calibration(row: &Object) -> Option<Calibration> {
    let count = |key| json::count(row, key).and_then(|count| u32::try_from(count).ok());
    Some(Calibration {
        outside: json::number(row, "outside").filter(|outside| outside.is_finite())?,
        said: count("said")?,
        held: count("held")?,
        lasting: count("lasting")?,
        lasted: count("lasted")?,
    })
}

/// A window that was never read has nothing to keep.
fn track_row(record: &RecordId, track: &Track) -> Option<Object> {
    let KeptHabit { end, steps, last, .. } = track.habit.kept();
    let mut row = row_of(record, &last?);
    row.insert("end".to_owned(), json!(end));
    row.insert("steps".to_owned(), json!(told(&steps)));
    row.insert("askedUntil".to_owned(), json!(track.asked_until.as_millis()));
    row.insert("open".to_owned(), promise_rows(&track.open));
    Some(row)
}

fn promise_rows(open: &[Promise]) -> Value {
    let rows = open.iter().map(|promise| {
        let mut row = Object::new();
        row.insert("saidAt".to_owned(), json!(promise.said_at.as_millis()));
        row.insert("resetsAt".to_owned(), json!(promise.resets_at.as_millis()));
        match promise.says {
            RunOut::Spent => {}
            RunOut::Lasts { surely } => json::set_real(&mut row, "surely", surely),
            RunOut::Between { from, likely, to } => {
                row.insert("from".to_owned(), json!(from.as_millis()));
                json::set(&mut row, "likely", likely.map(|at| json!(at.as_millis())));
                json::set(&mut row, "to", to.map(|at| json!(at.as_millis())));
            }
        }
        Value::Object(row)
    });
    rows.collect()
}

fn track(row: &Object) -> Option<((RecordId, Duration), Track)> {
    let (record, last) = reading(row)?;
    let WindowReading { length, .. } = last;
    let end = row.get("end").and_then(json::integer)?;
    let habit = Habit::from(KeptHabit { length, end, steps: untold(json::text(row, "steps")?), last: Some(last) });
    let asked_until = json::millis(row, "askedUntil").unwrap_or(last.seen_at);
    Some(((record, length), Track { habit, open: promises(row), asked_until }))
}

fn promises(row: &Object) -> Vec<Promise> {
    let rows = row.get("open").and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(|row| promise(row.as_object()?)).collect()
}

fn promise(row: &Object) -> Option<Promise> {
    let says = match (json::number(row, "surely"), json::millis(row, "from")) {
        (Some(surely), _) => RunOut::Lasts { surely },
        (None, Some(from)) => {
            RunOut::Between { from, likely: json::millis(row, "likely"), to: json::millis(row, "to") }
        }
        (None, None) => return None,
    };
    Some(Promise { said_at: json::millis(row, "saidAt")?, resets_at: json::millis(row, "resetsAt")?, says })
}

/// Steps in hundredths of a percent; `z12` are twelve idle ones, `x3` three in which the window was spent.
fn told(steps: &[Option<f32>]) -> String {
    let mut text = String::new();
    let sort = |step: &Option<f32>| match step {
        None => Some('x'),
        Some(used) if *used <= 0.0 => Some('z'),
        Some(_) => None,
    };
    for run in steps.chunk_by(|a, b| sort(a).is_some() && sort(a) == sort(b)) {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _written = match (run.first().and_then(sort), run.first()) {
            (Some(sort), _) => write!(text, "{gap}{sort}{}", run.len()),
            (None, Some(Some(used))) => write!(text, "{gap}{:.0}", (used * 100.0).max(1.0)),
            (None, _) => Ok(()),
        };
    }
    text
}

fn untold(text: &str) -> Vec<Option<f32>> {
    /// No run is longer than anything that is remembered.
    const LONGEST: usize = 5000;
    let mut steps = Vec::new();
    for word in text.split(' ') {
        let run = |count: &str| count.parse::<usize>().unwrap_or(0).min(LONGEST);
        match (word.strip_prefix('z'), word.strip_prefix('x')) {
            (Some(count), _) => steps.extend(std::iter::repeat_n(Some(0.0), run(count))),
            (None, Some(count)) => steps.extend(std::iter::repeat_n(None, run(count))),
            (None, None) => {
                steps.extend(word.parse::<f32>().ok().filter(|used| used.is_finite()).map(|used| Some(used / 100.0)));
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use codex_auth_core::Timestamp;

    use super::*;

    fn reading(used_percent: f64, at: i64) -> WindowReading {
        WindowReading {
            length: Duration::from_hours(5),
            used_percent,
            resets_at: Some(Timestamp::from_secs(18_000)),
            seen_at: Timestamp::from_secs(at),
        }
    }

    #[test]
    fn a_past_is_read_as_it_was_written() {
        let record = RecordId::parse("record:1").expect("not blank");
        let mut file = ForecastFile::default();
        for (used, at) in [(3.0, 60), (12.0, 3000), (12.0, 6600), (80.0, 9000), (100.0, 12_000)] {
            file.book.saw(&record, reading(used, at));
        }
        let mut object = Object::new();
        file.encode(&mut object);
        let again = ForecastFile::decode(&object);
        assert_eq!(again, file);
        let text = object["windows"][0]["steps"].as_str().expect("a text");
        assert_eq!(text, "z5 900 z9 6800 z4 2000");
        // A window that runs out twice: what was promised was settled, and the score is kept.
        assert!(again.book.calibrations.values().any(|score| score.said + score.lasting > 0));
        let pool = &again.book.pool;
        assert!(pool.calibration.said + pool.calibration.lasting > 0 && pool.asked_until > Timestamp::default());
    }

    #[test]
    fn rubbish_is_no_past() {
        assert_eq!(untold("z999999999 x-3 nan 5 inf q").len(), 5001);
        assert_eq!(ForecastFile::decode(&Object::new()), ForecastFile::default());
    }
}
