//! Owns folding sign-ins into a pool: one account per identity, the newest tokens win, and nothing known is lost.
//!
//! [`same`] says which sign-ins are one account, [`combined`] what that account then is. Both look at all of them at
//! once, so that the order in which they come does not matter.

use std::{collections::HashSet, mem};

use codex_auth_core::{Credential, Held, Owner, RecordId, SavedPool, Timestamp};

mod combined;
mod same;

use combined::{Roles, combined, order_of_use};

/// What became of one sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeOutcome {
    /// It is a new account.
    Added(RecordId),
    /// It brought newer tokens, or something we did not know, to an account.
    Updated(RecordId),
    /// The account had all of it, or something newer.
    Unchanged(RecordId),
}

impl MergeOutcome {
    /// The account it belongs to.
    pub fn record(&self) -> &RecordId {
        match self {
            Self::Added(record) | Self::Updated(record) | Self::Unchanged(record) => record,
        }
    }
}

/// Accounts that turned out to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fold {
    /// Under which name it goes on.
    pub(crate) kept: RecordId,
    /// The names it had, the one used last first; the kept one is among them.
    pub(crate) members: Vec<RecordId>,
}

/// Folds `incoming` into `pool`; the outcomes are in its order. Doing it twice changes nothing more.
pub fn merge(pool: &mut SavedPool, incoming: Vec<Held>, now: Timestamp) -> Vec<MergeOutcome> {
    gather(pool, incoming, now).0
}

/// The same for one sign-in that the user made for the account `record`. An account that names no identity takes on
/// that of the sign-in; the caller has seen to it that nothing contradicts.
pub fn merge_as(pool: &mut SavedPool, record: &RecordId, held: Held, now: Timestamp) -> MergeOutcome {
    if let Some(meant) = pool.find_mut(record).filter(|meant| meant.account.owner.identity().is_none()) {
        combined::fill(&mut meant.account.owner, &held.account.owner);
    }
    merge(pool, vec![held], now).pop().expect("one sign-in has one outcome")
}

/// Makes one account of those that are one. A pool without duplicates stays as it is.
pub(crate) fn fold(pool: &mut SavedPool, now: Timestamp) -> Vec<Fold> {
    gather(pool, Vec::new(), now).1
}

/// The account a sign-in belongs to, if it is one of the pool's.
pub(crate) fn known(pool: &SavedPool, owner: &Owner, credential: &Credential) -> Option<usize> {
    let all: Vec<&Held> = pool.accounts.iter().collect();
    same::find(&all, owner, &credential.refresh, same::IdOnly::Enough)
}

fn gather(pool: &mut SavedPool, incoming: Vec<Held>, now: Timestamp) -> (Vec<MergeOutcome>, Vec<Fold>) {
    let of_pool = pool.accounts.len();
    let mut all = mem::take(&mut pool.accounts);
    all.extend(incoming);
    // What the user decided stands in the pool; among equals, in the account used last.
    let deciding = |members: &[usize]| -> Vec<usize> {
        let mine: Vec<usize> = members.iter().copied().filter(|index| *index < of_pool).collect();
        order_of_use(&all, if mine.is_empty() { members } else { &mine })
    };
    let one = |members: &[usize]| {
        let deciding = deciding(members);
        combined(&all, members, Roles { base: deciding[0], kept: oldest(&all, &deciding) }, now)
    };
    let groups = same::groups(&all, one);
    if groups.len() == of_pool && all.len() == of_pool {
        // What every read finds: nothing to fold, and nothing is copied.
        drop(groups);
        pool.accounts = all;
        return (Vec::new(), Vec::new());
    }
    let mut names: HashSet<RecordId> = all[..of_pool].iter().map(|held| held.account.record.clone()).collect();
    let mut outcomes: Vec<Option<MergeOutcome>> = vec![None; all.len()];
    let mut folds = Vec::new();
    for (members, held) in groups {
        let deciding = deciding(&members);
        let (base, mut held) = (deciding[0], held.into_owned());
        let is_new = base >= of_pool;
        if !is_new && deciding.len() == 1 && brings_nothing(&held, &all[base]) {
            held.account.seen = all[base].account.seen;
        }
        if is_new {
            let mut free = names_like(&held.account.record).filter(|name| !names.contains(name));
            let name = free.next().expect("names do not end");
            drop(free);
            names.insert(name.clone());
            held.account.record = name;
        }
        let record = &held.account.record;
        let first = if is_new { members[0] } else { base };
        for index in members.iter().copied().filter(|index| *index >= of_pool) {
            let two = || combined(&all, &[first, index], Roles { base: first, kept: first }, now);
            let alone = || brings_nothing(&two(), &all[first]);
            outcomes[index] = Some(match (is_new, index == first) {
                (true, true) => MergeOutcome::Added(record.clone()),
                (true, false) | (false, _) if alone() => MergeOutcome::Unchanged(record.clone()),
                (true, false) | (false, _) => MergeOutcome::Updated(record.clone()),
            });
        }
        if !is_new && deciding.len() > 1 {
            let members = deciding.iter().map(|index| all[*index].account.record.clone());
            folds.push(Fold { kept: record.clone(), members: members.collect() });
        }
        pool.accounts.push(held);
    }
    follow(pool, &folds);
    (outcomes.into_iter().flatten().collect(), folds)
}

/// Whether a sign-in added nothing to an account but the time at which it was made.
fn brings_nothing(after: &Held, before: &Held) -> bool {
    let mut after = after.clone();
    after.account.seen = before.account.seen;
    after == *before
}

/// Selection and pin follow their account; a pool with accounts always has a selected one.
fn follow(pool: &mut SavedPool, folds: &[Fold]) {
    let now_called = |record: &RecordId| {
        let fold = folds.iter().find(|fold| fold.members.contains(record));
        fold.map_or_else(|| record.clone(), |fold| fold.kept.clone())
    };
    pool.active = pool.active.as_ref().map(now_called);
    pool.pin = pool.pin.as_ref().map(now_called);
    if pool.active.is_none() {
        pool.active = pool.accounts.first().map(|held| held.account.record.clone());
    }
}

/// The name that was there first: others refer to it already.
fn oldest(all: &[Held], members: &[usize]) -> usize {
    let age = |index: &&usize| {
        let account = &all[**index].account;
        let added = account.seen.added_at;
        (added <= Timestamp::default(), added, account.record.clone())
    };
    *members.iter().min_by_key(age).expect("a group has members")
}

/// The record id itself, then ids for accounts that were copied with it: two accounts never share one.
pub(crate) fn names_like(record: &RecordId) -> impl Iterator<Item = RecordId> {
    let copy = move |number: usize| RecordId::parse(&format!("{record}~{number}")).expect("a record id is not blank");
    std::iter::once(record.clone()).chain((2..).map(copy))
}
