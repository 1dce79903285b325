//! The store over a real disk: documents, crashes, processes, claims, logins.
#![allow(clippy::disallowed_methods, reason = "these tests look at the disk themselves")]

mod claims;
mod crash_points;
mod golden_documents;
mod logins;
mod many_processes;
mod merging;
mod two_processes;
mod world;
