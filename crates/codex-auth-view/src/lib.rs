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
//! | `choice` ([`Switched`], [`Unpinned`], [`Removed`]) | what a choice of the user changed |
//! | `added` ([`Added`], [`Imports`]) | sign-ins that came into the pool, or would |
//! | `check` ([`Checked`]) | what the backend says about every account |
//! | `why` ([`WhySelected`]) | who serves the next request, and why not the others |
//! | `rotation` ([`RotationStatus`]) | the agent, its sessions and settings |
//! | `files` ([`Files`]) | every known file, and how it is |
//! | `wrapper` ([`WrapperStatus`]) | the `codex` on `PATH` that leads to us |

#![warn(clippy::wildcard_enum_match_arm)]

mod added;
mod check;
mod choice;
mod files;
mod list;
mod named;
mod rotation;
mod row;
mod screen;
mod wait;
mod why;
mod words;
mod wrapper;

pub use added::{Added, Addition, AdditionOutcome, Imports};
pub use check::{CheckOutcome, CheckRow, Checked, QuotaTold, QuotaView, WindowView};
pub use choice::{LoginMirror, Removed, Switched, Unpinned};
pub use files::{FileHealth, FileRow, Files};
pub use list::{AccountList, ListName, Storage, StorageHealth};
pub use named::{Named, label};
pub use rotation::{AgentView, EnvOverride, RotationChanged, RotationStatus, SessionRow};
pub use row::AccountRow;
pub use screen::{Screen, document};
pub use wait::{age, wait};
pub use why::{Candidate, CandidateBlocker, DecidedBy, WhyMode, WhySelected};
pub use words::wrapped;
pub use wrapper::{WrapperChange, WrapperState, WrapperStatus};
