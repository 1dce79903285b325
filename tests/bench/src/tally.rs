//! What a load came to. A request that failed is counted apart and is in no percentile and no rate.

use std::time::Duration;

/// Successes with their durations, and failures.
#[derive(Debug, Default)]
pub struct Tally {
    /// What each success took, in nanoseconds.
    pub took: Vec<u64>,
    /// Requests that brought no whole answer.
    pub failures: u64,
    /// What the first failure was.
    pub first_failure: Option<String>,
}

impl Tally {
    /// Counts a success.
    pub fn succeeded(&mut self, took: Duration) {
        self.took.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a failure.
    pub fn failed(&mut self, why: &impl ToString) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| why.to_string());
    }

    /// Adds another thread's count.
    pub fn add(&mut self, other: Self) {
        self.took.extend(other.took);
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }

    /// The value below which this share of the successes lies, in microseconds; 0 without any.
    pub fn percentile(&mut self, share: f64) -> f64 {
        self.took.sort_unstable();
        let last = self.took.len().saturating_sub(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list that fits memory, of a share between 0 and 1"
        )]
        let index = ((last as f64) * share).round() as usize;
        self.took.get(index).map_or(0.0, |nanos| Duration::from_nanos(*nanos).as_secs_f64() * 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_successes_only() {
        let mut tally = Tally::default();
        for micros in 1..=101 {
            tally.succeeded(Duration::from_micros(micros));
        }
        tally.failed(&"no");
        assert!((tally.percentile(0.5) - 51.0).abs() < 0.001);
        assert!((tally.percentile(0.99) - 100.0).abs() < 0.001);
        assert_eq!(tally.failures, 1);
    }
}
