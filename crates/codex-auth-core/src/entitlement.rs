//! Which account lacks which model, as the backend said; remembered for half an hour, and until it serves it.
//!
//! A memory without an end would keep an account from a model for good: it could never show that it has it by now.

use std::{collections::HashMap, time::Duration};

use crate::{RecordId, Timestamp};

/// How long it is remembered.
pub const LACKS_MODEL_FOR: Duration = Duration::from_mins(30);
/// More are not kept; whoever asks for so many models is told by the backend each time.
const MOST: usize = 4096;

/// The memory.
#[derive(Debug, Clone, Default)]
pub struct Entitlements {
    /// By account, then by model.
    lacking: HashMap<RecordId, HashMap<String, Timestamp>>,
    count: usize,
}

impl Entitlements {
    /// The backend said that this account lacks the model.
    pub fn lacks(&mut self, record: &RecordId, model: &str, now: Timestamp) {
        if self.count >= MOST {
            self.forget_old(now);
        }
        if self.count < MOST {
            let known = self.lacking.entry(record.clone()).or_default();
            self.count += usize::from(known.insert(model.to_owned(), now.after(LACKS_MODEL_FOR)).is_none());
        }
    }

    /// It served the model.
    pub fn has(&mut self, record: &RecordId, model: &str) {
        if let Some(known) = self.lacking.get_mut(record) {
            self.count -= usize::from(known.remove(model).is_some());
        }
    }

    /// Until when the account is known to lack the model.
    pub fn until(&self, record: &RecordId, model: &str, now: Timestamp) -> Option<Timestamp> {
        let until = *self.lacking.get(record)?.get(model)?;
        // A clock that was set back must not make half an hour longer.
        Some(until.min(now.after(LACKS_MODEL_FOR))).filter(|until| now < *until)
    }

    fn forget_old(&mut self, now: Timestamp) {
        for known in self.lacking.values_mut() {
            known.retain(|_, until| now < *until);
        }
        self.lacking.retain(|_, known| !known.is_empty());
        self.count = self.lacking.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;

    #[test]
    fn f47_it_ends_by_itself_and_with_the_first_success() {
        let (mut memory, now) = (Entitlements::default(), Timestamp::from_secs(1000));
        let (one, two) = (account(1).record, account(2).record);
        let ends = now.after(LACKS_MODEL_FOR);
        memory.lacks(&one, "spark", now);
        assert_eq!(memory.until(&one, "spark", now), Some(ends));
        assert_eq!((memory.until(&one, "other", now), memory.until(&two, "spark", now)), (None, None));
        assert_eq!(memory.until(&one, "spark", ends), None);
        memory.has(&one, "spark");
        assert_eq!(memory.until(&one, "spark", now), None);
    }

    #[test]
    fn it_has_room_for_what_is_new() {
        let (mut memory, now) = (Entitlements::default(), Timestamp::from_secs(1000));
        let record = account(1).record;
        for n in 0..=MOST {
            memory.lacks(&record, &n.to_string(), now);
        }
        assert_eq!(memory.until(&record, &MOST.to_string(), now), None, "there is no end of memory");
        let later = now.after(LACKS_MODEL_FOR);
        memory.lacks(&record, "new", later);
        assert_eq!(memory.until(&record, "new", later), Some(later.after(LACKS_MODEL_FOR)));
        assert_eq!(memory.count, 1);
    }
}
