//! Owns which account serves which session, one owner at a time.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_core::{
    RecordId, SessionKey, Timestamp,
    capability::{Binding, CapabilityError},
};
use serde_json::json;

use super::{Book, count, entries, set_entries};
use crate::json::{self, Object};

/// All bindings, and the version of the last one ever made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AffinityBook {
    bindings: BTreeMap<String, Binding>,
    last_version: u64,
}

impl AffinityBook {
    /// The binding that holds.
    pub(crate) fn lookup(&self, key: &SessionKey) -> Option<Binding> {
        self.bindings.get(key.as_str()).cloned()
    }

    /// Binds an unbound session; says which binding holds.
    pub(crate) fn bind_if_absent(
        &mut self,
        key: &SessionKey,
        account: &RecordId,
        ttl: Duration,
        now: Timestamp,
    ) -> Binding {
        self.lookup(key).unwrap_or_else(|| self.bind(key, account, now.after(ttl)))
    }

    /// Moves a session whose binding is the expected one.
    pub(crate) fn move_to(
        &mut self,
        expected: &Binding,
        account: &RecordId,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Binding, CapabilityError> {
        let found = self.lookup(&expected.key).map(|binding| binding.version);
        if found == Some(expected.version) {
            return Ok(self.bind(&expected.key, account, now.after(ttl)));
        }
        let what = format!("the binding of session {}", expected.key);
        Err(match found {
            Some(found) => CapabilityError::Stale { what, expected: expected.version, found },
            None => CapabilityError::Gone { what },
        })
    }

    fn bind(&mut self, key: &SessionKey, account: &RecordId, until: Timestamp) -> Binding {
        self.last_version += 1;
        let binding = Binding { key: key.clone(), account: account.clone(), version: self.last_version, until };
        self.bindings.insert(key.as_str().to_owned(), binding.clone());
        binding
    }
}

impl Book for AffinityBook {
    fn decode(object: &Object) -> Option<Self> {
        let binding = |key: &str, entry: &Object| {
            let binding = Binding {
                key: SessionKey::parse(key)?,
                account: RecordId::parse(json::text(entry, "account")?)?,
                version: count(entry, "version")?,
                until: json::millis(entry, "until")?,
            };
            Some((key.to_owned(), binding))
        };
        let bindings = entries(object, "sessions", binding)?.into_iter().collect();
        Some(Self { bindings, last_version: count(object, "lastVersion").unwrap_or(0) })
    }

    fn encode(&self, object: &mut Object) {
        json::set(object, "lastVersion", Some(json!(self.last_version)));
        let entry = |(key, binding): (&String, &Binding)| {
            let Binding { account, version, until, .. } = binding;
            (key.clone(), json!({ "account": account.as_str(), "version": version, "until": until.as_millis() }))
        };
        set_entries(object, "sessions", self.bindings.iter().map(entry));
    }

    fn expire(&mut self, now: Timestamp) {
        self.bindings.retain(|_, binding| binding.until > now);
    }
}
