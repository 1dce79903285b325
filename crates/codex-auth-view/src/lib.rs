//! Screens: a command builds a typed view, and the view knows how to look, as text and as JSON.
//!
//! No view asks the clock, the environment or the disk: `now` and every path are handed in. What a person sees in one
//! face stands in the other, too.
//!
//! | Room | Shows |
//! |---|---|
//! | `screen` ([`Screen`], [`document`]) | how any view becomes text or a document |
//! | `wait`, `words`, `named` ([`Named`]) | spans of time, lines no wider than the screen, what accounts are called |
//! | `row` ([`AccountRow`]) | one account: markers, reason, way out |
//! | `list` ([`AccountList`]) | `list`, `status` |
//! | `auth_store` ([`AuthStore`]) | where the official client keeps its login |
//! | `choice` ([`Switched`], [`Unpinned`], [`Removed`]) | what a choice of the user changed |
//! | `added` ([`Added`], [`Cancelled`], [`Imports`]), `workspace` ([`OtherWorkspace`]) | sign-ins that came into the pool, or would |
//! | `earlier` ([`CopyList`], [`Restored`], [`WasReset`]) | copies, going back to one, beginning anew |
//! | `undone` ([`OperationList`], [`TakenBack`]) | what was done, and what was taken back |
//! | `saved` ([`Saved`], [`BackupList`]) | the pool in a file of its own |
//! | `check` ([`Checked`]) | what the backend says about every account |
//! | `forecast` ([`Forecast`]), `calibration` ([`CalibrationReport`]) | how long what is left lasts, and how often that was right |
//! | `best` ([`Best`]) | the account that was taken |
//! | `why` ([`WhySelected`]) | who serves the next request, and why not the others |
//! | `what_if` ([`WhatIf`]) | recorded decisions under another strategy |
//! | `capabilities` ([`Capabilities`], [`CapabilityMade`], [`RawToken`]) | what lets other programs in |
//! | `rotation` ([`RotationStatus`]) | the agent, its sessions and settings |
//! | `usage` ([`Usage`]), `reconciled` ([`UsageReconciled`]) | what requests took, and how that compares with the client's logs |
//! | `files` ([`Files`]) | every known file, and how it is |
//! | `wrapper` ([`WrapperStatus`]) | the `codex` on `PATH` that leads to us |

#![warn(clippy::wildcard_enum_match_arm)]

mod added;
mod auth_store;
mod best;
mod budget;
mod calibration;
mod capabilities;
mod check;
mod choice;
mod earlier;
mod files;
mod forecast;
mod list;
mod named;
mod policy;
mod profile;
mod reconciled;
mod rotation;
mod row;
mod saved;
mod screen;
mod undone;
mod usage;
mod wait;
mod what_if;
mod why;
mod words;
mod workspace;
mod wrapper;

pub use added::{Added, Addition, AdditionOutcome, Cancelled, Imports};
pub use auth_store::AuthStore;
pub use best::Best;
pub use budget::{BudgetCheck, BudgetList, BudgetRow, limit_words};
pub use calibration::CalibrationReport;
pub use capabilities::{Capabilities, CapabilityMade, CapabilityRow, ProviderBlock, RawToken, Revoked};
pub use check::{CheckOutcome, CheckRow, Checked, QuotaTold, QuotaView, WindowView};
pub use choice::{LoginMirror, Removed, Revocation, Switched, Unpinned};
pub use earlier::{CopyList, CopyRow, Restored, WasReset};
pub use files::{FileHealth, FileRow, Files};
pub use forecast::{
    AccountForecast, Forecast, ForecastAsk, ForecastRow, LiveQuota, RefreshFailure, RunsOut, WindowForecast, masked,
    recommendation_text,
};
pub use list::{AccountList, ListName, ScopeView, Storage, StorageHealth};
pub use named::{Named, label};
pub use policy::{PolicyList, PolicyRow, RuleChanged};
pub use profile::{AccountWeight, Profile};
pub use reconciled::{LogsRead, ServerWindow, UsageReconciled};
pub use rotation::{AgentView, EnvOverride, RotationChanged, RotationStatus, RotationStrategy, SessionRow};
pub use row::AccountRow;
pub use saved::{BackupList, BackupRow, Saved, SavedAs};
pub use screen::{Screen, document};
pub use undone::{LoginAgain, OperationList, OperationRow, TakenBack};
pub use usage::{Usage, UsageRotated};
pub use wait::{age, wait};
pub use what_if::WhatIf;
pub use why::{Candidate, CandidateBlocker, DecidedBy, Recalled, WhyMode, WhySelected};
pub use words::wrapped;
pub use workspace::OtherWorkspace;
pub use wrapper::{WrapperChange, WrapperState, WrapperStatus};
