//! What an outcome changes about an account, here and on disk.

use crate::{AccessToken, Credential, Held, NeedsLogin, Outcome, Rest, RestPolicy, Timestamp};

/// What an outcome changes about an account.
#[derive(Debug, Clone)]
pub(crate) enum Consequence {
    /// It rests.
    Rests(Rest),
    /// Only a new sign-in helps the account that wears this token.
    NeedsLogin(NeedsLogin, Option<AccessToken>),
    /// Its workspace is gone.
    Disabled,
    /// It served.
    Used(Timestamp),
    /// It has a new credential, which the keeper has written.
    Renewed(Box<Credential>),
}

impl Consequence {
    /// What follows, if anything, for the account that was asked as `worn`.
    pub(crate) fn of(outcome: &Outcome, worn: &Held, policy: RestPolicy, now: Timestamp) -> Option<Self> {
        if let Outcome::TokenInvalidated { code } = outcome {
            let needs = NeedsLogin { code: code.clone(), at: now };
            return Some(Self::NeedsLogin(needs, worn.credential.access.clone()));
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
            // A sign-in made meanwhile is not the one that was invalidated.
            Self::NeedsLogin(_, refused) if held.credential.access != *refused => {}
            Self::NeedsLogin(needs, _) => held.account.needs_login = Some(needs.clone()),
            Self::Disabled => held.account.enabled = false,
            // A newer generation always wins.
            Self::Renewed(fresh) if fresh.generation > held.credential.generation => {
                held.credential = (**fresh).clone();
            }
            Self::Renewed(_) => {}
            Self::Used(at) => held.account.seen.last_used_at = held.account.seen.last_used_at.max(*at),
        }
    }

    /// Short rests after faults are this process's own business; the rest must outlive it.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Rests(rest) => !rest.reason.is_in_memory(),
            Self::NeedsLogin(..) | Self::Disabled | Self::Used(_) => true,
            Self::Renewed(_) => false,
        }
    }
}
