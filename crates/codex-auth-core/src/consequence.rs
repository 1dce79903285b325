//! What an outcome changes about an account, here and on disk.

use crate::{Held, NeedsLogin, Outcome, Rest, RestPolicy, Timestamp};

/// What an outcome changes about an account.
pub(crate) enum Consequence {
    /// It rests.
    Rests(Rest),
    /// Only a new sign-in helps.
    NeedsLogin(NeedsLogin),
    /// Its workspace is gone.
    Disabled,
}

impl Consequence {
    /// What follows, if anything.
    pub(crate) fn of(outcome: &Outcome, policy: RestPolicy, now: Timestamp) -> Option<Self> {
        if let Outcome::TokenInvalidated { code } = outcome {
            return Some(Self::NeedsLogin(NeedsLogin { code: code.clone(), at: now }));
        }
        if let Outcome::Deactivated { .. } = outcome {
            return Some(Self::Disabled);
        }
        let (reason, until) = outcome.rest(policy, now)?;
        Some(Self::Rests(Rest::of_account(reason, until, now)))
    }

    /// Changes the account.
    pub(crate) fn apply(&self, held: &mut Held) {
        match self {
            Self::Rests(rest) => held.account.rest(rest.clone()),
            Self::NeedsLogin(needs) => held.account.needs_login = Some(needs.clone()),
            Self::Disabled => held.account.enabled = false,
        }
    }

    /// Short rests after faults are this process's own business; the rest must outlive it.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Rests(rest) => !rest.reason.is_in_memory(),
            Self::NeedsLogin(_) | Self::Disabled => true,
        }
    }
}
