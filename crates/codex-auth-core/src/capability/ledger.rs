//! The ledger: what was used, each event once, and sums that can always be computed anew.

use std::{collections::BTreeMap, fmt::Debug, ops::Range, time::Duration};

use async_trait::async_trait;

use crate::Timestamp;

use super::CapabilityError;

/// Usage events.
///
/// | Rule | Why |
/// |---|---|
/// | an event is written once per key, however often and by whomever it is appended | answers get lost |
/// | a key with other content is refused | it would be another event |
/// | a range is complete and ordered by time, then key | readers compare |
/// | a roll-up equals [`roll_up`] over the range | it is only a faster way to the same sum |
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    /// Writes an event; durable when it returns.
    async fn append(&self, entry: UsageEntry) -> Result<Appended, CapabilityError>;

    /// The events in a span of time.
    async fn range(&self, span: Range<Timestamp>) -> Result<Vec<UsageEntry>, CapabilityError>;

    /// Their sums per subject and step.
    async fn rollup(&self, span: Range<Timestamp>, step: Duration) -> Result<Vec<Rolled>, CapabilityError>;
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEntry {
    /// Names the event; a retry carries the same one.
    pub key: String,
    /// When it happened.
    pub at: Timestamp,
    /// Whose use it was.
    pub subject: String,
    /// How much.
    pub amount: u64,
}

/// Whether an event was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Written now.
    New,
    /// Written before.
    Known,
}

/// The sum of one subject in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// Where the step begins: a multiple of it since the epoch.
    pub from: Timestamp,
    /// Whose use.
    pub subject: String,
    /// How many events.
    pub events: u64,
    /// How much.
    pub amount: u64,
}

/// Sums events per step and subject, ordered by both.
pub fn roll_up<'e>(entries: impl IntoIterator<Item = &'e UsageEntry>, step: Duration) -> Vec<Rolled> {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
    let mut sums: BTreeMap<(i64, &str), (u64, u64)> = BTreeMap::new();
    for entry in entries {
        let from = entry.at.as_millis().div_euclid(step).saturating_mul(step);
        let (events, amount) = sums.entry((from, &entry.subject)).or_default();
        *events += 1;
        *amount = amount.saturating_add(entry.amount);
    }
    let rolled = |((from, subject), (events, amount)): ((i64, &str), (u64, u64))| Rolled {
        from: Timestamp::from_millis(from),
        subject: subject.to_owned(),
        events,
        amount,
    };
    sums.into_iter().map(rolled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[(i64, &str, u64)], expect: &[(i64, &str, u64, u64)]) {
        let entry = |(at, subject, amount): &(i64, &str, u64)| UsageEntry {
            key: format!("{at}{subject}"),
            at: Timestamp::from_millis(*at),
            subject: (*subject).to_owned(),
            amount: *amount,
        };
        let entries: Vec<_> = events.iter().map(entry).collect();
        let rolled = roll_up(&entries, Duration::from_millis(10));
        let seen: Vec<_> =
            rolled.iter().map(|sum| (sum.from.as_millis(), sum.subject.as_str(), sum.events, sum.amount)).collect();
        assert_eq!(seen, expect);
    }

    #[test]
    fn sums_are_per_step_and_subject() {
        check(&[], &[]);
        check(
            &[(12, "b", 1), (3, "a", 2), (9, "a", 3), (10, "a", 4)],
            &[(0, "a", 2, 5), (10, "a", 1, 4), (10, "b", 1, 1)],
        );
        check(&[(-1, "a", 1)], &[(-10, "a", 1, 1)]);
    }
}
