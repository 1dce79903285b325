//! Owns handing renewed pairs to logins that were busy when they came, without waiting for the next renewal.
//!
//! A plain client would present the spent token that stands there, and the issuer would end the whole sign-in. Asked
//! every second, this costs a few looks at files from outside, and more only after one of them changed.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use codex_auth_core::{Held, StoreError};

use crate::{
    engine::Engine,
    file_store::FileStore,
    fs::{
        lock::{self, Signature},
        os,
    },
    journal,
    official::replica,
};

/// What the files looked like when no login was owed anything; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Owed(Arc<Mutex<Seen>>);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    stamp: u64,
    /// How often in a row. Clocks of files are coarse: a change in the tick of the first look may not show.
    looks: u8,
}

/// Looks that must agree before the files are left alone.
const AGREEING: u8 = 2;

impl Owed {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands over what is owed; what cannot be handed over now stays owed.
pub(crate) fn hand_over(store: &FileStore) -> Result<(), StoreError> {
    let stamp = stamp(store);
    let seen = *store.owed.seen();
    if seen.stamp == stamp && seen.looks >= AGREEING {
        return Ok(());
    }
    let pool = store.engine.read()?;
    let mut is_settled = true;
    for held in &pool.accounts {
        is_settled &= is_handed_over(store, held);
    }
    let looks = if is_settled { if seen.stamp == stamp { seen.looks + 1 } else { 1 } } else { 0 };
    *store.owed.seen() = Seen { stamp, looks };
    Ok(())
}

/// Whether no login holds the token that the account's pair was bought with any more, after trying to see to it.
fn is_handed_over(store: &FileStore, held: &Held) -> bool {
    let (engine, record) = (&store.engine, &held.account.record);
    let is_owed = |held: &Held| {
        let kept = journal::kept(engine, record).filter(|kept| kept.newest.same_grant(&held.credential));
        kept.filter(|kept| replica::is_behind(engine, &store.homes, &kept.spent))
    };
    if is_owed(held).is_none() {
        return true;
    }
    // Whoever holds the account's lock is renewing it, and hands on a newer pair.
    let path = engine.layout.refresh_lock(held.account.owner.identity().as_ref(), record);
    let Ok(Some(_claim)) = lock::try_lock(&path, Signature::Pid) else { return false };
    let Ok(held) = engine.find(record) else { return false };
    let Some(kept) = is_owed(&held) else { return true };
    replica::follow(engine, &store.homes, &kept.spent, &held.credential);
    is_owed(&held).is_none()
}

fn stamp(store: &FileStore) -> u64 {
    let engine: &Engine = &store.engine;
    let mut hasher = DefaultHasher::new();
    engine.stamp().hash(&mut hasher);
    for home in store.homes.all() {
        let files = engine.layout.client_files(&home);
        (os::glance(&files.auth), os::glance(&files.accounts)).hash(&mut hasher);
    }
    os::glance(&engine.layout.kept_credentials()).hash(&mut hasher);
    hasher.finish()
}
