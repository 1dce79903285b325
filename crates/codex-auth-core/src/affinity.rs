//! A session keeps its account: prompt caches and encrypted reasoning are bound to it.
//!
//! What is remembered can be merged with what another process remembers of the same sessions: per session the newer
//! bond counts. A decision of the user ends all of it.

use std::{collections::HashMap, time::Duration};

use crate::{
    RecordId, SessionKey, Timestamp,
    cache::{Life, blocks},
};

/// How long and how many sessions are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// After its last answer (`sessionAffinityTtlMs`).
    pub lasts: Duration,
    /// The longest idle session makes room (`sessionAffinityMaxEntries`).
    pub most: usize,
}

impl Default for Memory {
    /// The predecessor's defaults: 20 minutes, 512 sessions.
    fn default() -> Self {
        Self { lasts: Duration::from_mins(20), most: 512 }
    }
}

/// Which account serves a session, and what of the session it has in its cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// The account.
    pub record: RecordId,
    /// Tokens of the last prompt it answered.
    pub tokens: u64,
    /// When it last began to answer.
    pub served_at: Timestamp,
    /// Since when its cache has been in use without a gap.
    pub cached_since: Timestamp,
    /// When the session came to it.
    pub came_at: Timestamp,
}

impl Bond {
    /// How much of a prompt the account is expected to find in its cache. A prompt that shrank by half was summed up,
    /// and begins differently.
    pub fn cached(&self, prompt_tokens: u64, now: Timestamp) -> u64 {
        let is_same = prompt_tokens.saturating_mul(2) >= self.tokens;
        if is_same && self.life().lasts(now) { blocks(self.tokens.min(prompt_tokens)) } else { 0 }
    }

    fn life(&self) -> Life {
        Life { since: self.cached_since, used_at: self.served_at }
    }
}

/// Session to account, bounded in time and number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affinity {
    bonds: HashMap<SessionKey, Bond>,
    /// The user's decisions it knows of.
    generation: u64,
}

impl Affinity {
    /// Remembers that `record` began to answer a prompt of `session` at `now`.
    pub fn bind(&mut self, session: &SessionKey, record: &RecordId, tokens: u64, (memory, now): (Memory, Timestamp)) {
        if let Some(bond) = self.bonds.get_mut(session).filter(|bond| bond.record == *record) {
            let life = bond.life().used(now);
            *bond = Bond { tokens, served_at: life.used_at, cached_since: life.since, ..bond.clone() };
            return;
        }
        let bond = Bond { record: record.clone(), tokens, served_at: now, cached_since: now, came_at: now };
        self.bonds.insert(session.clone(), bond);
        self.make_room(memory, now);
    }

    /// Corrects what is remembered by what the answer's end told: tokens of the prompt, and how many were cached.
    pub fn told(&mut self, session: &SessionKey, record: &RecordId, (tokens, cached): (u64, u64)) {
        if let Some(bond) = self.bonds.get_mut(session).filter(|bond| bond.record == *record) {
            // Where little was found, the cache was written with that answer.
            if cached.saturating_mul(2) < blocks(tokens) {
                bond.cached_since = bond.served_at;
            }
            bond.tokens = tokens;
        }
    }

    /// The bond of `session`, if that is not too old.
    pub fn of(&self, session: &SessionKey, (memory, now): (Memory, Timestamp)) -> Option<&Bond> {
        self.bonds.get(session).filter(|bond| now.since(bond.served_at) < memory.lasts)
    }

    /// All bonds, for the disk.
    pub fn bonds(&self) -> impl Iterator<Item = (&SessionKey, &Bond)> {
        self.bonds.iter()
    }

    /// The user's decisions it knows of (`affinityGeneration`).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What was written down under a generation of the user's decisions.
    pub fn from_bonds(generation: u64, bonds: impl IntoIterator<Item = (SessionKey, Bond)>) -> Self {
        Self { bonds: bonds.into_iter().collect(), generation }
    }

    /// Folds in what another process remembers: per session the newer bond. What was remembered before the user's last
    /// decision counts no more.
    pub fn merge(&mut self, other: &Self, (memory, now): (Memory, Timestamp)) {
        if other.generation < self.generation {
            return;
        }
        self.decided(other.generation);
        for (session, bond) in &other.bonds {
            let is_newer = self.bonds.get(session).is_none_or(|known| known.served_at < bond.served_at);
            if is_newer {
                self.bonds.insert(session.clone(), bond.clone());
            }
        }
        self.make_room(memory, now);
    }

