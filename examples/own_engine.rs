//! An engine of one's own, with one capability, put through the conformance kit.

#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use codex_auth_core::{
    capability::{CapabilityError, Caps, ClockSource, Durability, Facts, Observation, Parts, Reach, StorageEngine},
    testing::account,
};
use codex_auth_store::testing::conformance::{self, Effort, World};

/// Knows facts and nothing else.
#[derive(Debug, Clone, Default)]
struct FactEngine(Arc<Mutex<BTreeMap<String, Observation>>>);

impl StorageEngine for FactEngine {
    fn caps(&self) -> Caps {
        Caps {
            engine: "facts only",
            reach: Reach::OneProcess,
            clock: ClockSource::HostForward,
            largest_item: 0,
            durability: Durability::Memory,
            takes_plain: false,
            takes_sealed: true,
        }
    }

    fn parts(&self) -> Parts<'_> {
        Parts { facts: Some(self), ..Parts::default() }
    }
}

#[async_trait]
impl Facts for FactEngine {
    async fn append(&self, seen: Observation) -> Result<Observation, CapabilityError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The merge rule is the core's. An engine that keeps the last one told breaks `facts/never-back`.
        let best = match known.remove(&seen.key) {
            Some(before) => before.merge(seen),
            None => seen,
        };
        known.insert(best.key.clone(), best.clone());
        Ok(best)
    }

    async fn latest(&self, key: &str) -> Result<Option<Observation>, CapabilityError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let make = || {
        let engine = FactEngine::default();
        World::new([account(1).record, account(2).record], move || Arc::new(engine.clone()))
    };
    let report = conformance::run(make, Effort::QUICK).await;
    print!("{report}");
    assert!(report.broken().is_empty(), "an example that breaks a rule is none");
    println!("{} rules hold", report.held().len());
}
