//! What an outcome changes about an account, here and on disk.

use crate::{AccessToken, Credential, Held, Incident, NeedsLogin, Outcome, Rest, RestPolicy, Timestamp};

/// What an outcome changes about an account.
#[derive(Debug, Clone)]
pub(crate) enum Consequence {
    /// It rests.
    Rests(Rest),
    /// Only a new sign-in helps the account that wears this token.
    NeedsLogin(NeedsLogin, Option<AccessToken>),
    /// The token it wears was refused right after it was granted.
    InVain(Incident, Option<AccessToken>),
    /// A token of this generation was good.
    Recovered(u64),
    /// Its workspace is gone.
    Disabled,
    /// It served.
    Used(Timestamp),
    /// It has a new credential, which the keeper has written.
    Renewed(Box<Credential>),
}

impl Consequence {
    /// What follows, if anything, for the account that was asked as `worn`.
    pub(crate) fn of(
        outcome: &Outcome,
        worn: &Held,
        quota_key: Option<&str>,
        (policy, now): (RestPolicy, Timestamp),
    ) -> Option<Self> {
        if let Outcome::TokenInvalidated { code } = outcome {
            let needs = NeedsLogin { code: code.clone(), at: now };
            return Some(Self::NeedsLogin(needs, worn.credential.access.clone()));
        }
        if let Outcome::Deactivated { .. } = outcome {
            return Some(Self::Disabled);
        }
        outcome.rest(policy, quota_key, now).map(Self::Rests)
    }

    /// What an answer means for an incident of the account. `refreshed`: the token it was given to had just been granted.
    pub(crate) fn of_incident(
        outcome: &Outcome,
        worn: &Held,
        known: Option<&Incident>,
        refreshed: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let generation = worn.credential.generation;
        if refreshed && *outcome == Outcome::Unauthorized {
            let incident = Incident::refused_again(known, generation, now)?;
            let refused = worn.credential.access.clone();
            return Some(match incident.needs_login() {
                Some(code) => Self::NeedsLogin(NeedsLogin { code: code.to_owned(), at: now }, refused),
                None => Self::InVain(incident, refused),
            });
        }
        let ends = outcome.shows_a_good_token() && known.is_some_and(|known| known.ends_with_an_answer(generation));
        ends.then_some(Self::Recovered(generation))
    }

    /// Changes the account.
    pub(crate) fn apply(&self, held: &mut Held) {
        match self {
            Self::Rests(rest) => held.account.rest(rest.clone()),
            // A sign-in made meanwhile is not the one that was invalidated.
            Self::NeedsLogin(_, refused) | Self::InVain(_, refused) if held.credential.access != *refused => {}
            Self::NeedsLogin(needs, _) => {
                held.account.needs_login = Some(needs.clone());
                held.account.incident = None;
            }
            Self::InVain(incident, _) => held.account.incident = Some(incident.clone()),
            Self::Recovered(generation) => {
                held.account.incident.take_if(|incident| incident.ends_with_an_answer(*generation));
            }
            Self::Disabled => held.account.enabled = false,
            // A newer generation always wins.
            Self::Renewed(fresh) if fresh.generation > held.credential.generation => {
                held.credential = (**fresh).clone();
            }
            Self::Renewed(_) => {}
            Self::Used(at) => held.account.seen.last_used_at = held.account.seen.last_used_at.max(*at),
        }
    }

    /// A mark is durable before anything else happens.
    pub(crate) fn is_urgent(&self) -> bool {
        match self {
            Self::NeedsLogin(..) => true,
            Self::Rests(_)
            | Self::InVain(..)
            | Self::Recovered(_)
            | Self::Disabled
            | Self::Used(_)
            | Self::Renewed(_) => false,
        }
    }

    /// Short rests after faults are this process's own business; the rest must outlive it.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Rests(rest) => !rest.reason.is_in_memory(),
            Self::NeedsLogin(..) | Self::InVain(..) | Self::Recovered(_) | Self::Disabled | Self::Used(_) => true,
            Self::Renewed(_) => false,
        }
    }
}
