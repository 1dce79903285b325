//! The store over a real disk: documents, crashes, processes, claims, logins.
#![allow(clippy::disallowed_methods, reason = "these tests look at the disk themselves")]

mod beside;
mod broken_engines;
mod claims;
mod coexistence;
mod conformance;
mod crash_points;
mod decisions;
mod diary;
mod duplicates;
mod engine_crashes;
mod fuzzing;
mod golden_documents;
mod golden_files;
mod importing;
mod late_answers;
mod ledger;
mod legacy_pools;
mod logins;
mod many_processes;
mod merging;
mod normal;
mod opencode_store;
mod operations;
mod parking;
mod recovery;
mod rules;
mod state_files;
mod storage_paths;
mod two_processes;
mod usage_book;
mod world;
