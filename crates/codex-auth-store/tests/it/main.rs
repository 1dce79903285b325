//! The store over a real disk: documents, crashes, processes, claims, logins.
#![allow(clippy::disallowed_methods, reason = "these tests look at the disk themselves")]

mod broken_engines;
mod claims;
mod coexistence;
mod conformance;
mod crash_points;
mod crash_points;
mod engine_crashes;
mod fuzzing;
mod fuzzing;
mod golden_documents;
mod importing;
mod logins;
mod merging;
mod operations;
mod recovery;
mod two_processes;
mod world;
