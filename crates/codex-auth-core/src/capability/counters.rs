//! Counters: room under a limit, reserved before something is done and settled after.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::Timestamp;

use super::CapabilityError;

/// How much is used and reserved of what.
///
/// | Rule | Why |
/// |---|---|
/// | a grant is given only when used, reserved and asked stay within the limit | a seat has so many streams |
/// | a grant ends once: settled, released or expired | an end told twice would free room twice |
/// | a grant nobody ends expires by the engine's clock | its holder died |
/// | settling an expired grant is refused | its room was given to somebody else |
#[async_trait]
pub trait Counters: Debug + Send + Sync {
    /// Reserves `amount` under `limit` for at most `ttl`.
    async fn reserve(&self, key: &str, amount: u64, limit: u64, ttl: Duration) -> Result<Grant, CapabilityError>;

    /// Ends a grant and counts what was really used, which may be more or less than was reserved.
    async fn settle(&self, grant: Grant, actual: u64) -> Result<Usage, CapabilityError>;

    /// Ends a grant of which nothing was used.
    async fn release(&self, grant: Grant) -> Result<Usage, CapabilityError>;

    /// How it stands now.
    async fn usage(&self, key: &str) -> Result<Usage, CapabilityError>;
}

/// Reserved room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a grant is settled or released, or it keeps its room until it expires"]
pub struct Grant {
    /// The counter.
    pub key: String,
    /// Which of its grants.
    pub id: u64,
    /// How much.
    pub amount: u64,
    /// Its end by the engine's clock.
    pub until: Timestamp,
}

/// How a counter stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Settled for good.
    pub used: u64,
    /// In grants that have not ended.
    pub reserved: u64,
}

impl Usage {
    /// What is left under a limit.
    pub fn left(self, limit: u64) -> u64 {
        limit.saturating_sub(self.used.saturating_add(self.reserved))
    }
}
