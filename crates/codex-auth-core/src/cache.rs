//! What the backend keeps of the prompts it has read, as far as it can be known from outside.
//!
//! Source: the vendor's pages on prompt caching. An account caches the beginnings of prompts in blocks of 128 tokens,
//! from 1,024 on; what is not used for five minutes may be gone, and an hour after it was written it is.

use std::time::Duration;

use crate::Timestamp;

const BLOCK: u64 = 128;
const LEAST: u64 = 1024;
const UNUSED: Duration = Duration::from_mins(5);
const LATEST: Duration = Duration::from_hours(1);

/// How much of a beginning of this length is cached.
pub(crate) fn blocks(tokens: u64) -> u64 {
    if tokens < LEAST { 0 } else { tokens / BLOCK * BLOCK }
}

/// When something cached was written and last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) since: Timestamp,
    pub(crate) used_at: Timestamp,
}

impl Life {
    /// It begins.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { since: now, used_at: now }
    }

    /// Whether the cache holds it still.
    pub(crate) fn lasts(self, now: Timestamp) -> bool {
        now.since(self.used_at) <= UNUSED && now.since(self.since) <= LATEST
    }

    /// It is used again; what was gone is written anew.
    pub(crate) fn used(self, now: Timestamp) -> Self {
        if self.lasts(now) { Self { used_at: now.max(self.used_at), ..self } } else { Self::new(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_beginnings_are_not_cached() {
        assert_eq!([1023, 1024, 1151, 1152].map(blocks), [0, 1024, 1024, 1152]);
    }

    #[test]
    fn it_lasts_five_minutes_unused_and_an_hour_at_most() {
        let at = |minutes: i64| Timestamp::from_secs(60 * minutes);
        let mut life = Life::new(at(0));
        assert!(life.lasts(at(5)) && !life.lasts(at(6)));
        (1..=15).for_each(|step| life = life.used(at(4 * step)));
        assert!(life.lasts(at(60)) && !life.lasts(at(61)));
        assert_eq!(life.used(at(61)), Life::new(at(61)));
    }
}
