//! Owns how much is used and reserved under each limit.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_core::{
    Timestamp,
    capability::{CapabilityError, Grant, Usage},
};
use serde_json::{Value, json};

use super::{Book, count, entries, set_entries};
use crate::json::{self, Object};

/// All counters, and the number of the last grant ever given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CounterBook {
    counters: BTreeMap<String, Counter>,
    last_grant: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counter {
    used: u64,
    /// Amount and end, by number.
    grants: BTreeMap<u64, (u64, Timestamp)>,
}

impl CounterBook {
    /// How a counter stands.
    pub(crate) fn usage(&self, key: &str) -> Usage {
        let Some(counter) = self.counters.get(key) else { return Usage::default() };
        let reserved = counter.grants.values().fold(0_u64, |sum, (amount, _)| sum.saturating_add(*amount));
        Usage { used: counter.used, reserved }
    }

    /// Gives room, if there is enough.
    pub(crate) fn reserve(
        &mut self,
        key: &str,
        amount: u64,
        limit: u64,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Grant, CapabilityError> {
        let until = now.after(ttl);
        let left = self.usage(key).left(limit);
        if amount > left {
            return Err(CapabilityError::Full { what: key.to_owned(), asked: amount, left, limit });
        }
        self.last_grant += 1;
        let id = self.last_grant;
        self.counters.entry(key.to_owned()).or_default().grants.insert(id, (amount, until));
        Ok(Grant { key: key.to_owned(), id, amount, until })
    }

    /// Ends a grant; `actual` was used.
    pub(crate) fn end(&mut self, grant: &Grant, actual: u64) -> Result<Usage, CapabilityError> {
        let counter = self.counters.get_mut(&grant.key);
        let ended = counter.and_then(|counter| counter.grants.remove(&grant.id).map(|_| counter));
        let Some(counter) = ended else {
            return Err(CapabilityError::Gone { what: format!("grant {} of {}", grant.id, grant.key) });
        };
        counter.used = counter.used.saturating_add(actual);
        Ok(self.usage(&grant.key))
    }
}

impl Book for CounterBook {
    fn decode(object: &Object) -> Option<Self> {
        let counter = |key: &str, entry: &Object| {
            let grant = |grant: &Value| {
                let grant = grant.as_object()?;
                Some((count(grant, "id")?, (count(grant, "amount")?, json::millis(grant, "until")?)))
            };
            let grants = entry.get("grants")?.as_array()?.iter().map(grant).collect::<Option<_>>()?;
            Some((key.to_owned(), Counter { used: count(entry, "used")?, grants }))
        };
        let counters = entries(object, "counters", counter)?.into_iter().collect();
        Some(Self { counters, last_grant: count(object, "lastGrant").unwrap_or(0) })
    }

    fn encode(&self, object: &mut Object) {
        json::set(object, "lastGrant", Some(json!(self.last_grant)));
        let entry = |(key, counter): (&String, &Counter)| {
            let grants = counter.grants.iter();
            let grants: Vec<_> = grants
                .map(|(id, (amount, until))| json!({ "id": id, "amount": amount, "until": until.as_millis() }))
                .collect();
            (key.clone(), json!({ "used": counter.used, "grants": grants }))
        };
        set_entries(object, "counters", self.counters.iter().map(entry));
    }

    fn expire(&mut self, now: Timestamp) {
        for counter in self.counters.values_mut() {
            counter.grants.retain(|_, (_, until)| *until > now);
        }
    }
}
