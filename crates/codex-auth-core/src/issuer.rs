//! The port to whoever grants and renews tokens.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{Account, Granted, Kind, RefreshToken};

/// Renews credentials.
#[async_trait]
pub trait TokenIssuer: Debug + Send + Sync {
    /// Presents the refresh token of `account` once. A token goes to the issuer that granted it and to no other.
    async fn refresh(
        &self,
        account: &Account,
        token: &RefreshToken,
        why: RefreshReason,
    ) -> Result<Granted, RefreshError>;
}

/// Why a credential is renewed; the official client tells its issuer so, and so do we (protocol 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReason {
    /// The access token is about to end, or has ended.
    ProactiveExpiry,
    /// The access token names no end, and it is old.
    Scheduled,
    /// The backend refused the access token.
    UnauthorizedRecovery,
    /// Somebody asked for it.
    Forced,
}

impl RefreshReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::ProactiveExpiry, Self::Scheduled, Self::UnauthorizedRecovery, Self::Forced];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProactiveExpiry => "proactive_expiry",
            Self::Scheduled => "scheduled",
            Self::UnauthorizedRecovery => "unauthorized_recovery",
            Self::Forced => "forced",
        }
    }

    /// The reason of a word on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why there is no new credential. Sorted by whether the token may be spent, because that decides what is allowed next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshError {
    /// The issuer answered and refused; presenting the same token again cannot help and may revoke its family.
    #[error("the issuer refused the refresh token: {code}")]
    Refused {
        /// OAuth error code, or `http_<status>` where the answer had none.
        code: String,
    },
    /// A complete answer that refuses us and says nothing against the token: a policy, the region, a request it did not
    /// like. No token was granted with it, and only a grant spends one (RFC 6749, 5.2 and 6).
    #[error("the issuer did not renew it: {code}")]
    Declined {
        /// OAuth error code, or `http_<status>` where the answer had none.
        code: String,
    },
    /// A complete 429: the token was not looked at.
    #[error("the issuer asks to wait")]
    Throttled {
        /// How long, where told.
        wait: Option<Duration>,
    },
    /// No connection was made: the token was not sent.
    #[error("the issuer could not be reached: {why}")]
    Unsent {
        /// What failed, without addresses' queries or bodies.
        why: String,
    },
    /// Something was sent and no usable answer came: the token may be spent.
    #[error("the issuer's answer was lost: {why}")]
    Lost {
        /// What broke.
        why: String,
    },
    /// The account was signed in at another issuer than the one in use.
    #[error("the account was signed in at {recorded}, but {configured} is in use")]
    OtherIssuer {
        /// Issuer that granted the token.
        recorded: String,
        /// Issuer in use now.
        configured: String,
    },
}

impl RefreshError {
    /// Whether the token is certainly still unspent, so that it may be presented later.
    pub fn is_unspent(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Declined { .. } | Self::Unsent { .. } | Self::OtherIssuer { .. } => true,
            Self::Refused { .. } | Self::Lost { .. } => false,
        }
    }

    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { .. } | Self::OtherIssuer { .. } => Kind::NeedsLogin,
            Self::Throttled { .. } | Self::Declined { .. } => Kind::Wait { until: None },
            Self::Unsent { .. } | Self::Lost { .. } => Kind::Network,
        }
    }
}
