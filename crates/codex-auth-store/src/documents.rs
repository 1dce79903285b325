//! The typed documents beside the pool, one room each. [`StateFile`](crate::StateFile) reads and changes them.
//!
//! | Room | File |
//! |---|---|
//! | `account_policies`, `routing_profiles`, `budget_guards` | what the user wants of accounts, projects, spending |
//! | `alerts`, `forecast` | what a person was told of low quotas; how windows were used, and what was said of them |
//! | `app_bind`, `first_run` | the desktop app's binding; the mark of the first run |
//! | `client_tokens` | who may talk to the bridge |
//! | `flagged` | parked accounts; pure, the engine writes them together with the pool |
//! | `observability`, `quota_cache` | what the router last did, what is left of each quota |
//! | `settings` | every setting in one table, and where its value comes from |
//! | `usage_ledger` | one row for each request, and their sums |
//! | `opencode_affinity`, `opencode_cache`, `opencode_snapshots` | the caches of the `OpenCode` plugin |
//! | `rows`, `words` | tables inside a document, names normalised |

pub mod account_policies;
pub mod alerts;
pub mod app_bind;
pub mod budget_guards;
pub mod client_tokens;
pub mod first_run;
pub mod flagged;
pub mod forecast;
pub mod observability;
pub mod opencode_affinity;
pub mod opencode_cache;
pub mod opencode_snapshots;
pub mod quota_cache;
pub mod routing_profiles;
mod rows;
pub mod settings;
pub mod usage_ledger;
mod words;
