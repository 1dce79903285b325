//! The way out of this machine: which proxy, whose certificates, how long to wait. One construction of the HTTP client
//! serves every call of both products.
//!
//! [`Network`] holds what the environment says, as values handed in. A [`Caller`] sends requests by it. Nothing is
//! opened, read or built before the first call that needs it: commands that ask nobody pay nothing.
//!
//! | Room | Question it answers |
//! |---|---|
//! | `network` ([`Network`]) | what do the variables say, and which way does an address take? |
//! | `proxy` | which proxy, and how is it named without its password? |
//! | `bundle`, `roots` | which certificate authorities are believed besides the platform's? |
//! | `limits` ([`Limits`]) | how long may a call take? |
//! | `reqwest_caller` ([`Caller`]) | how is a request sent, and was anything sent at all? |
//! | `diagnosis`, `failure` ([`Failure`], [`NetworkFault`]) | what is a person told when it fails? |
//!
//! # Every network call of the products, and its end
//!
//! | Call | Sent by | Connection | Whole call | Silence |
//! |---|---|---|---|---|
//! | code for tokens (sign-in) | [`Caller::small`] | 10 s | 30 s | |
//! | device code, and each look whether it was entered | [`Caller::small`] | 10 s | 30 s | |
//! | renewal of a token | [`Caller::small`] | 10 s | 30 s | |
//! | revocation | [`Caller::small`] | 10 s | 30 s | |
//! | usage of an account (`check`) | [`Caller::small`] | 10 s | 30 s | |
//! | model call by https | [`Caller::streaming`] | 10 s | none: an answer may go on for an hour | 5 min, also before its head |
//! | model call by http, to this machine only | proxy `inline_upstream` | 10 s | none | 5 min, by `forward` and `relay` |
//! | account endpoints relayed for a client | as model calls | 10 s | none | 5 min, by `face` |
//! | asking another sign-in to free the port | oauth `callback/bind` | 0.5 s | 0.5 s | |
//! | control socket of the agent | proxy `agent/client` | 40 s | 40 s; a lease 8 s | a held lease has none: its end is its news |
//!
//! Incoming calls have limits of their own (oauth `callback`, proxy `server`).

mod bundle;
mod diagnosis;
mod failure;
mod limits;
mod network;
mod proxy;
mod reqwest_caller;
mod roots;

pub use failure::{Failure, NetworkFault};
pub use limits::Limits;
pub use network::{Network, is_loopback};
pub use reqwest_caller::{Answered, Caller};
