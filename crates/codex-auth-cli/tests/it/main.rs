//! The built program as a person or a script meets it: words in, two streams and an exit code out, files on a disk.
#![allow(clippy::disallowed_methods, reason = "tests look at the disk themselves")]
#![allow(missing_docs, reason = "tests are read by their names")]

mod accounts;
mod bad_disk;
mod bad_input;
mod browser;
mod check;
mod coexistence;
mod documents;
mod files;
mod handing_over;
mod imports;
mod kills;
mod login;
mod networks;
mod official;
mod offline;
mod one_token;
mod pages;
mod projects;
mod restoring;
mod revoking;
mod rotation;
mod saving;
mod screens;
mod serving;
mod sign_in_document;
mod signin_pages;
mod signing_in;
mod tokens;
mod undoing;
mod why_document;
mod words;
mod world;
mod wrapper;
