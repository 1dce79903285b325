//! Rules in memory, for tests of whoever composes them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Place, Policies, PolicySource, PriceTable, SavedPool, SpentAt, StoreError, Timestamp};

/// Rules that a test sets, or breaks; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryPolicies(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stamp: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    policies: Policies,
    is_broken: bool,
    places: BTreeMap<String, String>,
    spent: Vec<SpentAt>,
    prices: PriceTable,
    are_prices_broken: bool,
}

impl MemoryPolicies {
    /// Sets all rules.
    pub fn set(&self, policies: Policies) {
        self.change(|state| (state.policies, state.is_broken) = (policies, false));
    }

    /// Makes them unreadable.
    pub fn break_off(&self) {
        self.change(|state| state.is_broken = true);
    }

    /// Makes a directory one of a project.
    pub fn locate(&self, directory: &str, project: &str) {
        self.change(|state| drop(state.places.insert(directory.to_owned(), project.to_owned())));
    }

    /// What was spent before.
    pub fn spent_before(&self, spent: SpentAt) {
        self.change(|state| state.spent.push(spent));
    }

    /// Sets what tokens cost; `None` makes the prices unreadable.
    pub fn price(&self, prices: Option<PriceTable>) {
        self.change(|state| {
            state.are_prices_broken = prices.is_none();
            state.prices = prices.unwrap_or_default();
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.stamp.fetch_add(1, Ordering::Relaxed);
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PolicySource for MemoryPolicies {
    fn stamp(&self) -> u64 {
        self.0.stamp.load(Ordering::Relaxed)
    }

    fn read(&self, _pool: &SavedPool) -> Result<Policies, StoreError> {
        let broken =
            || StoreError::Unreadable { path: "rules.json".to_owned(), why: "it ends in the middle".to_owned() };
        self.look(|state| if state.is_broken { Err(broken()) } else { Ok(state.policies.clone()) })
    }

    fn place_of(&self, directory: &str) -> Option<Place> {
        let project = self.look(|state| state.places.get(directory).cloned())?;
        Some(Place { project, roots: vec![directory.to_owned()] })
    }

    fn spent(&self, _now: Timestamp) -> Result<Vec<SpentAt>, StoreError> {
        Ok(self.look(|state| state.spent.clone()))
    }

    fn prices(&self) -> Result<PriceTable, StoreError> {
        let broken = || StoreError::Unreadable { path: "prices.json".to_owned(), why: "no price".to_owned() };
        self.look(|state| if state.are_prices_broken { Err(broken()) } else { Ok(state.prices.clone()) })
    }
}
