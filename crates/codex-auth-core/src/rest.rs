//! A rest: until when an account is not asked, why, and for which requests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The longest wait we believe; a wrong clock or a wild header costs at most this.
pub const LONGEST_REST: Duration = Duration::from_hours(31 * 24);

/// A wait of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// First instant at which the account may be asked again.
    pub until: Timestamp,
    /// What it recovers from.
    pub reason: RestReason,
    /// Which requests it keeps away.
    pub scope: RestScope,
}

/// What an account recovers from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestReason {
    /// The backend said the account's quota is spent.
    UsageLimit,
    /// The backend or issuer refused its token for the moment.
    Auth,
    /// The way to the backend broke.
    Network,
    /// The backend answered with a fault of its own.
    Server,
}

/// Which requests a rest keeps away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestScope {
    /// All of them.
    Account,
    /// Those of one quota key of the predecessors' format, `<family>` or `<family>:<model>`.
    QuotaKey(String),
}

impl Rest {
    /// A rest of the whole account, clamped to [`LONGEST_REST`].
    pub fn of_account(reason: RestReason, until: Timestamp, now: Timestamp) -> Self {
        Self { until: until.min(now.after(LONGEST_REST)), reason, scope: RestScope::Account }
    }

    /// Whether the account still rests at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl RestReason {
    /// The spelling of the predecessor's `cooldownReason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsageLimit => "rate-limit",
            Self::Auth => "auth-failure",
            Self::Network => "network-error",
            Self::Server => "server-error",
        }
    }

    /// Whether rests of this kind are one process's own business: short ones after faults, which nobody else need know.
    pub fn is_in_memory(self) -> bool {
        match self {
            Self::Network | Self::Server | Self::Auth => true,
            Self::UsageLimit => false,
        }
    }

    /// Reads the predecessor's spelling; unknown words are a usage limit, the most patient reading.
    pub fn parse(text: &str) -> Self {
        match text {
            "auth-failure" => Self::Auth,
            "network-error" => Self::Network,
            "server-error" => Self::Server,
            _ => Self::UsageLimit,
        }
    }
}

/// How long an account rests after each kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestPolicy {
    /// After a broken connection.
    pub network: Duration,
    /// After a 5xx.
    pub server: Duration,
    /// After a refused token that may work again.
    pub auth: Duration,
    /// After a 429 that names no reset.
    pub usage: Duration,
}

impl RestPolicy {
    /// How long a rest of this kind is where nobody told its end.
    pub fn of(&self, reason: RestReason) -> Duration {
        match reason {
            RestReason::UsageLimit => self.usage,
            RestReason::Auth => self.auth,
            RestReason::Network => self.network,
            RestReason::Server => self.server,
        }
    }
}

impl Default for RestPolicy {
    /// The predecessor's defaults: 6 s, 4 s, 30 s, 60 s.
    fn default() -> Self {
        Self {
            network: Duration::from_secs(6),
            server: Duration::from_secs(4),
            auth: Duration::from_secs(30),
            usage: Duration::from_mins(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_its_instant() {
        let now = Timestamp::from_millis(1000);
        let rest = Rest::of_account(RestReason::Server, Timestamp::from_millis(2000), now);
        assert!(rest.holds(Timestamp::from_millis(1999)));
        assert!(!rest.holds(Timestamp::from_millis(2000)));
    }

    #[test]
    fn a_wild_reset_is_clamped() {
        let now = Timestamp::from_millis(0);
        let rest = Rest::of_account(RestReason::UsageLimit, Timestamp::from_millis(i64::MAX), now);
        assert_eq!(rest.until, now.after(LONGEST_REST));
    }
}
