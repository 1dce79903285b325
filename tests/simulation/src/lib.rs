//! The whole product in virtual time, without sockets: the request path over the real store on a disk with faults, in
//! front of an issuer and a backend that keep book, for people who leave, switch, pause and sign in by chance.
//!
//! | Room | Question it answers |
//! |---|---|
//! | `world` | what time is it, what comes by chance, what was found wrong? |
//! | `disk` | how does the store work while nobody else does, so that a seed repeats? |
//! | `drawer` | what is in the agents' directory when the next one starts? |
//! | `vendor` | whose token is it, and what does the issuer grant? |
//! | `limits` | what is left of a quota, and which limit was ever told? |
//! | `backend` | what is answered to a request? |
//! | `stream` | how does a good answer go on, and how does it end? |
//! | `book` | who writes requests down, and when does that fail? |
//! | `client` | how do sessions ask, read, wait and leave? |
//! | `others` | what do people and other programs do to the files meanwhile? |
//! | `judge` | what must hold of every request, of its row, and of what the next agent knows? |
//! | `agent` | what is an agent made of? |
//! | `run` | one seed: lives of agents, crashes between them, and the reckoning at the end |
//!
//! Everything runs on one thread in the order that the seed gives; the disk works on a second one, for which the first
//! waits. What is judged is said here once more and independently of the code it judges.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a simulation whose machinery fails has failed; it owns the files it makes"
)]

mod agent;
mod backend;
mod book;
mod client;
mod disk;
mod drawer;
mod judge;
mod limits;
mod others;
mod run;
mod stream;
mod vendor;
mod world;

pub use run::simulate;
pub use world::{Flaw, Tally};
