//! The proxy as its clients and its upstream see it: real sockets, every byte scripted.
#![allow(clippy::unwrap_used, reason = "a test whose machinery fails has failed")]

mod accounting;
mod agent;
mod alerts;
mod bodies;
mod face;
mod failures;
mod fallback;
mod guard;
mod incidents;
mod invalidation;
mod no_secret_leaves;
mod permits;
mod questions;
mod recording;
mod refusals;
mod request_path;
mod rotation;
mod rules;
mod streaming;
mod support;
mod token_door;
