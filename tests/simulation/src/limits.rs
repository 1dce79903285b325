//! The backend's books of use: what is left for each person, and for each person's model where that is metered apart;
//! and which limits it ever told, so that nobody rests for one that was never told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use codex_auth_core::Timestamp;

/// Requests per window, of everything and of a model that is metered apart; the windows.
const QUOTA: u32 = 12;
const MODEL_QUOTA: u32 = 4;
const WINDOW: Duration = Duration::from_mins(6);
const MODEL_WINDOW: Duration = Duration::from_mins(3);

/// Whose limit: a person's own, or that of one model.
pub(crate) type Limited = (usize, Option<String>);

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Whether models are metered apart.
    meters_models: bool,
    left: BTreeMap<Limited, (u32, Timestamp)>,
    told: BTreeSet<(Limited, i64)>,
}

/// What became of a request for a person's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Share {
    /// It was there; so much of the person's own is used until then.
    Taken { used_percent: u32, resets_at: Timestamp },
    /// The person's own is spent until then.
    Spent { resets_at: Timestamp },
    /// The model's is, and nothing else.
    ModelSpent { resets_at: Timestamp },
}

impl Limits {
    /// Books in which nothing is used yet.
    pub(crate) fn new(meters_models: bool) -> Self {
        Self { meters_models, ..Self::default() }
    }

    /// Takes one request off what is left, or off nothing.
    pub(crate) fn take(&mut self, person: usize, model: Option<&str>, now: Timestamp) -> Share {
        let model = model.filter(|_| self.meters_models).map(str::to_owned);
        let (left, resets_at) = self.left_of((person, None), now);
        if left == 0 {
            return Share::Spent { resets_at: self.tell((person, None), resets_at) };
        }
        if let Some(model) = model {
            let limited = (person, Some(model));
            let (left, resets_at) = self.left_of(limited.clone(), now);
            if left == 0 {
                return Share::ModelSpent { resets_at: self.tell(limited, resets_at) };
            }
            self.left.insert(limited, (left - 1, resets_at));
        }
        self.left.insert((person, None), (left - 1, resets_at));
        Share::Taken { used_percent: (QUOTA - (left - 1)) * 100 / QUOTA, resets_at }
    }

    fn left_of(&mut self, limited: Limited, now: Timestamp) -> (u32, Timestamp) {
        let (quota, window) = if limited.1.is_none() { (QUOTA, WINDOW) } else { (MODEL_QUOTA, MODEL_WINDOW) };
        let left = self.left.entry(limited).or_insert((quota, now.after(window)));
        if now >= left.1 {
            *left = (quota, now.after(window));
        }
        *left
    }

    /// Notes that a limit is told, in the whole seconds of the wire.
    pub(crate) fn tell(&mut self, limited: Limited, until: Timestamp) -> Timestamp {
        let seconds = until.as_secs_ceil();
        self.told.insert((limited, seconds));
        Timestamp::from_secs(seconds)
    }

    /// Whether this limit was ever told with this end.
    pub(crate) fn was_told(&self, limited: Limited, until: Timestamp) -> bool {
        self.told.contains(&(limited, until.as_secs_ceil()))
    }
}
