//! `OpenCode`'s `cache/codex-session-affinity.json`: which session stays with which account, for each mode.

use std::{collections::BTreeMap, time::Duration};

use codex_auth_core::{Affinity, Bond, Memory, RecordId, SessionKey, Strategy, Timestamp};
use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

const MODES: [&str; 2] = ["native", "codex"];
const SEEN: &str = "seenSessionKeys";
const STICKY: &str = "stickyBySessionKey";
const HYBRID: &str = "hybridBySessionKey";
/// How long and how many sessions are remembered.
pub const SESSIONS_KEPT: Memory = Memory { lasts: Duration::from_hours(30 * 24), most: 2000 };

/// The pins of all modes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionAffinity {
    /// By mode: `native`, `codex`.
    pub modes: BTreeMap<String, ModePins>,
}

/// The pins of one mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModePins {
    /// When each session was last seen.
    pub seen: BTreeMap<String, Timestamp>,
    /// Pins of the sticky strategy, as identity keys.
    pub sticky: BTreeMap<String, String>,
    /// Pins of the hybrid strategy, as identity keys.
    pub hybrid: BTreeMap<String, String>,
}

impl SessionAffinity {
    /// Folds in what one process knows: per session, the later word counts. Pins of others stay.
    pub fn merge(&mut self, mode: &str, mine: &ModePins) {
        let theirs = self.modes.entry(mode.to_owned()).or_default();
        for (session, at) in &mine.seen {
            let is_newer = theirs.seen.get(session).is_none_or(|known| known <= at);
            if is_newer {
                theirs.seen.insert(session.clone(), *at);
            }
            let takes = |pins: &mut BTreeMap<String, String>, mine: &BTreeMap<String, String>| match mine.get(session) {
                Some(identity) if is_newer || !pins.contains_key(session) => {
                    pins.insert(session.clone(), identity.clone());
                }
                None if is_newer => drop(pins.remove(session)),
                Some(_) | None => {}
            };
            takes(&mut theirs.sticky, &mine.sticky);
            takes(&mut theirs.hybrid, &mine.hybrid);
        }
    }

    /// Forgets a session in every mode.
    pub fn forget(&mut self, session: &str) {
        for pins in self.modes.values_mut() {
            pins.seen.remove(session);
            pins.sticky.remove(session);
            pins.hybrid.remove(session);
        }
    }

    /// Forgets by age and number alone; whether the host still has the session cannot be told.
    pub fn prune(&mut self, memory: Memory, now: Timestamp) {
        for pins in self.modes.values_mut() {
            pins.seen.retain(|_, at| now.since(*at) <= memory.lasts);
            let mut by_age: Vec<_> = pins.seen.iter().map(|(session, at)| (*at, session.clone())).collect();
            by_age.sort_unstable();
            for (_, old) in by_age.iter().rev().skip(memory.most) {
                pins.seen.remove(old);
            }
            let ModePins { seen, sticky, hybrid } = pins;
            sticky.retain(|session, _| seen.contains_key(session));
            hybrid.retain(|session, _| seen.contains_key(session));
        }
    }
}

impl ModePins {
    /// What is known of sessions, with accounts called as the file calls them.
    pub fn of(sessions: &Affinity, strategy: Strategy, name_of: impl Fn(&RecordId) -> Option<String>) -> Self {
        let mut pins = Self::default();
        for (session, bond) in sessions.bonds() {
            let Some(name) = name_of(&bond.record) else { continue };
            pins.seen.insert(session.as_str().to_owned(), bond.served_at);
            pins.table_mut(strategy).insert(session.as_str().to_owned(), name);
        }
        pins
    }

    /// The sessions that are pinned to accounts that are there.
    pub fn sessions(
        &self,
        strategy: Strategy,
        generation: u64,
        record_of: impl Fn(&str) -> Option<RecordId>,
    ) -> Affinity {
        let bond = |(session, name): (&String, &String)| {
            let at = *self.seen.get(session)?;
            let record = record_of(name)?;
            Some((
                SessionKey::parse(session)?,
                Bond { record, tokens: 0, served_at: at, cached_since: at, came_at: at },
            ))
        };
        Affinity::from_bonds(generation, self.table(strategy).iter().filter_map(bond))
    }

    /// The format has two tables; strategies it does not know share the first.
    fn table(&self, strategy: Strategy) -> &BTreeMap<String, String> {
        if strategy == Strategy::Hybrid { &self.hybrid } else { &self.sticky }
    }

    fn table_mut(&mut self, strategy: Strategy) -> &mut BTreeMap<String, String> {
        if strategy == Strategy::Hybrid { &mut self.hybrid } else { &mut self.sticky }
    }
}

