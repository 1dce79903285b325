//! Owns folding sign-ins into a pool: one account per identity, and the newest tokens win.

use codex_auth_core::{Credential, Held, Owner, Provenance, RecordId, SavedPool, Timestamp};

use crate::{document::row::names_like, freshness};

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

/// Folds `incoming` into `pool`; the outcomes are in its order. Doing it twice changes nothing more.
///
/// Sign-ins that know their person come first: they can be told apart, and the others then find their place.
pub fn merge(pool: &mut SavedPool, incoming: Vec<Held>, now: Timestamp) -> Vec<MergeOutcome> {
    let mut numbered: Vec<(usize, Held)> = incoming.into_iter().enumerate().collect();
    numbered.sort_by_key(|(_, held)| held.account.owner.identity().is_none());
    let mut outcomes: Vec<(usize, MergeOutcome)> =
        numbered.into_iter().map(|(number, held)| (number, merge_one(pool, held, now))).collect();
    outcomes.sort_by_key(|(number, _)| *number);
    if pool.active.is_none() {
        pool.active = pool.accounts.first().map(|held| held.account.record.clone());
    }
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The account a sign-in belongs to: of the same identity, else the only one nothing speaks against.
pub(crate) fn known(pool: &SavedPool, owner: &Owner, credential: &Credential) -> Option<usize> {
    let place = |test: &dyn Fn(&Held) -> bool| {
        let mut found = pool.accounts.iter().enumerate().filter(|(_, held)| test(held)).map(|(index, _)| index);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            (Some(_) | None, _) => None,
        }
    };
    let identity = owner.identity();
    let users_differ = |mine: &Owner| matches!((&mine.user, &owner.user), (Some(mine), Some(theirs)) if mine != theirs);
    place(&|held| identity.is_some() && held.account.owner.identity() == identity)
        .or_else(|| place(&|held| held.account.owner.agrees_with(owner)))
        .or_else(|| place(&|held| held.credential.same_grant(credential) && !users_differ(&held.account.owner)))
}

fn merge_one(pool: &mut SavedPool, mut incoming: Held, now: Timestamp) -> MergeOutcome {
    let Some(index) = known(pool, &incoming.account.owner, &incoming.credential) else {
        let mut names = names_like(&incoming.account.record);
        let record = names.find(|name| pool.find(name).is_none()).expect("names do not end");
        drop(names);
        incoming.account.record = record.clone();
        pool.accounts.push(incoming);
        return MergeOutcome::Added(record);
    };
    let held = &mut pool.accounts[index];
    let before = held.clone();
    // A sign-in that is dead already brings nothing, however late it was granted.
    let is_alive = incoming.account.needs_login.is_none();
    if is_alive && freshness::is_newer(&incoming.credential, &held.credential, now) {
        if !held.credential.same_grant(&incoming.credential) {
            held.account.provenance = succeeded(held.account.provenance.take(), incoming.account.provenance.take());
        }
        let id = incoming.credential.id.clone().or_else(|| held.credential.id.clone());
        freshness::replace(held, Credential { id, ..incoming.credential.clone() });
        held.account.issuer = incoming.account.issuer.clone().or_else(|| held.account.issuer.take());
    } else if held.credential.same_grant(&incoming.credential) {
        let known = &mut held.credential;
        known.access = known.access.take().or_else(|| incoming.credential.access.clone());
        known.id = known.id.take().or_else(|| incoming.credential.id.clone());
        known.obtained_at = known.obtained_at.or(incoming.credential.obtained_at);
        known.expires_at = known.expires_at.or(incoming.credential.expires_at);
    }
    fill(&mut held.account.owner, &incoming.account.owner);
    held.account.label = held.account.label.take().or(incoming.account.label);
    held.account.alias = held.account.alias.take().or(incoming.account.alias);
    let record = held.account.record.clone();
    if *held == before { MergeOutcome::Unchanged(record) } else { MergeOutcome::Updated(record) }
}

/// Where an account comes from once another grant took the place of its own.
fn succeeded(known: Option<Provenance>, incoming: Option<Provenance>) -> Option<Provenance> {
    incoming.or(known.map(|known| Provenance { shared: false, ..known }))
}

fn fill(owner: &mut Owner, found: &Owner) {
    owner.user = owner.user.take().or_else(|| found.user.clone());
    owner.workspace = owner.workspace.take().or_else(|| found.workspace.clone());
    owner.email = owner.email.take().or_else(|| found.email.clone());
    owner.plan = owner.plan.take().or_else(|| found.plan.clone());
}
