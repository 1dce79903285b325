//! Pool and keeper from outside: under chance, under crashes, and in every order of their steps.
#![allow(clippy::unwrap_used, reason = "a test whose machinery fails has failed")]

mod decision_tables;
mod executor;
mod failures;
mod forecast;
mod historic;
mod keeper_races;
mod ledger;
mod model;
mod quota_merge;
mod quota_readers;
mod replayed;
mod routing;
mod simulation;
mod small_worlds;
mod stepped;
mod strategies;
mod waits;