    /// Forgets all sessions when the user decided anew since.
    pub fn decided(&mut self, generation: u64) {
        if generation > self.generation {
            self.bonds.clear();
            self.generation = generation;
        }
    }

    fn make_room(&mut self, memory: Memory, now: Timestamp) {
        if self.bonds.len() > memory.most {
            self.bonds.retain(|_, bond| now.since(bond.served_at) < memory.lasts);
        }
        while self.bonds.len() > memory.most.max(1) {
            let oldest = self.bonds.iter().min_by_key(|(_, bond)| bond.served_at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.bonds.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    fn key(text: &str) -> SessionKey {
        SessionKey::parse(text).expect("not blank")
    }

    fn at(seconds: i64) -> (Memory, Timestamp) {
        (Memory::default(), Timestamp::from_secs(seconds))
    }

    fn home(affinity: &Affinity, session: &str, now: (Memory, Timestamp)) -> Option<RecordId> {
        affinity.of(&key(session), now).map(|bond| bond.record.clone())
    }

    #[test]
    fn forgets_after_twenty_minutes() {
        let mut affinity = Affinity::default();
        affinity.bind(&key("s"), &account(1).record, 0, at(0));
        assert_eq!(home(&affinity, "s", at(20 * 60 - 1)), Some(account(1).record));
        assert_eq!(home(&affinity, "s", at(20 * 60)), None);
    }

    #[test]
    fn the_longest_idle_session_makes_room() {
        let mut affinity = Affinity::default();
        for index in 0..=512 {
            affinity.bind(&key(&format!("s{index}")), &account(1).record, 0, at(index));
        }
        assert_eq!(home(&affinity, "s0", at(600)), None);
        assert_eq!(home(&affinity, "s1", at(600)), Some(account(1).record));
    }

    #[test]
    fn the_cache_is_expected_to_hold_what_was_answered_lately() {
        let mut affinity = Affinity::default();
        let (session, record) = (key("s"), account(1).record);
        affinity.bind(&session, &record, 50_000, at(0));
        let cached = |affinity: &Affinity, tokens, now: i64| {
            affinity.of(&session, at(now)).expect("bound").cached(tokens, Timestamp::from_secs(now))
        };
        assert_eq!(cached(&affinity, 52_000, 300), 49_920);
        assert_eq!(cached(&affinity, 52_000, 301), 0, "gone");
        assert_eq!(cached(&affinity, 9000, 10), 0, "summed up");
        (1..=14).for_each(|step| affinity.bind(&session, &record, 60_000, at(240 * step)));
        assert_eq!(cached(&affinity, 60_000, 3600), 59_904);
        assert_eq!(cached(&affinity, 60_000, 3601), 0, "an hour after it was written");
        affinity.told(&session, &record, (60_000, 0));
        assert_eq!(cached(&affinity, 60_000, 3601), 59_904, "it was written by the last answer");
    }

    #[test]
    fn the_newer_bond_counts_whoever_merges() {
        let bound = |session: &str, number, second| {
            let mut affinity = Affinity::default();
            affinity.bind(&key(session), &account(number).record, 0, at(second));
            affinity
        };
        let (mut one, mut two) = (bound("s", 1, 10), bound("s", 2, 20));
        let before = one.clone();
        one.merge(&bound("t", 3, 15), at(30));
        one.merge(&two, at(30));
        two.merge(&before, at(30));
        assert_eq!(
            (home(&one, "s", at(30)), home(&two, "s", at(30))),
            (Some(account(2).record), Some(account(2).record))
        );
        assert_eq!(home(&one, "t", at(30)), Some(account(3).record));
    }

    #[test]
    fn what_is_older_than_the_users_decision_is_forgotten() {
        let mut old = Affinity::default();
        old.bind(&key("s"), &account(1).record, 0, at(10));
        let mut new = Affinity::default();
        new.decided(1);
        new.merge(&old, at(30));
        assert_eq!(home(&new, "s", at(30)), None);
        old.merge(&new, at(30));
        assert_eq!((home(&old, "s", at(30)), old.generation()), (None, 1));
    }
}
