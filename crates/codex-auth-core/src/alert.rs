//! Owns when a person is told that little is left: each threshold of a window is crossed once, until it recovers.
//!
//! What was told already is state: it is kept and merged, so that neither a restart nor a second process repeats it.

use std::{collections::BTreeMap, time::Duration};

use crate::{RecordId, Timestamp, WindowReading};

/// Percent left at which a person is told, in the order in which they are reached.
pub const THRESHOLDS: [f64; 6] = [25.0, 20.0, 10.0, 5.0, 2.5, 0.0];
/// As many alerts are shown to somebody who asks late.
const REMEMBERED: usize = 32;

/// How far one window of one account has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// How many of [`THRESHOLDS`] are reached.
    pub thresholds: usize,
    /// The reading that says so.
    pub reading: WindowReading,
}

/// A threshold was crossed.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Whose window.
    pub record: RecordId,
    /// How long it is.
    pub length: Duration,
    /// The threshold, in percent left.
    pub threshold: f64,
    /// When that was seen.
    pub at: Timestamp,
    /// When the window starts anew, where told.
    pub resets_at: Option<Timestamp>,
}

/// What was told of all windows, and the last alerts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertBook {
    /// By account and length of the window.
    pub reached: BTreeMap<(RecordId, Duration), Reached>,
    /// The last ones, the oldest first.
    pub last: Vec<Alert>,
}

impl AlertBook {
    /// Takes in a reading. At most one alert comes of it, however many thresholds were passed at once.
    pub fn saw(&mut self, record: &RecordId, reading: WindowReading) -> Option<Alert> {
        if !reading.used_percent.is_finite() {
            return None;
        }
        let key = (record.clone(), reading.length);
        let left = (100.0 - reading.used_percent).max(0.0);
        let thresholds = THRESHOLDS.iter().filter(|threshold| left <= **threshold).count();
        let known = self.reached.get(&key).copied();
        if known.is_some_and(|known| reading.seen_at < known.reading.seen_at) {
            return None;
        }
        // Within one run of a window its use only grows: a telling that says less is a late one, and re-arms nothing.
        let told = known.map_or(0, |known| known.thresholds);
        let is_late = thresholds < told
            && known.is_some_and(|known| known.reading.resets_at.is_some() && same_end(&known.reading, &reading));
        if is_late {
            return None;
        }
        self.reached.insert(key, Reached { thresholds, reading });
        if thresholds <= told {
            return None;
        }
        let alert = Alert {
            record: record.clone(),
            length: reading.length,
            threshold: THRESHOLDS[thresholds - 1],
            at: reading.seen_at,
            resets_at: reading.resets_at,
        };
        self.remember(alert.clone());
        Some(alert)
    }

    /// Folds in what another process told: of each window the later word counts.
    pub fn merge(&mut self, other: &Self) {
        for (key, theirs) in &other.reached {
            let is_newer = self.reached.get(key).is_none_or(|ours| {
                (ours.reading.seen_at, ours.thresholds) < (theirs.reading.seen_at, theirs.thresholds)
            });
            if is_newer {
                self.reached.insert(key.clone(), *theirs);
            }
        }
        for alert in &other.last {
            self.remember(alert.clone());
        }
    }

    /// The alerts after an instant, of windows that are still as low as they said.
    pub fn since(&self, after: Timestamp, now: Timestamp) -> impl Iterator<Item = &Alert> {
        self.last.iter().filter(move |alert| alert.at > after && alert.holds(now))
    }

    /// Forgets accounts that are not there.
    pub fn keep_only(&mut self, is_there: impl Fn(&RecordId) -> bool) {
        self.reached.retain(|(record, _), _| is_there(record));
        self.last.retain(|alert| is_there(&alert.record));
    }

    fn remember(&mut self, alert: Alert) {
        if self.last.contains(&alert) {
            return;
        }
        let place = self.last.partition_point(|known| known.at <= alert.at);
        self.last.insert(place, alert);
        let surplus = self.last.len().saturating_sub(REMEMBERED);
        self.last.drain(..surplus);
    }
}

fn same_end(known: &WindowReading, reading: &WindowReading) -> bool {
    let level = WindowReading { used_percent: known.used_percent, ..*reading };
    known.is_same_run(&level)
}

impl Alert {
    /// Whether nothing is left.
    pub fn is_exhausted(&self) -> bool {
        self.threshold <= 0.0
    }

