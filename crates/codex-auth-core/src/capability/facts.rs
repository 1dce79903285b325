//! Facts: what answers taught about use, merged so that it does not matter who tells first, or how often.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::Timestamp;

use super::CapabilityError;

/// What is known of each key.
///
/// | Rule | Why |
/// |---|---|
/// | telling twice changes nothing | messages are repeated |
/// | the order of telling does not matter | hosts hear at different times |
/// | within an epoch what is known only grows; an older epoch never comes back | the last writer need not know most |
#[async_trait]
pub trait Facts: Debug + Send + Sync {
    /// Adds what was seen and returns what is known now.
    async fn append(&self, seen: Observation) -> Result<Observation, CapabilityError>;

    /// What is known of a key.
    async fn latest(&self, key: &str) -> Result<Option<Observation>, CapabilityError>;
}

/// Something seen. The order of the fields in comparison is the merge rule: a later epoch counts more than any use
/// in an earlier one; within one, use only grows; then whatever was seen later, then by name, so that no tie is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What it is about, such as an account's window.
    pub key: String,
    /// Which period it belongs to: the instant at which the window starts anew, or a counter.
    pub epoch: i64,
    /// Share used, in hundredths of a percent; or any count that only grows within an epoch.
    pub used: u64,
    /// When it was seen.
    pub taken_at: Timestamp,
    /// Who saw it.
    pub source: String,
}

impl Observation {
    /// What is known when both were seen; both are of one key.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    fn weight(&self) -> (i64, u64, Timestamp, &str) {
        (self.epoch, self.used, self.taken_at, &self.source)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen() -> impl Strategy<Value = Observation> {
        (0..3_i64, 0..3_u64, 0..3_i64, "[ab]").prop_map(|(epoch, used, taken_at, source)| {
            let taken_at = Timestamp::from_millis(taken_at);
            Observation { key: "k".into(), epoch, used, taken_at, source }
        })
    }

    proptest! {
        #[test]
        fn merging_is_idempotent_and_blind_to_order(a in seen(), b in seen(), c in seen()) {
            prop_assert_eq!(a.clone().merge(a.clone()), a.clone());
            prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
            let left = a.clone().merge(b.clone()).merge(c.clone());
            prop_assert_eq!(left, a.merge(b.merge(c)));
        }

        #[test]
        fn what_is_known_never_goes_back(a in seen(), b in seen()) {
            let known = a.clone().merge(b);
            prop_assert!(known.epoch > a.epoch || (known.epoch == a.epoch && known.used >= a.used));
        }
    }
}
