//! Owns how a span of time reads: `3d 11h`, `2h 5m`, `59m 12s`, `28s`.

use std::time::Duration;

use codex_auth_core::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A span in its two largest units; a part of a second counts as a whole one, so that no wait ends early.
pub fn wait(span: Duration) -> String {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m {}s", seconds / MINUTE, seconds % MINUTE),
        HOUR..DAY => format!("{}h {}m", seconds / HOUR, seconds % HOUR / MINUTE),
        DAY.. => format!("{}d {}h", seconds / DAY, seconds % DAY / HOUR),
    }
}

/// How long ago `then` was, in whole seconds; `0s` when it lies in the future.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    wait(Duration::from_secs(now.since(then).as_secs()))
}

/// How long it is until `then`.
pub(crate) fn left(then: Timestamp, now: Timestamp) -> String {
    wait(then.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: u64, expect: &str) {
        assert_eq!(wait(Duration::from_millis(millis)), expect);
    }

    #[test]
    fn two_units_at_most() {
        check(0, "0s");
        check(28_000, "28s");
        check(59_000, "59s");
        check(60_000, "1m 0s");
        check(3_552_000, "59m 12s");
        check(7_500_000, "2h 5m");
        check(300_000_000, "3d 11h");
    }

    #[test]
    fn a_wait_never_ends_early() {
        check(1, "1s");
        check(59_001, "1m 0s");
    }

    #[test]
    fn an_age_counts_whole_seconds() {
        assert_eq!(age(Timestamp::from_millis(1), Timestamp::from_millis(2000)), "1s");
        assert_eq!(age(Timestamp::from_millis(9000), Timestamp::from_millis(2000)), "0s");
    }
}
