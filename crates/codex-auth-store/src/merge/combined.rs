//! Owns what one account is, of which there are several sign-ins: tokens by freshness, everything else field by field.

use codex_auth_core::{Credential, Held, Owner, Provenance, RestReason, RestScope, Timestamp};

use crate::freshness;

/// Which member gives what only one can give.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    /// What the user decided.
    pub(super) base: usize,
    /// The name, and how often its tokens have changed.
    pub(super) kept: usize,
}

/// One account of the sign-ins at `members`, under the name of `kept`. What the user decided (enabled, alias, label) is
/// that of `base`; what it lacks comes from the others.
pub(super) fn combined(all: &[Held], members: &[usize], Roles { base, kept }: Roles, now: Timestamp) -> Held {
    let candidates = still_alive(all, members, base);
    let winner = candidates[freshness::newest(&candidates.iter().map(|index| &all[*index]).collect::<Vec<_>>(), now)];
    let mut order = order_of_use(all, members);
    order.retain(|index| *index != winner);
    order.insert(0, winner);
    let fresh = &all[winner];
    let credential = completed(all, &order);
    let mut held = all[base].clone();
    let mine = &held.credential;
    // The same grant may only have become more complete; that is no newer credential.
    let same = mine.same_grant(&credential) && (mine.access.is_none() || mine.access == credential.access);
    if same {
        held.credential = Credential { generation: mine.generation, ..credential };
        held.account.issuer = held.account.issuer.take().or_else(|| fresh.account.issuer.clone());
    } else {
        freshness::replace(&mut held, credential);
        held.account.needs_login.clone_from(&fresh.account.needs_login);
        held.account.incident.clone_from(&fresh.account.incident);
        held.account.issuer = fresh.account.issuer.clone().or_else(|| held.account.issuer.take());
        held.account.provenance = succeeded(held.account.provenance.take(), fresh.account.provenance.clone());
    }
    let lineage = &all[kept];
    held.account.record = lineage.account.record.clone();
    if !lineage.credential.same_grant(&held.credential) {
        held.credential.generation = held.credential.generation.max(lineage.credential.generation + 1);
    }
    held.account.owner = Owner::default();
    for index in order {
        let other = &all[index].account;
        fill(&mut held.account.owner, &other.owner);
        held.account.label = held.account.label.take().or_else(|| other.label.clone());
        held.account.alias = held.account.alias.take().or_else(|| other.alias.clone());
        if same && all[index].credential.same_grant(&held.credential) {
            held.account.needs_login = held.account.needs_login.take().or_else(|| other.needs_login.clone());
        }
        for rest in other.rests.iter().filter(|rest| rest.holds(now)) {
            let is_of_a_token = rest.reason == RestReason::Auth && rest.scope == RestScope::Account;
            if !is_of_a_token || index == winner {
                held.account.rest(rest.clone());
            }
        }
        let seen = &mut held.account.seen;
        seen.last_used_at = seen.last_used_at.max(other.seen.last_used_at);
        if other.seen.added_at > Timestamp::default() {
            let is_unknown = seen.added_at <= Timestamp::default();
            seen.added_at = if is_unknown { other.seen.added_at } else { seen.added_at.min(other.seen.added_at) };
        }
    }
    held
}

/// The members whose tokens may count. An imported sign-in that is dead brings nothing, however late it was granted.
fn still_alive(all: &[Held], members: &[usize], base: usize) -> Vec<usize> {
    let is_dead = |index: usize| all[index].account.needs_login.is_some();
    let brings_nothing =
        |index: usize| index != base && is_dead(index) && !is_dead(base) && all[index].account.provenance.is_some();
    members.iter().copied().filter(|index| !brings_nothing(*index)).collect()
}

/// Where an account comes from once another grant took the place of its own.
fn succeeded(known: Option<Provenance>, incoming: Option<Provenance>) -> Option<Provenance> {
    incoming.or(known.map(|known| Provenance { shared: false, ..known }))
}

/// The places of `members`, the one used last first; of two used at one time the one added later, then the later one.
pub(super) fn order_of_use(all: &[Held], members: &[usize]) -> Vec<usize> {
    let mut order = members.to_vec();
    order.sort_by_key(|index| {
        let seen = all[*index].account.seen;
        std::cmp::Reverse((seen.last_used_at, seen.added_at, *index))
    });
    order
}

/// The first credential of `order`, with what others of the same grant know of it. An id token may be an older one:
/// it still says who signed in.
fn completed(all: &[Held], order: &[usize]) -> Credential {
    let mut credential = all[order[0]].credential.clone();
    for other in order.iter().map(|index| &all[*index].credential) {
        if other.same_grant(&credential) {
            let had_access = credential.access.is_some();
            credential.access = credential.access.take().or_else(|| other.access.clone());
            if !had_access || credential.access == other.access {
                credential.expires_at = credential.expires_at.or(other.expires_at);
                credential.obtained_at = credential.obtained_at.or(other.obtained_at);
            }
        }
        credential.id = credential.id.take().or_else(|| other.id.clone());
    }
    credential
}

/// What `owner` does not know is taken from `found`.
pub(super) fn fill(owner: &mut Owner, found: &Owner) {
    owner.user = owner.user.take().or_else(|| found.user.clone());
    owner.workspace = owner.workspace.take().or_else(|| found.workspace.clone());
    owner.email = owner.email.take().or_else(|| found.email.clone());
    owner.plan = owner.plan.take().or_else(|| found.plan.clone());
}
