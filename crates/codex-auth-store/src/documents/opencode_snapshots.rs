//! `OpenCode`'s `cache/codex-snapshots.json`: what is left of each quota, by identity key.

use std::collections::BTreeMap;

use codex_auth_core::Timestamp;
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// All snapshots.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaSnapshots {
    /// By the predecessor's identity key.
    pub by_identity: BTreeMap<String, OpenCodeSnapshot>,
}

/// What is left for one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenCodeSnapshot {
    /// When it was said.
    pub updated_at: Timestamp,
    /// The limits, in the order they were told.
    pub limits: Vec<LimitLeft>,
    /// Credits, as they were told.
    pub credits: Option<Value>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitLeft {
    /// `requests` or `tokens`.
    pub name: String,
    /// Share left, in percent.
    pub left_percent: f64,
    /// When it starts anew.
    pub resets_at: Option<Timestamp>,
}

impl QuotaSnapshots {
    /// Keeps a snapshot; one without credits leaves the credits that are known.
    pub fn keep(&mut self, identity: &str, mut fresh: OpenCodeSnapshot) {
        let known = self.by_identity.remove(identity);
        if known.as_ref().is_some_and(|known| known.updated_at > fresh.updated_at) {
            self.by_identity.extend(known.map(|known| (identity.to_owned(), known)));
            return;
        }
        fresh.credits = fresh.credits.or_else(|| known?.credits);
        self.by_identity.insert(identity.to_owned(), fresh);
    }

    /// Forgets what nobody in the pool is called.
    pub fn prune(&mut self, is_known: impl Fn(&str) -> bool) {
        self.by_identity.retain(|identity, _| is_known(identity));
    }
}

impl Document for QuotaSnapshots {
    const NAME: &'static str = "cache/codex-snapshots.json";
    const SCHEMA: Schema = Schema::Unversioned;
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let rows = object.iter().filter_map(|(key, row)| Some((key.clone(), decode(row.as_object()?)?)));
        Self { by_identity: rows.collect() }
    }

    fn encode(&self, object: &mut Object) {
        let is_gone = |key: &String, row: &Value| {
            !self.by_identity.contains_key(key) && row.as_object().and_then(decode).is_some()
        };
        object.retain(|key, row| !is_gone(key, row));
        for (key, snapshot) in &self.by_identity {
            let mut row = json::object(object, key).cloned().unwrap_or_default();
            encode(snapshot, &mut row);
            object.insert(key.clone(), Value::Object(row));
        }
    }
}

fn decode(row: &Object) -> Option<OpenCodeSnapshot> {
    let limits = row.get("limits")?.as_array()?.iter().filter_map(Value::as_object);
    let limits = limits.filter_map(|limit| {
        Some(LimitLeft {
            name: json::text(limit, "name")?.to_owned(),
            left_percent: json::number(limit, "leftPct")?.clamp(0.0, 100.0),
            resets_at: json::millis(limit, "resetsAt"),
        })
    });
    Some(OpenCodeSnapshot {
        updated_at: json::millis(row, "updatedAt")?,
        limits: limits.collect(),
        credits: row.get("credits").filter(|credits| !credits.is_null()).cloned(),
    })
}

fn encode(snapshot: &OpenCodeSnapshot, row: &mut Object) {
    if decode(row).as_ref() == Some(snapshot) {
        return;
    }
    json::set(row, "updatedAt", Some(json!(snapshot.updated_at.as_millis())));
    if !row.contains_key("modelFamily") {
        row.insert("modelFamily".to_owned(), json!("codex"));
    }
    let limit = |limit: &LimitLeft| {
        let mut out = Object::new();
        out.insert("name".to_owned(), json!(limit.name));
        out.insert("leftPct".to_owned(), json::real(limit.left_percent));
        json::set(&mut out, "resetsAt", limit.resets_at.map(|at| json!(at.as_millis())));
        Value::Object(out)
    };
    json::set(row, "limits", Some(snapshot.limits.iter().map(limit).collect()));
    json::set(row, "credits", snapshot.credits.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_do_not_take_the_credits_away() {
        let at = |millis, credits| OpenCodeSnapshot {
            updated_at: Timestamp::from_millis(millis),
            limits: Vec::new(),
            credits,
        };
        let mut known = QuotaSnapshots::default();
        known.keep("k", at(5, Some(json!({ "balance": 3 }))));
        known.keep("k", at(7, None));
        known.keep("k", at(6, Some(json!(1))));
        assert_eq!(known.by_identity["k"], at(7, Some(json!({ "balance": 3 }))));
    }
}
