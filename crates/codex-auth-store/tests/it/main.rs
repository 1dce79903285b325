//! The store over a real disk: documents, crashes, processes, claims, logins.
#![allow(clippy::disallowed_methods, reason = "these tests look at the disk themselves")]

mod claims;
mod crash_points;
mod duplicates;
mod golden_documents;
mod golden_files;
mod legacy_pools;
mod logins;
mod merging;
mod normal;
mod two_processes;
mod world;
