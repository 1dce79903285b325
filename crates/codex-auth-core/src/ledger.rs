//! The ledger's rules: how a request ended, what it took and is estimated to cost, how rows are summed, and how the sums
//! are held against what the official client wrote down. Formats are the store's.
//!
//! What is counted is the request of a model. Its attempts are written down beside it, so that a person sees what a retry
//! did, and are in no sum; nor are questions that take no tokens (lists of models, quotas, whatever else is passed on).

mod day;
mod ending;
mod price;
mod reconcile;
mod sessions;
mod spent;
mod sums;
mod words;

pub use day::Day;
pub use ending::{Ending, Finish, Terminal};
pub use price::{Price, PriceTable, Priced};
pub use reconcile::{Difference, Here, Kind as DifferenceKind, Reconciliation, Side, There, reconcile};
pub use sessions::{Counted, CountedSessions, SessionEvent, SessionFile, count_sessions};
pub use spent::{AttemptSpent, RequestSpent, UsageBook, Whose};
pub use sums::{Cell, Entry, Rollup, Sums, UsageGroup, summed};
pub use words::{UsageOperation, UsageOutcome, UsageSource};