    /// Whether the window has not started anew since.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.resets_at.unwrap_or_else(|| self.at.after(self.length))
    }

    /// What the window is called: `5h`, `weekly`, or its days.
    pub fn window(&self) -> String {
        let hours = self.length.as_secs() / 3600;
        match hours {
            0..=6 => "5h".to_owned(),
            24..=192 => "weekly".to_owned(),
            7..24 => format!("{hours}h"),
            _ => format!("{}d", hours / 24),
        }
    }

    /// The code of the warning: `quota_5h_remaining_below_2_5pct`.
    pub fn code(&self) -> String {
        let percent = self.threshold.to_string().replace('.', "_");
        format!("quota_{}_remaining_below_{percent}pct", self.window())
    }

    /// The code of the exhaustion that comes with the last threshold: `quota_limit_exhausted_weekly`.
    pub fn exhausted_code(&self) -> Option<String> {
        self.is_exhausted().then(|| format!("quota_limit_exhausted_{}", self.window()))
    }

    /// One word for this alert and no other, so that whoever shows it knows what was shown.
    pub fn id(&self) -> String {
        let Self { record, length, threshold, at, .. } = self;
        format!("{}/{}/{threshold}/{}", record.as_str(), length.as_secs() / 60, at.as_millis())
    }

    /// What OpenCode shows, in the predecessor's words.
    pub fn toast(&self) -> String {
        let window = self.window();
        if self.is_exhausted() {
            return format!("Switching account due to {window} quota limit");
        }
        format!("Heads up, you have less than {}% of your {window} quota left.", self.threshold)
    }

    /// The same for a person.
    pub fn sentence(&self) -> String {
        let window = self.window();
        if self.is_exhausted() {
            return format!("nothing is left of its {window} quota");
        }
        format!("less than {}% of its {window} quota is left", self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    const FIVE_HOURS: Duration = Duration::from_hours(5);

    fn reading(length: Duration, left: f64, at: i64, resets_at: Option<i64>) -> WindowReading {
        WindowReading {
            length,
            used_percent: 100.0 - left,
            resets_at: resets_at.map(Timestamp::from_secs),
            seen_at: Timestamp::from_secs(at),
        }
    }

    /// Tells an account's five-hour window step by step; each step expects a code or none.
    #[track_caller]
    fn check(steps: &[(f64, i64, Option<i64>, &str)]) -> AlertBook {
        let (record, mut book) = (account(1).record, AlertBook::default());
        for (left, at, resets_at, expect) in steps {
            let told = book.saw(&record, reading(FIVE_HOURS, *left, *at, *resets_at));
            assert_eq!(told.map(|alert| alert.code()).unwrap_or_default(), *expect, "at {at}");
        }
        book
    }

    #[test]
    fn thresholds_are_crossed_once_and_a_jump_warns_once() {
        check(&[
            (60.0, 1, None, ""),
            (25.0, 2, None, "quota_5h_remaining_below_25pct"),
            (24.0, 3, None, ""),
            (3.0, 4, None, "quota_5h_remaining_below_5pct"),
            (2.0, 5, None, "quota_5h_remaining_below_2_5pct"),
            (0.0, 6, Some(99), "quota_5h_remaining_below_0pct"),
            (0.0, 7, Some(99), ""),
        ]);
    }

    #[test]
    fn a_recovery_arms_again_and_a_late_word_does_not() {
        let reset = 18_000;
        check(&[
            (4.0, 10, Some(reset), "quota_5h_remaining_below_5pct"),
            (30.0, 20, Some(reset + 5), ""),
            (4.0, 30, Some(reset), ""),
            (99.0, reset + 10, Some(2 * reset), ""),
            (19.0, reset + 20, Some(2 * reset), "quota_5h_remaining_below_20pct"),
            (3.0, reset + 19, Some(2 * reset), ""),
        ]);
    }

    #[test]
    fn what_another_process_told_is_not_told_again() {
        let record = account(1).record;
        let other = check(&[(4.0, 10, Some(18_000), "quota_5h_remaining_below_5pct")]);
        let mut book = AlertBook::default();
        book.merge(&other);
        book.merge(&other);
        assert_eq!(book.saw(&record, reading(FIVE_HOURS, 3.0, 11, Some(18_000))), None);
        assert_eq!(book.last.len(), 1);
        // The one that knows less takes nothing back.
        let ours = book.clone();
        book.merge(&other);
        assert_eq!(book, ours);
    }

    #[test]
    fn windows_are_named_by_their_length() {
        let mut book = AlertBook::default();
        let record = account(1).record;
        let mut code = |days: u64| {
            let told = book.saw(&record, reading(Duration::from_hours(days * 24), 0.0, 1, None)).expect("crossed");
            (told.code(), told.exhausted_code())
        };
        let codes =
            |name: &str| (format!("quota_{name}_remaining_below_0pct"), Some(format!("quota_limit_exhausted_{name}")));
        assert_eq!(code(7), codes("weekly"));
        assert_eq!(code(30), codes("30d"));
    }

    #[test]
    fn toasts_have_the_predecessors_words_and_ids_of_their_own() {
        let book = check(&[
            (4.0, 10, Some(50), "quota_5h_remaining_below_5pct"),
            (0.0, 20, Some(50), "quota_5h_remaining_below_0pct"),
        ]);
        let told: Vec<_> = book.last.iter().map(Alert::toast).collect();
        assert_eq!(
            told,
            ["Heads up, you have less than 5% of your 5h quota left.", "Switching account due to 5h quota limit"]
        );
        let ids: Vec<_> = book.last.iter().map(Alert::id).collect();
        assert_eq!(ids, ["record:1/300/5/10000", "record:1/300/0/20000"]);
    }

    #[test]
    fn an_alert_ends_with_its_window() {
        let book = check(&[(0.0, 10, Some(50), "quota_5h_remaining_below_0pct")]);
        let told = |after, now| book.since(Timestamp::from_secs(after), Timestamp::from_secs(now)).count();
        assert_eq!((told(0, 49), told(10, 49), told(0, 50)), (1, 0, 0));
    }
}
