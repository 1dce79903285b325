//! What a storage engine promises, cut into small ports, so that an engine may keep some of them and say so.
//!
//! | Port | Question it answers | Rules an engine must keep |
//! |---|---|---|
//! | [`Vault`] | what are the newest tokens of an account? | one order of commits per account; an old generation or fence never succeeds |
//! | [`Leases`] | who may work on something now? | fences only grow; time is the engine's and never runs back |
//! | [`Journal`] | may this token be presented? | noted before it is sent; presented at most once; a crash is recoverable |
//! | [`Facts`] | what is the best we know? | idempotent, in any order, never backwards |
//! | [`Affinity`] | which account owns a session? | one owner at a time |
//! | [`Counters`] | is there room for one more? | grants never exceed the limit |
//! | [`Ledger`] | what was used? | once per key; sums equal recomputation |
//! | [`Watch`] | did anything change? | no change is missed, also over a new connection |
//! | [`Caps`] | what is this engine good for? | what is said is what is there |
//!
//! All are asynchronous and safe as `dyn`, because an engine may be a server with a clock of its own. The store's
//! conformance kit proves each rule by name.

mod affinity;
mod caps;
mod counters;
mod engine_time;
mod error;
mod facts;
mod journal;
mod leases;
mod ledger;
mod vault;
mod watch;

pub use affinity::{Affinity, Binding};
pub use caps::{Caps, ClockSource, Durability, Parts, Reach, StorageEngine, Unfit};
pub use counters::{Counters, Grant, Usage};
pub use engine_time::EngineTime;
pub use error::CapabilityError;
pub use facts::{Facts, Observation};
pub use journal::{Journal, Noted, OpId, OpenOp, Outcome, Recovery, TokenName};
pub use leases::{Fence, FencedLease, Leases};
pub use ledger::{Appended, Ledger, Rolled, UsageEntry, roll_up};
pub use vault::{Commit, Contents, Judged, Kept, SealedBytes, Vault, judge};
pub use watch::{Cursor, Seen, Watch};
