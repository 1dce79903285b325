//! Owns taking an operation back: what it changed is set to what it was, unless somebody changed it since. Pure.
//!
//! Tokens never go back: an account that is still there keeps its newest ones, and one that comes back gets the newest
//! there are.

use std::fmt;

use codex_auth_core::{Held, RecordId, SavedPool};

use crate::oplog::{Logged, facts::Facts};

/// What could not be taken back, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// The account was changed since; this part of it was left as it is.
    ChangedSince {
        /// The account, as a person calls it.
        who: String,
        /// What.
        what: &'static str,
    },
    /// The account is there again already.
    ThereAgain {
        /// The account.
        who: String,
    },
    /// The official client's login is another one by now, or could not be written.
    LoginStays {
        /// Why.
        why: String,
    },
    /// The key of the client's configuration was set anew since.
    ConfigStays {
        /// The file.
        path: String,
    },
    /// The rule says something else by now.
    RuleStays {
        /// The file.
        file: String,
    },
    /// Its tokens are in no copy any more.
    NoCopy {
        /// The account.
        who: String,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangedSince { who, what } => write!(out, "The {what} of {who} was changed since and stays."),
            Self::ThereAgain { who } => write!(out, "{who} is there again already."),
            Self::LoginStays { why } => write!(out, "Codex's own login stays as it is: {why}."),
            Self::ConfigStays { path } => write!(out, "The key in {path} was set anew since and stays."),
            Self::RuleStays { file } => write!(out, "The rule in {file} was changed since and stays."),
            Self::NoCopy { who } => {
                write!(
                    out,
                    "{who} cannot come back: no copy has its tokens. Sign in again with `codex-multi-auth login`."
                )
            }
        }
    }
}

/// Takes `operation` back in `pool`. `tokens` knows the newest credential and the account as it was.
pub(crate) fn take_back(
    pool: &mut SavedPool,
    operation: &Logged,
    as_it_was: &dyn Fn(&RecordId) -> Option<Held>,
) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let (before, after) = (&operation.before, &operation.after);
    let find = |side: &[Facts], record: &RecordId| side.iter().find(|facts| facts.record == *record).cloned();
    for added in after.accounts.iter().filter(|facts| find(&before.accounts, &facts.record).is_none()) {
        pool.accounts.retain(|held| held.account.record != added.record);
    }
    for old in &before.accounts {
        match find(&after.accounts, &old.record) {
            Some(new) => reset(pool, old, &new, &mut remarks),
            None => bring_back(pool, old, as_it_was, &mut remarks),
        }
    }
    let is_there =
        |record: &Option<RecordId>, pool: &SavedPool| record.clone().filter(|record| pool.find(record).is_some());
    // A selection that went with its account comes back with it.
    let went = before
        .active
        .as_ref()
        .is_some_and(|record| find(&after.accounts, record).is_none() && find(&before.accounts, record).is_some());
    if went || (before.active != after.active && pool.active == after.active) {
        pool.active.clone_from(&before.active);
    }
    if before.pin != after.pin && pool.pin == after.pin {
        pool.pin.clone_from(&before.pin);
    }
    pool.active =
        is_there(&pool.active, pool).or_else(|| pool.accounts.first().map(|held| held.account.record.clone()));
    pool.pin = is_there(&pool.pin, pool);
    pool.affinity_generation += 1;
    remarks
}

/// Sets what a person decided about an account back.
fn reset(pool: &mut SavedPool, old: &Facts, new: &Facts, remarks: &mut Vec<Remark>) {
    let who = name(old);
    let Some(held) = pool.find_mut(&old.record) else { return };
    let account = &mut held.account;
    let mut changed = |what| remarks.push(Remark::ChangedSince { who: who.clone(), what });
    back(&mut account.alias, &old.alias, &new.alias, || changed("alias"));
    back(&mut account.label, &old.label, &new.label, || changed("label"));
    back(&mut account.enabled, &old.enabled, &new.enabled, || changed("enabled state"));
}

fn back<T: Clone + PartialEq>(now: &mut T, old: &T, new: &T, changed: impl FnOnce()) {
    if old == new || now == old {
        return;
    }
    if now == new { *now = old.clone() } else { changed() }
}

fn bring_back(
    pool: &mut SavedPool,
    old: &Facts,
    as_it_was: &dyn Fn(&RecordId) -> Option<Held>,
    remarks: &mut Vec<Remark>,
) {
    let who = name(old);
    let Some(held) = as_it_was(&old.record) else { return remarks.push(Remark::NoCopy { who }) };
    let identity = held.account.owner.identity();
    let is_same = |there: &Held| {
        there.account.record == old.record || (identity.is_some() && there.account.owner.identity() == identity)
    };
    if pool.accounts.iter().any(is_same) {
        return remarks.push(Remark::ThereAgain { who });
    }
    let place = old.place.min(pool.accounts.len());
    pool.accounts.insert(place, held);
}

fn name(facts: &Facts) -> String {
    facts.alias.clone().or_else(|| facts.email.clone()).unwrap_or_else(|| "an unnamed account".to_owned())
}
