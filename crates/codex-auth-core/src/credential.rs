//! The tokens of one account, and which of two sets is the newer one.

use crate::{AccessToken, Claims, IdToken, RefreshToken, Timestamp};

/// Tokens as they were granted together. A newer generation always wins; an older one never overwrites it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Proves who asks; absent after an import that carried only a refresh token.
    pub access: Option<AccessToken>,
    /// Buys the next credential; presented at most once.
    pub refresh: RefreshToken,
    /// Real id token, where we have one.
    pub id: Option<IdToken>,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// When the issuer granted this set; `None` when a file does not tell.
    pub obtained_at: Option<Timestamp>,
    /// How many times the credential of this account has been replaced.
    pub generation: u64,
}

impl Credential {
    /// Whether the access token is there and lives longer than `skew` past `now`.
    pub fn is_live(&self, now: Timestamp, skew: std::time::Duration) -> bool {
        self.access.is_some() && self.expires_at.is_none_or(|end| end > now.after(skew))
    }

    /// Whether both carry the same refresh token, that is, the same grant.
    pub fn same_grant(&self, other: &Self) -> bool {
        self.refresh == other.refresh
    }

    /// The credential that follows this one when `granted` arrives: what the issuer left out is kept.
    #[must_use]
    pub fn succeeded_by(&self, granted: Granted, now: Timestamp) -> Self {
        // The end of a replaced token says nothing about the new one.
        let kept_end = if granted.access.is_some() { None } else { self.expires_at };
        Self {
            access: granted.access.or_else(|| self.access.clone()),
            refresh: granted.refresh.unwrap_or_else(|| self.refresh.clone()),
            id: granted.id.or_else(|| self.id.clone()),
            expires_at: granted.expires_at.or(kept_end),
            obtained_at: Some(now),
            generation: self.generation + 1,
        }
    }
}

/// What an issuer's answer carried; absent parts keep their old value (`official-codex` refresh rule).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// New access token.
    pub access: Option<AccessToken>,
    /// New refresh token; when absent the old one stays valid.
    pub refresh: Option<RefreshToken>,
    /// New id token.
    pub id: Option<IdToken>,
    /// End of the new access token.
    pub expires_at: Option<Timestamp>,
    /// Whom the new tokens name; a broker must never hand out another account's.
    pub claims: Claims,
}
