//! Owns the summary of a fake: what every account came to, with tokens named by fingerprint only.

use serde::Serialize;

use crate::jwt::fingerprint;
use crate::people::{Person, Who};
use crate::world::{Counts, World};

/// What a fake came to so far.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    /// The pool's accounts, the outsider, and whoever else was seen.
    pub accounts: Vec<AccountState>,
    /// Faults that have not struck yet, standing ones included.
    pub faults_waiting: usize,
    /// Answers that wait to be released.
    pub held: usize,
    /// Number of records in the log.
    pub requests: usize,
}

/// What one account came to.
#[derive(Clone, Debug, Serialize)]
pub struct AccountState {
    /// Whose.
    pub account: Who,
    /// `chatgpt_user_id`.
    pub user_id: String,
    /// `chatgpt_account_id`.
    pub account_id: String,
    /// Address.
    pub email: String,
    /// What the account's tokens were used for.
    #[serde(flatten)]
    pub counts: Counts,
    /// Whether the sign-in that documents are written with was revoked.
    pub revoked: bool,
    /// Until when the account is used up, in milliseconds since the epoch.
    pub exhausted_until_ms: Option<i64>,
    /// First 12 hex digits of the SHA-256 of the tokens that documents are written with now.
    pub tokens: Option<Fingerprints>,
}

/// Tokens, unrecognisable but comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fingerprints {
    /// Of the access token.
    pub access: String,
    /// Of the refresh token.
    pub refresh: String,
}

impl State {
    pub(crate) fn of(world: &World, now_ms: i64) -> Self {
        let mut whose: Vec<Who> = world.people.pool().map(Who::Account).collect();
        whose.push(Who::Outsider);
        let strangers = world.counts.keys().filter(|who| !whose.contains(who)).copied().collect::<Vec<_>>();
        whose.extend(strangers);
        Self {
            accounts: whose.into_iter().map(|who| account(world, &world.people.person(who), now_ms)).collect(),
            faults_waiting: world.faults.waiting(),
            held: world.held,
            requests: world.log.records().len(),
        }
    }

    /// The state of one account.
    pub fn account(&self, who: Who) -> Option<&AccountState> {
        self.accounts.iter().find(|state| state.account == who)
    }
}

fn account(world: &World, person: &Person, now_ms: i64) -> AccountState {
    let grants = &world.issuer.grants;
    AccountState {
        account: person.who,
        user_id: person.user_id.clone(),
        account_id: person.account_id.clone(),
        email: person.email.clone(),
        counts: world.counts.get(&person.who).copied().unwrap_or_default(),
        revoked: grants.is_revoked(person.who),
        exhausted_until_ms: world.backend.quotas.resting_until(person.who, now_ms),
        tokens: grants
            .current(person.who)
            .map(|tokens| Fingerprints { access: fingerprint(&tokens.access), refresh: fingerprint(&tokens.refresh) }),
    }
}
