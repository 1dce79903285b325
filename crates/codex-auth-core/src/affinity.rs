//! A session keeps its account: prompt caches and encrypted reasoning are bound to it.

use std::{collections::HashMap, time::Duration};

use crate::{RecordId, SessionKey, Timestamp};

/// How long and how many sessions are remembered; the predecessor's defaults.
const MEMORY: Duration = Duration::from_mins(20);
const MOST: usize = 512;

/// Session to account, bounded in time and number.
#[derive(Debug, Default)]
pub struct Affinity {
    bound: HashMap<SessionKey, Bond>,
}

#[derive(Debug)]
struct Bond {
    record: RecordId,
    used_at: Timestamp,
}

impl Affinity {
    /// Remembers that `record` served `session` at `now`; the longest idle session makes room.
    pub fn bind(&mut self, session: &SessionKey, record: &RecordId, now: Timestamp) {
        if let Some(bond) = self.bound.get_mut(session) {
            bond.used_at = now;
            if bond.record != *record {
                bond.record = record.clone();
            }
            return;
        }
        if self.bound.len() >= MOST {
            self.bound.retain(|_, bond| now.since(bond.used_at) < MEMORY);
        }
        if self.bound.len() >= MOST {
            let oldest = self.bound.iter().min_by_key(|(_, bond)| bond.used_at).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.bound.remove(&key));
        }
        self.bound.insert(session.clone(), Bond { record: record.clone(), used_at: now });
    }

    /// The account that served `session`, if that is not too long ago.
    pub fn of(&self, session: &SessionKey, now: Timestamp) -> Option<&RecordId> {
        self.bound.get(session).filter(|bond| now.since(bond.used_at) < MEMORY).map(|bond| &bond.record)
    }

    /// Forgets all sessions, after a decision of the user.
    pub fn clear(&mut self) {
        self.bound.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    fn key(text: &str) -> SessionKey {
        SessionKey::parse(text).expect("not blank")
    }

    #[test]
    fn forgets_after_twenty_minutes() {
        let mut affinity = Affinity::default();
        let start = Timestamp::from_millis(0);
        affinity.bind(&key("s"), &account(1).record, start);
        assert_eq!(affinity.of(&key("s"), Timestamp::from_secs(20 * 60 - 1)), Some(&account(1).record));
        assert_eq!(affinity.of(&key("s"), start.after(MEMORY)), None);
    }

    #[test]
    fn the_longest_idle_session_makes_room() {
        let mut affinity = Affinity::default();
        for index in 0..=i64::try_from(MOST).expect("small") {
            affinity.bind(&key(&format!("s{index}")), &account(1).record, Timestamp::from_millis(index));
        }
        let now = Timestamp::from_millis(1000);
        assert_eq!(affinity.of(&key("s0"), now), None);
        assert_eq!(affinity.of(&key("s1"), now), Some(&account(1).record));
    }
}
