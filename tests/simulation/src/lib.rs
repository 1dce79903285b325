//! The whole product in virtual time, without sockets: the request path over the real store on a disk with faults, in
//! front of an issuer and a backend that keep book, for people who leave, switch, pause and sign in by chance.
//!
//! | Room | Question it answers |
//! |---|---|
//! | `world` | what time is it, what comes by chance, what was found wrong? |
//! | `disk` | how does the store work while nobody else does, so that a seed repeats? |
//! | `vendor` | whose token is it, what is left of a quota, what does the issuer grant? |
//! | `backend` | what does an answer look like, and may it be asked for at all? |
//! | `client` | how do sessions ask, read, wait and leave? |
//! | `others` | what do people and other programs do to the files meanwhile? |
//! | `judge` | what must hold of every request? |
//! | `run` | one seed: lives of an agent, crashes between them, and the reckoning at the end |
//!
//! Everything runs on one thread in the order that the seed gives; the disk works on a second one, for which the first
//! waits. What is judged is said here once more and independently of the code it judges.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a simulation whose machinery fails has failed; it owns the files it makes"
)]

mod backend;
mod client;
mod disk;
mod judge;
mod others;
mod run;
mod vendor;
mod world;

pub use run::simulate;
pub use world::{Flaw, Tally};
