//! The store over a real disk: documents, crashes, processes, claims, logins.
#![allow(clippy::disallowed_methods, reason = "these tests look at the disk themselves")]

mod broken_engines;
mod claims;
mod conformance;
mod crash_points;
mod engine_crashes;
mod golden_documents;
mod logins;
mod merging;
mod two_processes;
mod world;
