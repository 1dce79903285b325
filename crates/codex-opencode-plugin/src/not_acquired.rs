//! Why no account serves a request of the host: the types, statuses and sentences its users know (plugin 7.4).

use std::time::Duration;

use codex_auth_core::{ANSWER_LOST, Cause, Held, KeepError, Kind, Refusal, SavedPool, StoreError, Timestamp};
use codex_auth_store::opencode::Domain;
use serde_json::{Value, json};

use crate::IdentityKeyField;

/// Why nobody serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAcquired {
    /// There is no account.
    #[error("No OpenAI {} accounts configured. Run `opencode auth login`.", mode.name())]
    NoAccounts {
        /// In which half of the file.
        mode: Domain,
    },
    /// All are out of service.
    #[error("No enabled OpenAI {} accounts available. Enable an account or run `opencode auth login`.", mode.name())]
    NoneEnabled {
        /// In which half of the file.
        mode: Domain,
    },
    /// Nobody knows whose the accounts are that might serve.
    #[error("Selected OpenAI account is missing identity metadata. Run `opencode auth login` to reauthenticate.")]
    MissingIdentity,
    /// All that might serve rest.
    #[error(
        "All enabled OpenAI accounts are cooling down. Try again in {} or run `opencode auth login`.",
        wait_label(Some(*wait))
    )]
    CoolingDown {
        /// When the first is ready.
        until: Timestamp,
        /// How long that is from now.
        wait: Duration,
    },
    /// The issuer wants new sign-ins.
    #[error("{}", rejected(*others))]
    NeedsLogin {
        /// The code of the last one, for the log.
        code: String,
        /// Whether other accounts are in service.
        others: bool,
    },
    /// Accounts are being signed out one after the other, so nobody's refresh token is presented.
    #[error("Several OpenAI accounts were signed out within ten minutes. Run `opencode auth login` for each of them.")]
    HeldBack {
        /// When renewals go on.
        until: Timestamp,
    },
    /// Nothing could be renewed.
    #[error("Failed to refresh OpenAI access token. Run `opencode auth login` and try again.")]
    RefreshFailed(KeepError),
    /// A rule or a choice of the user keeps everybody away.
    #[error("No OpenAI account may serve this request. Run `codex-multi-auth why-selected --now` to see why.")]
    KeptAway,
    /// The store did not obey.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotAcquired {
    /// The renewal that failed last is why; the cause is told, not the rest that followed from it.
    pub(crate) fn of_renewal(error: KeepError, pool: &SavedPool) -> Self {
        match error {
            KeepError::NeedsLogin { code } => Self::of_mark(code, pool),
            KeepError::HeldBack { until, .. } => Self::HeldBack { until },
            KeepError::Store(error) => Self::Store(error),
            error @ (KeepError::Paused { .. } | KeepError::Issuer(_)) => Self::RefreshFailed(error),
        }
    }

    /// The answer of core in the words of the host's users.
    pub(crate) fn of_refusal(refusal: &Refusal, (pool, mode): (&SavedPool, Domain), now: Timestamp) -> Self {
        let resting = |until: Timestamp| Self::CoolingDown { until, wait: until.since(now) };
        match &refusal.cause {
            Cause::NoAccounts => Self::NoAccounts { mode },
            Cause::UsageLimited { until } | Cause::NoModel { until } | Cause::Unreachable { until: Some(until) } => {
                resting(*until)
            }
            Cause::NeedsUser => Self::of_accounts(pool, mode),
            Cause::Pinned { until: Some(until), .. } => resting(*until),
            Cause::Pinned { until: None, .. }
            | Cause::Unreachable { until: None }
            | Cause::NothingSelected
            | Cause::Denied(_) => Self::KeptAway,
        }
    }

    fn of_accounts(pool: &SavedPool, mode: Domain) -> Self {
        let enabled = || pool.accounts.iter().filter(|held| held.account.enabled);
        if let Some(needs) = enabled().filter_map(|held| held.account.needs_login.as_ref()).next_back() {
            return Self::of_mark(needs.code.clone(), pool);
        }
        let is_nobodys = |held: &Held| IdentityKeyField::of(&held.account.owner).is_none();
        if enabled().any(is_nobodys) { Self::MissingIdentity } else { Self::NoneEnabled { mode } }
    }

    /// What the issuer refused is told as that; a refresh whose answer never came was refused by nobody.
    fn of_mark(code: String, pool: &SavedPool) -> Self {
        if code == ANSWER_LOST {
            return Self::RefreshFailed(KeepError::NeedsLogin { code });
        }
        Self::NeedsLogin { code, others: has_others(pool) }
    }

    /// The type and the status of the answer the host gets.
    pub fn wire(&self) -> (&'static str, u16) {
        match self {
            Self::NoAccounts { .. } => ("no_accounts_configured", 401),
            Self::NoneEnabled { .. } => ("no_enabled_accounts", 403),
            Self::MissingIdentity => ("missing_account_identity", 401),
            Self::CoolingDown { .. } => ("all_accounts_cooling_down", 429),
            Self::NeedsLogin { .. } => ("refresh_invalid_grant", 401),
            Self::HeldBack { .. } => ("token_invalidated_wave", 400),
            Self::RefreshFailed(_) => ("refresh_failed", 401),
            Self::KeptAway => ("no_valid_access_token", 401),
            Self::Store(_) => ("auth_storage_error", 500),
        }
    }

    /// What of the request the answer is about.
    pub fn param(&self) -> &'static str {
        match self {
            Self::NoAccounts { .. }
            | Self::NoneEnabled { .. }
            | Self::MissingIdentity
            | Self::CoolingDown { .. }
            | Self::HeldBack { .. } => "accounts",
            Self::NeedsLogin { .. } | Self::RefreshFailed(_) | Self::KeptAway | Self::Store(_) => "auth",
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let (kind, _) = self.wire();
        json!({ "error": { "message": self.to_string(), "type": kind, "param": self.param() } })
    }

    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoAccounts { .. }
            | Self::NoneEnabled { .. }
            | Self::MissingIdentity
            | Self::NeedsLogin { .. }
            | Self::KeptAway => Kind::NeedsLogin,
            Self::CoolingDown { until, .. } | Self::HeldBack { until } => Kind::Wait { until: Some(*until) },
            Self::RefreshFailed(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// A wait in a message: `1m 30s`, `30s`, or that nobody knows.
pub fn wait_label(wait: Option<Duration>) -> String {
    match wait.map(|wait| wait.as_secs()) {
        None => "a short while".to_owned(),
        Some(seconds @ ..60) => format!("{seconds}s"),
        Some(seconds) => format!("{}m {}s", seconds / 60, seconds % 60),
    }
}

fn rejected(others: bool) -> &'static str {
    if others {
        "OpenAI refresh token was rejected (invalid_grant). Run `opencode auth login` to reauthenticate this account."
    } else {
        "All enabled OpenAI refresh tokens were rejected (invalid_grant). Run `opencode auth login` to reauthenticate."
    }
}

fn has_others(pool: &SavedPool) -> bool {
    let serves = |held: &Held| held.account.enabled && held.account.needs_login.is_none();
    pool.accounts.iter().any(serves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_as_the_hosts_users_know_them() {
        let cases = [
            (None, "a short while"),
            (Some(0), "0s"),
            (Some(59_999), "59s"),
            (Some(60_000), "1m 0s"),
            (Some(61_500), "1m 1s"),
        ];
        for (millis, label) in cases {
            assert_eq!(wait_label(millis.map(Duration::from_millis)), label);
        }
    }
}