impl Document for SessionAffinity {
    const NAME: &'static str = "cache/codex-session-affinity.json";
    const SCHEMA: Schema = Schema::VersionsOrNone(&[1]);
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let modes = MODES.into_iter().filter_map(|mode| {
            let pins = pins(json::object(object, mode)?);
            (pins != ModePins::default()).then(|| (mode.to_owned(), pins))
        });
        Self { modes: modes.collect() }
    }

    fn encode(&self, object: &mut Object) {
        for (mode, pins) in &self.modes {
            if *pins == ModePins::default() {
                object.shift_remove(mode);
                continue;
            }
            let mut written = json::object(object, mode).cloned().unwrap_or_default();
            let mut seen: Vec<_> = pins.seen.iter().map(|(session, at)| (at.as_millis(), session)).collect();
            seen.sort_unstable();
            let seen: Object = seen.into_iter().map(|(at, session)| (session.clone(), json!(at))).collect();
            json::set(&mut written, SEEN, Some(Value::Object(seen)));
            json::set(&mut written, STICKY, Some(json!(pins.sticky)));
            json::set(&mut written, HYBRID, Some(json!(pins.hybrid)));
            object.insert(mode.clone(), Value::Object(written));
        }
    }
}

fn pins(mode: &Object) -> ModePins {
    let rows = |table: &str| json::object(mode, table).into_iter().flatten().filter(|(key, _)| !key.trim().is_empty());
    let named = |table: &str| {
        rows(table).filter_map(|(key, to)| Some((key.clone(), to.as_str()?.to_owned()))).collect::<BTreeMap<_, _>>()
    };
    let seen = rows(SEEN).filter_map(|(key, at)| Some((key.clone(), Timestamp::from_millis(json::integer(at)?))));
    ModePins { seen: seen.collect(), sticky: named(STICKY), hybrid: named(HYBRID) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    fn pin(session: &str, at: i64, to: &str) -> ModePins {
        ModePins {
            seen: [(session.to_owned(), Timestamp::from_millis(at))].into(),
            sticky: [(session.to_owned(), to.to_owned())].into(),
            hybrid: BTreeMap::new(),
        }
    }

    #[test]
    fn bad_entries_are_dropped() {
        let told = object(json!({
            "version": 1, "codex": { "seenSessionKeys": {} }, "extra": 1,
            "native": {
                "seenSessionKeys": { "ok": 12.7, "bad": "x", "  ": 1, "inf": null },
                "stickyBySessionKey": { "s1": "id", "s2": 3, "": "x" }, "hybridBySessionKey": [],
            },
        }));
        let read = SessionAffinity::decode(&told);
        let native = &read.modes["native"];
        assert_eq!(read.modes.len(), 1);
        assert_eq!(native.seen, [("ok".to_owned(), Timestamp::from_millis(12))].into());
        assert_eq!((native.sticky.len(), native.hybrid.len()), (1, 0));
    }

    #[test]
    fn an_empty_mode_is_left_out_and_seen_is_in_order_of_time() {
        let mut written = object(json!({ "version": 1, "native": { "seenSessionKeys": { "z": 1 } } }));
        let mut known = SessionAffinity::decode(&written);
        known.forget("z");
        known.encode(&mut written);
        assert_eq!(Value::Object(written.clone()), json!({ "version": 1 }));
        known.merge("native", &pin("s2", 20, "idB"));
        known.merge("native", &pin("s1", 10, "idA"));
        known.encode(&mut written);
        let seen: Vec<_> = json::object(&written["native"].as_object().expect("there").clone(), SEEN)
            .expect("there")
            .keys()
            .cloned()
            .collect();
        assert_eq!(seen, ["s1", "s2"]);
    }

    #[test]
    fn two_processes_keep_each_others_pins_and_the_later_word_counts() {
        let mut known = SessionAffinity::default();
        known.merge("native", &pin("a", 10, "one"));
        known.merge("native", &pin("b", 20, "two"));
        known.merge("native", &pin("a", 5, "old"));
        assert_eq!(known.modes["native"].sticky, [("a".into(), "one".into()), ("b".into(), "two".into())].into());
    }

    #[test]
    fn age_alone_forgets() {
        let mut known = SessionAffinity::default();
        known.merge("native", &pin("gone", 500_000, "a"));
        known.prune(SESSIONS_KEPT, Timestamp::from_millis(1_000_000));
        assert_eq!(known.modes["native"].sticky.len(), 1);
        known.prune(SESSIONS_KEPT, Timestamp::from_millis(500_001).after(SESSIONS_KEPT.lasts));
        assert_eq!(known.modes["native"], ModePins::default());
    }
}
