//! Owns bringing a change onto a pool that was changed by somebody else meanwhile: field by field, by key. Pure.
//!
//! What only one side changed is taken from that side; what both changed is ours, but tokens go by which are newer.

use codex_auth_core::{Account, Held, SavedPool, Seen};

/// `theirs` with what changed between `before` and `after`.
pub(crate) fn onto(before: &SavedPool, after: &SavedPool, theirs: &SavedPool) -> SavedPool {
    let mut pool = theirs.clone();
    pool.accounts.retain(|held| {
        let record = &held.account.record;
        after.find(record).is_some() || before.find(record).is_none()
    });
    for ours in &after.accounts {
        let record = &ours.account.record;
        match (before.find(record), pool.accounts.iter_mut().find(|held| held.account.record == *record)) {
            (Some(old), Some(there)) => *there = merged(old, ours, there),
            (None, Some(there)) => *there = ours.clone(),
            (None, None) => pool.accounts.push(ours.clone()),
            // It was there, we kept it, and they removed it.
            (Some(_), None) => {}
        }
    }
    pool.active = picked(&before.active, &after.active, &theirs.active);
    pool.pin = picked(&before.pin, &after.pin, &theirs.pin);
    let grown = after.affinity_generation.saturating_sub(before.affinity_generation);
    pool.affinity_generation = theirs.affinity_generation + grown;
    let is_there = |record: &Option<_>| record.clone().filter(|record| pool.find(record).is_some());
    let (active, pin) = (is_there(&pool.active), is_there(&pool.pin));
    SavedPool { active: active.or_else(|| pool.accounts.first().map(|held| held.account.record.clone())), pin, ..pool }
}

fn merged(before: &Held, after: &Held, theirs: &Held) -> Held {
    let (old, new, there) = (&before.account, &after.account, &theirs.account);
    let account = Account {
        record: there.record.clone(),
        owner: picked(&old.owner, &new.owner, &there.owner),
        label: picked(&old.label, &new.label, &there.label),
        alias: picked(&old.alias, &new.alias, &there.alias),
        enabled: picked(&old.enabled, &new.enabled, &there.enabled),
        needs_login: picked(&old.needs_login, &new.needs_login, &there.needs_login),
        incident: picked(&old.incident, &new.incident, &there.incident),
        rests: picked(&old.rests, &new.rests, &there.rests),
        seen: Seen {
            added_at: there.seen.added_at,
            last_used_at: picked(&old.seen, &new.seen, &there.seen).last_used_at.max(there.seen.last_used_at),
        },
        issuer: picked(&old.issuer, &new.issuer, &there.issuer),
        provenance: picked(&old.provenance, &new.provenance, &there.provenance),
    };
    Held { account, credential: picked(&before.credential, &after.credential, &theirs.credential) }
}

/// What we made of it where we changed it, else what they made of it.
fn picked<T: Clone + PartialEq>(before: &T, after: &T, theirs: &T) -> T {
    if after == before { theirs.clone() } else { after.clone() }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::{held, pool};

    use super::*;

    /// What two changes of a pool of two accounts make of it together.
    fn both(ours: impl FnOnce(&mut SavedPool), theirs: impl FnOnce(&mut SavedPool)) -> SavedPool {
        let before = pool(2);
        let (mut after, mut there) = (before.clone(), before.clone());
        ours(&mut after);
        theirs(&mut there);
        onto(&before, &after, &there)
    }

    #[test]
    fn different_fields_of_one_account_both_count() {
        let pool = both(
            |pool| pool.accounts[0].account.alias = Some("a".into()),
            |pool| pool.accounts[0].account.enabled = false,
        );
        assert_eq!((pool.accounts[0].account.alias.as_deref(), pool.accounts[0].account.enabled), (Some("a"), false));
    }

    #[test]
    fn an_account_added_by_one_and_one_removed_by_the_other_both_count() {
        let pool = both(|pool| pool.accounts.push(held(7)), |pool| drop(pool.accounts.remove(0)));
        let records: Vec<_> = pool.accounts.iter().map(|held| held.account.record.as_str()).collect();
        assert_eq!(records, ["record:2", "record:7"]);
        assert_eq!(pool.active, Some(pool.accounts[0].account.record.clone()), "the selected one is gone");
    }

    #[test]
    fn a_new_token_of_one_survives_a_change_of_the_other() {
        let fresh = held(9).credential;
        let pool =
            both(|pool| pool.accounts[1].account.enabled = false, |pool| pool.accounts[1].credential = fresh.clone());
        assert_eq!((pool.accounts[1].account.enabled, &pool.accounts[1].credential), (false, &fresh));
    }

    #[test]
    fn what_they_removed_we_do_not_bring_back() {
        let pool = both(|pool| pool.accounts[0].account.enabled = false, |pool| drop(pool.accounts.remove(0)));
        assert_eq!(pool.accounts.len(), 1);
    }

    #[test]
    fn decisions_of_both_end_affinity() {
        let both = both(|pool| pool.affinity_generation += 1, |pool| pool.affinity_generation += 2);
        assert_eq!(both.affinity_generation, pool(2).affinity_generation + 3);
    }
}
