//! Owns which tokens must never be presented again, and what may follow what in the life of a presentation.

use std::collections::BTreeMap;

use codex_auth_core::{
    RecordId, Timestamp,
    capability::{CapabilityError, OpId, OpenOp, Outcome},
};
use serde_json::json;

use super::{Book, entries, set_entries};
use crate::json::Object;

/// How many tokens are remembered per account; a token older than so many successors is of no use to anybody.
const REMEMBERED: usize = 64;

/// Names of tokens that were presented, by account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SpentBook(BTreeMap<String, Vec<String>>);

impl SpentBook {
    /// Whether the token was presented, or may have been.
    pub(crate) fn holds(&self, op: &OpId) -> bool {
        self.0.get(op.record.as_str()).is_some_and(|names| names.iter().any(|name| name == op.token.as_str()))
    }

    /// Notes that it is about to be.
    pub(crate) fn note(&mut self, op: &OpId) {
        if self.holds(op) {
            return;
        }
        let names = self.0.entry(op.record.as_str().to_owned()).or_default();
        names.push(op.token.as_str().to_owned());
        if names.len() > REMEMBERED {
            names.remove(0);
        }
    }

    /// Notes that it certainly was not.
    pub(crate) fn clear(&mut self, op: &OpId) {
        if let Some(names) = self.0.get_mut(op.record.as_str()) {
            names.retain(|name| name != op.token.as_str());
        }
    }

    /// Whether the token may be presented, given what is open for its account.
    pub(crate) fn may_present(&self, op: &OpId, open: Option<&OpenOp>) -> Result<bool, CapabilityError> {
        match open {
            _ if self.holds(op) => Ok(false),
            None => Ok(true),
            Some(open) if open.op == *op => Ok(false),
            Some(_) => Err(CapabilityError::Unresolved { what: op.record.to_string() }),
        }
    }

    /// Whether the outcome is news; refuses one that would lose an answer or belongs to nothing.
    pub(crate) fn is_news(&self, op: &OpId, open: Option<&OpenOp>, outcome: &Outcome) -> Result<bool, CapabilityError> {
        let what = || format!("the refresh of {}", op.record);
        let Some(open) = open.filter(|open| open.op == *op) else {
            // It has ended; to say so again is no mistake.
            let ended = self.holds(op) && matches!(outcome, Outcome::Committed | Outcome::Lost);
            return if ended { Ok(false) } else { Err(CapabilityError::Gone { what: what() }) };
        };
        match (outcome, &open.answer) {
            (Outcome::Committed, _) | (_, None) => Ok(true),
            (Outcome::Answered(fresh), Some(kept)) if fresh.same_tokens(kept) => Ok(false),
            (Outcome::Answered(_) | Outcome::Unspent | Outcome::Lost, Some(_)) => {
                Err(CapabilityError::Unresolved { what: op.record.to_string() })
            }
        }
    }
}

impl Book for SpentBook {
    fn decode(object: &Object) -> Option<Self> {
        let names = |record: &str, entry: &Object| {
            RecordId::parse(record)?;
            let names = entry.get("tokens")?.as_array()?.iter();
            let names = names.map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            Some((record.to_owned(), names))
        };
        Some(Self(entries(object, "spent", names)?.into_iter().collect()))
    }

    fn encode(&self, object: &mut Object) {
        let entry = |(record, names): (&String, &Vec<String>)| (record.clone(), json!({ "tokens": names }));
        set_entries(object, "spent", self.0.iter().map(entry));
    }

    fn expire(&mut self, _now: Timestamp) {}
}
