//! Owns putting a pool together from copies: which one it is built on, and whose tokens it gets. Pure.

use codex_auth_core::{AccessToken, Held, RecordId, SavedPool, Timestamp};

use super::copies::Copy;
use crate::{claims::issued_at, document::Codec, freshness, json::Object, merge};

/// A document put together.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) document: Object,
    /// The copies that gave something, the one it is built on first.
    pub(crate) from: Vec<String>,
    /// Accounts there were, and no copy has.
    pub(crate) lost: usize,
}

/// Puts a pool together. `known` are the accounts there were in the end, as far as somebody noted them.
pub(crate) fn gather(codec: &dyn Codec, mut copies: Vec<Copy>, known: &[RecordId], now: Timestamp) -> Option<Gathered> {
    copies.retain(|copy| !copy.pool.accounts.is_empty());
    copies.sort_by_key(|copy| std::cmp::Reverse(age_of(copy, codec)));
    // The file itself has the newest rows, but perhaps neither all of them nor the selection.
    let at = copies.iter().position(|copy| !copy.is_the_file).unwrap_or(0);
    let base = (!copies.is_empty()).then(|| copies.remove(at))?;
    let mut pool = base.pool.clone();
    let mut from = vec![base.name.clone()];
    for copy in &copies {
        if take_from(&mut pool, copy, known, now) {
            from.push(copy.name.clone());
        }
    }
    let was_written_by_us = codec.revision(&base.document).is_some() && !known.is_empty();
    if was_written_by_us {
        // Every account of this copy was noted; one that is noted no more was removed since.
        let in_the_file =
            |held: &Held| copies.iter().any(|copy| copy.is_the_file && copy.pool.find(&held.account.record).is_some());
        pool.accounts.retain(|held| known.contains(&held.account.record) || in_the_file(held));
    }
    let lost = known.iter().filter(|record| pool.find(record).is_none()).count();
    if pool.accounts.is_empty() {
        return None;
    }
    let stays = |record: &Option<RecordId>| record.clone().filter(|record| pool.find(record).is_some());
    let (active, pin) = (stays(&pool.active), stays(&pool.pin));
    let pool = SavedPool {
        active: active.or_else(|| pool.accounts.first().map(|held| held.account.record.clone())),
        pin,
        ..pool
    };
    Some(Gathered { document: codec.encode(&base.document, &pool, now), from, lost })
}

/// Takes fresher tokens of accounts that are there, and accounts that were there in the end.
fn take_from(pool: &mut SavedPool, copy: &Copy, known: &[RecordId], now: Timestamp) -> bool {
    let mut gave = false;
    for theirs in &copy.pool.accounts {
        let same = pool.accounts.iter().position(|held| held.account.record == theirs.account.record);
        let place = same.or_else(|| merge::known(pool, &theirs.account.owner, &theirs.credential));
        match place.map(|index| &mut pool.accounts[index]) {
            Some(ours) if freshness::is_newer(&theirs.credential, &ours.credential, now) => {
                freshness::replace(ours, theirs.credential.clone());
                gave = true;
            }
            None if copy.is_the_file || known.contains(&theirs.account.record) => {
                pool.accounts.push(theirs.clone());
                gave = true;
            }
            Some(_) | None => {}
        }
    }
    gave
}

/// How new a copy is: by the newest token in it, then by how often it was written, then by its last use.
fn age_of(copy: &Copy, codec: &dyn Codec) -> (Option<Timestamp>, Option<u64>, Option<Timestamp>) {
    let all = || copy.pool.accounts.iter();
    let granted = |held: &Held| {
        let issued = held.credential.access.as_ref().and_then(|access: &AccessToken| issued_at(access));
        issued.max(held.credential.obtained_at)
    };
    let used = all().map(|held| held.account.seen.last_used_at.max(held.account.seen.added_at)).max();
    (all().filter_map(granted).max(), codec.revision(&copy.document), used)
}
