//! A hermetic OpenAI for tests: an issuer, a ChatGPT backend, quotas and faults, on loopback and nowhere else.
//!
//! ```
//! use codex_auth_testkit::{FakeOpenAi, PoolKnobs, Setup, Who};
//!
//! let fake = FakeOpenAi::start_blocking(&Setup { accounts: 2, exhausted: vec![1], ..Setup::default() })?;
//! let pool = fake.pool_document(&PoolKnobs::default());
//! assert_eq!(pool["accounts"][1]["email"], "person2@example.test");
//! assert!(fake.state().account(Who::Account(1)).is_some_and(|one| one.exhausted_until_ms.is_some()));
//! # Ok::<(), codex_auth_testkit::StartError>(())
//! ```
//!
//! | Room | Owns |
//! |---|---|
//! | [`fake`] | the handle on a running fake |
//! | `setup`, `clock`, `people` | what it is told beforehand: numbers, time, who exists |
//! | `jwt`, `grants` | secrets with canaries; which token means what |
//! | `issuer` | sign-in by browser and device code, token endpoint, revocation |
//! | `backend`, `quota`, `script` | turns, models, account endpoints; quota windows; what the model says |
//! | `fault`, `deliver`, `line` | what goes wrong, and how an answer reaches the wire |
//! | `ask`, `route`, `reply`, `server` | requests in, answers out, sockets |
//! | `world`, `log`, `state`, `control` | the state, what was seen, and the levers over HTTP |
//! | `pool_files`, `login_files`, `private_file` | the accounts file and the `auth.json` of its people |
//! | `company` | a company's network: proxies of every sort (feature `company-network`) |
//! | `leaks`, `egress` | the search for leaked secrets; the refusing proxy |
//! | [`fuzzing`] | seeded mutations of a parser's corpus, and how a crate's entries are driven by them |
#![allow(clippy::disallowed_methods, reason = "a test tool: it is the seam to clock and files itself")]

mod ask;
mod backend;
mod clock;
#[cfg(feature = "company-network")]
mod company;
mod control;
mod deliver;
mod egress;
pub mod fake;
mod fault;
pub mod fuzzing;
mod grants;
mod issuer;
mod jwt;
mod leaks;
mod line;
mod log;
mod login_files;
mod people;
mod pool_files;
mod private_file;
mod quota;
mod reply;
mod route;
mod script;
mod server;
mod setup;
mod state;
mod world;

pub use clock::ClockKind;
#[cfg(feature = "company-network")]
pub use company::{Authority, CompanyProxy, CompanySetup, Passage, TlsFront, pem};
pub use egress::{Attempt, Egress};
pub use fake::{FakeOpenAi, StartError};
pub use fault::{Act, Denial, Fault, Malformed};
pub use grants::{Bearer, Verdict};
pub use issuer::SignIn;
pub use jwt::{CANARY_MARK, CLIENT_ID, fingerprint, sha256_hex};
pub use leaks::{Canaries, Finding, Hit};
pub use log::{Answer, Asked, Body, Caller, Ending, Headers, Presented, Record, TurnNote};
pub use login_files::{LoginKind, LoginKnobs};
pub use people::{LoginFor, Person, Who};
pub use pool_files::{PoolKnobs, record_id};
pub use private_file::WriteError;
pub use quota::Used;
pub use route::Route;
pub use script::{DEFAULT_TEXT, Script};
pub use setup::{PeopleSetup, Setup, TokenSetup};
pub use state::{AccountState, Fingerprints, State};
pub use world::Counts;
