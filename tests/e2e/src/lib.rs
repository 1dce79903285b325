//! The official clients against our programs and the fake OpenAI, each test in a world of its own.
//!
//! | Room | Holds |
//! |---|---|
//! | [`browser`] | Chromium, and what a person meets on a page |
//! | [`world`] | directories, environment, commands, and the judgement at the end |
//! | [`namespace`] | the network of a world, and the processes in it |
//! | [`fake`] | the fake OpenAI: started, told what to do, asked for logins |
//! | [`probe`] | requests and bound ports from inside the network |
//! | [`upstream`] | what reached the fake: who asked for what, and what was answered |
//! | [`codex`] | the official client: where it is, how it is pointed at a port |
//! | [`process`] | one child: output, signals, end |
//! | [`terminal`] | a person at a terminal: keys in, screen out |
//! | [`scan`] | the search for planted secrets |
//! | [`leaks`] | the same in every disguise, in every place a program can leave something |
//! | [`wait`] | waiting with a deadline |
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test harness: it reads its environment, the clock and files, and says why a test failed"
)]

pub mod browser;
pub mod codex;
pub mod fake;
pub mod leaks;
pub mod namespace;
pub mod probe;
pub mod process;
pub mod scan;
pub mod terminal;
pub mod upstream;
pub mod wait;
pub mod world;

pub use codex_auth_testkit::Who;
pub use process::{Finished, Running};
pub use upstream::{Exchange, Upstream};
pub use world::{Scene, World};
