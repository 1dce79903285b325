//! `forecast --calibration`: how often what was said held.

use std::time::Duration;

use codex_auth_core::{Calibration, SURE};
use serde::Serialize;

use crate::{screen::Screen, words::Lines};

/// The score of every sort of window.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CalibrationReport {
    /// How many intervals in a hundred are to hold.
    target_percent: f64,
    windows: Vec<Scored>,
    /// Why the past cannot be used, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Scored {
    window_minutes: u64,
    /// Intervals that came due, and how many of them held.
    intervals: u32,
    held: u32,
    held_percent: Option<f64>,
    /// Windows that were said to last, and how many did.
    said_to_last: u32,
    lasted: u32,
    /// How much chance an interval leaves outside, as a share of what the past alone says.
    outside: f64,
}

impl CalibrationReport {
    /// The scores by length of the window.
    pub fn new<'a>(scores: impl IntoIterator<Item = (&'a Duration, &'a Calibration)>) -> Self {
        let row = |(length, score): (&Duration, &Calibration)| Scored {
            window_minutes: length.as_secs() / 60,
            intervals: score.said,
            held: score.held,
            held_percent: (score.said > 0).then(|| 100.0 * f64::from(score.held) / f64::from(score.said)),
            said_to_last: score.lasting,
            lasted: score.lasted,
            outside: score.outside,
        };
        Self { target_percent: SURE * 100.0, windows: scores.into_iter().map(row).collect(), note: None }
    }

    /// The same beside what is wrong with the file it comes from.
    #[must_use]
    pub fn noting(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }
}

impl Screen for CalibrationReport {
    fn command(&self) -> &'static str {
        "forecast --calibration"
    }

    fn text(&self, width: usize) -> String {
        let mut lines = Lines::new(width);
        lines.line(&format!("Intervals are to hold {:.0} times in 100.", self.target_percent));
        for scored in &self.windows {
            let Scored { window_minutes, intervals, held, said_to_last, lasted, .. } = scored;
            let hours = window_minutes / 60;
            let name = if hours >= 24 { format!("{}-day", hours / 24) } else { format!("{hours}-hour") };
            if *intervals == 0 && *said_to_last == 0 {
                lines.line(&format!("{name} windows: nothing that was said came due yet."));
                continue;
            }
            let percent = scored.held_percent.map(|percent| format!(" ({percent:.1}%)")).unwrap_or_default();
            lines.line(&format!(
                "{name} windows: {held} of {intervals} intervals held{percent}; {lasted} of {said_to_last} that were said \
                 to last did."
            ));
        }
        if let Some(note) = &self.note {
            lines.line(&format!("Note: {note}."));
        }
        if self.windows.is_empty() {
            lines.line("Nothing came due yet; the agent scores what it sees while codex runs through it.");
        }
        lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_told_by_window() {
        let score = Calibration { said: 40, held: 36, lasting: 7, lasted: 7, ..Calibration::default() };
        let text = CalibrationReport::new([(&Duration::from_hours(5), &score)]).text(200);
        let expect = "5-hour windows: 36 of 40 intervals held (90.0%); 7 of 7 that were said to last did.\n";
        assert!(text.ends_with(expect), "{text}");
        let fresh = CalibrationReport::new([(&Duration::from_hours(168), &Calibration::default())]).text(200);
        assert!(fresh.ends_with("7-day windows: nothing that was said came due yet.\n"), "{fresh}");
    }
}
