//! Leases over files: the refresh lock of the identity while a lease runs, and beside it the fence, which stays.
//!
//! The operating system's lock keeps refresh claims of the store out. It cannot expire; so who was overtaken may
//! still have it, and the next lease goes without. What such a holder does meanwhile fails by its fence.

use std::{sync::PoisonError, time::Duration};

use camino::Utf8PathBuf;
use codex_auth_core::{
    RecordId, Timestamp,
    capability::{CapabilityError, Fence, FencedLease},
};

use super::FileEngine;
use crate::{
    books::leases::LeaseBook,
    fs::lock::{self, FileLock, Signature},
};

/// A lock behind a lease of this handle.
#[derive(Debug)]
pub(super) struct OwnLock {
    fence: Fence,
    until: Timestamp,
    lock: FileLock,
}

impl FileEngine {
    pub(super) fn acquire_lease(&self, key: &str, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let lock_path = self.lock_path(key)?;
        let (lease, lock) = self.on_leases(key, |book, now| {
            self.drop_ended(now);
            if let Some(until) = book.held_until(key) {
                return Err(CapabilityError::Held { what: format!("the lease of {key}"), until: Some(until) });
            }
            // Nobody holds the lease, so a lock of our own belongs to one that has ended.
            drop(self.forget(key, None));
            let lock = lock::try_lock(&lock_path, Signature::Pid)?;
            if lock.is_some() {
                book.clear_lapsed(key);
            } else if !book.has_lapsed(key) {
                return Err(CapabilityError::Held { what: format!("the refresh of {key}"), until: None });
            }
            Ok((book.acquire(key, ttl, now)?, lock))
        })?;
        // Kept only now: a lease that could not be written must not keep others out.
        if let Some(lock) = lock {
            let own = OwnLock { fence: lease.fence, until: lease.until, lock };
            self.own.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), own);
        }
        Ok(lease)
    }

    pub(super) fn renew_lease(&self, lease: &FencedLease, ttl: Duration) -> Result<FencedLease, CapabilityError> {
        let renewed = self.on_leases(&lease.key, |book, now| {
            self.drop_ended(now);
            book.renew(lease, ttl, now)
        })?;
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = own.get_mut(&lease.key).filter(|own| own.fence == lease.fence) {
            own.until = renewed.until;
        }
        Ok(renewed)
    }

    pub(super) fn release_lease(&self, lease: &FencedLease) -> Result<(), CapabilityError> {
        self.on_leases(&lease.key, |book, now| {
            book.release(lease);
            drop(self.forget(&lease.key, Some(lease.fence)));
            self.drop_ended(now);
            Ok(())
        })
    }

    /// Works on the leases of `key`, while nobody else can take or end one.
    pub(super) fn on_leases<T>(
        &self,
        key: &str,
        work: impl FnOnce(&mut LeaseBook, Timestamp) -> Result<T, CapabilityError>,
    ) -> Result<T, CapabilityError> {
        let beside = self.store.engine.layout.refresh_lock(None, &record_of(key)?);
        self.shelf.change(&beside.with_extension("fence.json"), work)
    }

    /// Keeps claims and leases of others out of an account while something short is done; the lock is ours already
    /// when a lease of this handle runs.
    pub(super) fn exclude_others(&self, id: &RecordId) -> Result<Option<FileLock>, CapabilityError> {
        if self.own.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id.as_str()) {
            return Ok(None);
        }
        if let Some(lock) = lock::try_lock(&self.lock_path(id.as_str())?, Signature::Pid)? {
            return Ok(Some(lock));
        }
        // A holder that was overtaken has the lock but no right to it.
        if self.on_leases(id.as_str(), |book, _| Ok(book.has_lapsed(id.as_str())))? {
            return Ok(None);
        }
        Err(CapabilityError::Held { what: format!("the refresh of {id}"), until: None })
    }

    fn lock_path(&self, key: &str) -> Result<Utf8PathBuf, CapabilityError> {
        let record = record_of(key)?;
        let pool = self.store.read_now()?;
        let identity = pool.find(&record).and_then(|held| held.account.owner.identity());
        Ok(self.store.engine.layout.refresh_lock(identity.as_ref(), &record))
    }

    fn forget(&self, key: &str, fence: Option<Fence>) -> Option<FileLock> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = own.get(key).is_some_and(|own| fence.is_none_or(|fence| fence == own.fence));
        is_meant.then(|| own.remove(key)).flatten().map(|own| own.lock)
    }

    /// Lets go of locks whose leases have ended without us.
    fn drop_ended(&self, now: Timestamp) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, own| own.until > now);
    }
}

fn record_of(key: &str) -> Result<RecordId, CapabilityError> {
    RecordId::parse(key).ok_or_else(|| CapabilityError::Gone { what: "a blank key".to_owned() })
}
