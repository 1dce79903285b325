//! The forecaster under judgement, asked as the product asks it.

use std::time::Duration;

use codex_auth_core::{ForecastBook, Outlook, RecordId, RunOut, Timestamp, WindowReading};

use super::{
    judge::{Forecaster, Says},
    world::{LENGTHS, Told},
};

#[derive(Debug)]
pub(super) struct Ours {
    book: ForecastBook,
    record: RecordId,
    asked: Option<(i64, Vec<(Duration, Outlook)>)>,
}

impl Default for Ours {
    fn default() -> Self {
        Self { book: ForecastBook::default(), record: RecordId::parse("record:1").unwrap(), asked: None }
    }
}

pub(super) fn length(window: usize) -> Duration {
    Duration::from_millis(u64::try_from(LENGTHS[window]).unwrap())
}

impl Ours {
    fn outlooks(&mut self, now: i64) -> &[(Duration, Outlook)] {
        if self.asked.as_ref().is_none_or(|(at, _)| *at != now) {
            self.asked = Some((now, self.book.outlooks(&self.record, Timestamp::from_millis(now))));
        }
        &self.asked.as_ref().unwrap().1
    }
}

impl Forecaster for Ours {
    fn saw(&mut self, told: Told) {
        let reading = WindowReading {
            length: length(told.window),
            used_percent: told.used,
            resets_at: Some(Timestamp::from_millis(told.resets_at)),
            seen_at: Timestamp::from_millis(told.at),
        };
        self.book.saw(&self.record, reading);
    }

    fn runs_out(&mut self, window: usize, now: i64) -> Says {
        let window = length(window);
        let Some((_, outlook)) = self.outlooks(now).iter().find(|(of, _)| *of == window).cloned() else {
            return Says::Nothing;
        };
        match self.book.runs_out(window, &outlook) {
            RunOut::Spent => Says::Nothing,
            RunOut::Lasts { .. } => Says::Lasts,
            RunOut::Between { from, to, .. } => Says::Between(from.as_millis(), to.map(Timestamp::as_millis)),
        }
    }

    fn usable(&mut self, at: i64, now: i64) -> f64 {
        let spent = self.outlooks(now).iter().map(|(_, outlook)| outlook.spent_at(Timestamp::from_millis(at)));
        1.0 - spent.fold(0.0, f64::max)
    }
}
