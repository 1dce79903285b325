//! Owns how an engine without a server's clock makes time that never runs back out of a host's clock that may.

use crate::Timestamp;

/// The engine's clock, as it is kept between two readings.
///
/// The host's clock says only how much time has passed since it was read last. Set back, it says that none has, and
/// goes on from there; what has expired stays expired. Set forward, leases end early, which fences make harmless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineTime {
    /// The engine's instant.
    pub now: Timestamp,
    /// What the host's clock said then.
    pub host: Timestamp,
}

impl EngineTime {
    /// The time at which the host's clock says `host`.
    #[must_use]
    pub fn tick(self, host: Timestamp) -> Self {
        if self == Self::default() {
            return Self { now: host, host };
        }
        Self { now: self.now.after(host.since(self.host)), host }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &[i64], expect: &[i64]) {
        let mut time = EngineTime::default();
        let seen = host.iter().map(|millis| {
            time = time.tick(Timestamp::from_millis(*millis));
            time.now.as_millis()
        });
        assert_eq!(seen.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn it_follows_the_host_forward_and_never_back() {
        check(&[100, 150, 160], &[100, 150, 160]);
        check(&[100, 150, 20], &[100, 150, 150]);
    }

    #[test]
    fn it_goes_on_after_the_host_was_set_back() {
        check(&[100, 9000, 110, 130], &[100, 9000, 9000, 9020]);
    }
}
