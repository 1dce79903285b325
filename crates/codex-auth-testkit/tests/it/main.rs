//! The fake seen from outside: real sockets, one room per part of it.
#![allow(clippy::disallowed_methods, reason = "tests of a tool that reads files and the clock")]
#![allow(clippy::unwrap_used, reason = "only tests here; helpers of tests are not seen as such")]

mod backend;
mod binary;
mod client;
mod control;
mod egress;
mod faults;
mod issuer;
mod leaks;
