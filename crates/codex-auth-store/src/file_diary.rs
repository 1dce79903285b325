//! Owns the two files of what answers told of quotas: `alerts.json`, small, and `forecast.json`.
//!
//! Both are changed as closures over what they say now, so two agents of one root tell a person once.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Alert, Clock, QuotaDiary, RecordId, StoreError, WindowReading};

use crate::{
    Fs, OsFs,
    documents::{alerts::Alerts, forecast::ForecastFile},
    state_file::{Document, StateFile},
};

/// The diary of one root.
#[derive(Debug)]
pub struct FileDiary {
    root: Utf8PathBuf,
    clock: Arc<dyn Clock>,
    fs: Arc<dyn Fs>,
}

impl FileDiary {
    /// The diary under this root.
    pub fn under(root: &Utf8Path, clock: Arc<dyn Clock>) -> Self {
        Self { root: root.to_owned(), clock, fs: Arc::new(OsFs) }
    }

    /// The same over another disk.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>) -> Self {
        Self { fs, ..self }
    }

    fn file<D: Document>(&self) -> StateFile<D> {
        StateFile::under(&self.root).over(self.fs.clone())
    }
}

impl QuotaDiary for FileDiary {
    fn keep(&self, readings: &[(RecordId, WindowReading)]) -> Result<Vec<Alert>, StoreError> {
        let now = self.clock.now();
        let alerts = self.file::<Alerts>().edit(now, |alerts| {
            let crossed = readings.iter().filter_map(|(record, reading)| alerts.book.saw(record, *reading));
            crossed.collect::<Vec<_>>()
        })?;
        self.file::<ForecastFile>().edit(now, |file| {
            for (record, reading) in readings {
                file.book.saw(record, *reading);
            }
        })?;
        Ok(alerts.answer)
    }

    fn keep_only(&self, records: &[RecordId]) -> Result<(), StoreError> {
        let (now, is_there) = (self.clock.now(), |record: &RecordId| records.contains(record));
        self.file::<Alerts>().edit(now, |alerts| alerts.book.keep_only(is_there))?;
        self.file::<ForecastFile>().edit(now, |file| file.book.keep_only(is_there))?;
        Ok(())
    }

    fn alerts(&self) -> Result<Vec<Alert>, StoreError> {
        let now = self.clock.now();
        let alerts = self.file::<Alerts>().read()?.document;
        Ok(alerts.book.last.into_iter().filter(|alert| alert.holds(now)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codex_auth_core::{Timestamp, testing::ManualClock};

    use super::*;

    #[test]
    fn two_agents_tell_a_person_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Utf8Path::from_path(dir.path()).expect("a plain path");
        let diary = || FileDiary::under(root, Arc::new(ManualClock::at(Timestamp::from_secs(1000))));
        let reading = |used_percent, at| WindowReading {
            length: Duration::from_hours(5),
            used_percent,
            resets_at: Some(Timestamp::from_secs(9000)),
            seen_at: Timestamp::from_secs(at),
        };
        let record = RecordId::parse("record:1").expect("not blank");
        let told = diary().keep(&[(record.clone(), reading(91.0, 900))]).expect("kept");
        assert_eq!(told.iter().map(Alert::code).collect::<Vec<_>>(), ["quota_5h_remaining_below_10pct"]);
        assert_eq!(diary().keep(&[(record.clone(), reading(92.0, 950))]).expect("kept"), []);
        assert_eq!(diary().alerts().expect("read"), told);
        let tracks = || StateFile::<ForecastFile>::under(root).read().expect("read").document.book.tracks.len();
        assert_eq!(tracks(), 1);
        diary().keep_only(&[record]).expect("written");
        assert_eq!((diary().alerts().expect("read"), tracks()), (told, 1));
        diary().keep_only(&[]).expect("written");
        assert_eq!((diary().alerts().expect("read"), tracks()), (Vec::new(), 0));
    }
}
