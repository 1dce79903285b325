//! Owns which lease of a key runs, and the fences that were ever given out for it.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_core::{
    Timestamp,
    capability::{CapabilityError, Fence, FencedLease},
};
use serde_json::{Value, json};

use super::{Book, count, entries, set_entries};
use crate::json::{self, Object};

/// The leases of some keys. A fence stays when its lease has ended, because the next one must be greater.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaseBook(BTreeMap<String, Row>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Row {
    fence: u64,
    /// The end of the lease that runs.
    until: Option<Timestamp>,
    /// Whether the last lease ended without its holder.
    lapsed: bool,
}

impl LeaseBook {
    /// Who holds the key, by when they let it go.
    pub(crate) fn held_until(&self, key: &str) -> Option<Timestamp> {
        self.0.get(key)?.until
    }

    /// Whether a holder was overtaken who may not know of it yet.
    pub(crate) fn has_lapsed(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|row| row.lapsed)
    }

    /// Notes that nobody of old is at work on the key any more.
    pub(crate) fn clear_lapsed(&mut self, key: &str) {
        if let Some(row) = self.0.get_mut(key) {
            row.lapsed = false;
        }
    }

    /// Gives the next lease.
    pub(crate) fn acquire(&mut self, key: &str, ttl: Duration, now: Timestamp) -> Result<FencedLease, CapabilityError> {
        if let Some(until) = self.held_until(key) {
            return Err(CapabilityError::Held { what: format!("the lease of {key}"), until: Some(until) });
        }
        let row = self.0.entry(key.to_owned()).or_default();
        row.fence += 1;
        row.until = Some(now.after(ttl));
        Ok(FencedLease { key: key.to_owned(), fence: Fence(row.fence), ttl, until: now.after(ttl) })
    }

    /// Extends the lease that runs.
    pub(crate) fn renew(
        &mut self,
        lease: &FencedLease,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<FencedLease, CapabilityError> {
        self.check(&lease.key, lease.fence)?;
        let until = now.after(ttl);
        if let Some(row) = self.0.get_mut(&lease.key) {
            row.until = Some(until);
        }
        Ok(FencedLease { ttl, until, ..lease.clone() })
    }

    /// Ends the lease, if it still runs.
    pub(crate) fn release(&mut self, lease: &FencedLease) {
        if self.check(&lease.key, lease.fence).is_ok()
            && let Some(row) = self.0.get_mut(&lease.key)
        {
            row.until = None;
        }
    }

    /// Whether the lease with this fence runs.
    pub(crate) fn check(&self, key: &str, fence: Fence) -> Result<(), CapabilityError> {
        match self.0.get(key) {
            Some(row) if row.until.is_some() && row.fence == fence.0 => Ok(()),
            Some(_) | None => Err(CapabilityError::Fenced { what: key.to_owned(), shown: fence }),
        }
    }
}

impl Book for LeaseBook {
    fn decode(object: &Object) -> Option<Self> {
        let row = |key: &str, entry: &Object| {
            let lapsed = entry.get("lapsed").is_some_and(|lapsed| *lapsed == Value::Bool(true));
            Some((key.to_owned(), Row { fence: count(entry, "fence")?, until: json::millis(entry, "until"), lapsed }))
        };
        Some(Self(entries(object, "leases", row)?.into_iter().collect()))
    }

    fn encode(&self, object: &mut Object) {
        let entry = |(key, row): (&String, &Row)| {
            let lapsed = row.lapsed.then_some(true);
            (key.clone(), json!({ "fence": row.fence, "until": row.until.map(Timestamp::as_millis), "lapsed": lapsed }))
        };
        set_entries(object, "leases", self.0.iter().map(entry));
    }

    fn expire(&mut self, now: Timestamp) {
        for row in self.0.values_mut().filter(|row| row.until.is_some_and(|until| until <= now)) {
            row.until = None;
            row.lapsed = true;
        }
    }
}
