//! The files of both predecessors behind one crash-safe engine: read without a lock, changed under one, and never
//! half-written.
//!
//! | Room | What it owns |
//! |---|---|
//! | [`Layout`], [`LayoutInputs`] | where every file is, resolved once from given values |
//! | [`FileStore`], [`Waits`] | the pool: `read_now`, `edit_now` for offline commands, the port's methods for the agent |
//! | `engine`, `sidecar`, `document` | two files read and written as one; the document's codecs |
//! | `claim`, `journal`, `lease` | the right to spend one refresh token, and keeping what it buys |
//! | [`OfficialHomes`], [`login_of`], [`Homes`] | the official client's logins, and in which homes they are replicas |
//! | [`FileStore::write_login`], [`FileStore::remove_login`], [`write_login`], [`remove_login`] | changing such a login |
//! | [`import`], [`merge()`] | sign-ins from elsewhere, folded in by identity |
//! | [`FileSettings`], [`PrivateDir`], [`OpLog`] | settings, the agent's directory, the log of changes |
//! | [`StateFile`], [`documents`] | every other file: one engine, a typed document each |
//! | [`catalog`] | the list of every file, and how those that are there are |
//! | [`Fs`], [`OsFs`], `fs` | the seam to the disk, atomic replacement, locks |
//! | `freshness`, `claims` | which of two credentials is newer; what tokens say |
//! | `testing` | feature `testing`: a disk with faults, hand-made tokens |
//!
//! Which file belongs to whom: `openai-codex-accounts.json` and `settings.json` are the predecessor's and stay usable
//! by it; `codex-auth.json`, `journal/`, `oplog/`, `agent/` and `.lock` are ours; `auth.json` is the official
//! client's, and we are a guest there.
//!
//! Locks, in the only order they are taken: refresh of an identity, root, the client's `auth.lock`, `auth.json.lock`.
//! The asynchronous methods need a runtime with a timer; the others need none.

pub mod catalog;
mod claim;
mod claims;
mod document;
pub mod documents;
mod engine;
mod file_store;
mod freshness;
mod fs;
mod hash;
pub mod import;
mod journal;
mod json;
mod layout;
mod lease;
mod merge;
mod official;
mod oplog;
mod private_dir;
mod settings;
mod sidecar;
mod state_file;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use engine::Waits;
pub use file_store::FileStore;
pub use fs::{Fs, Write, os::OsFs};
pub use layout::{ACCOUNTS, Layout, LayoutInputs, auth_json_of};
pub use merge::{MergeOutcome, merge};
pub use official::{
    Homes, OfficialHomes, login_of,
    write::{LoginError, remove_login, write_login},
};
pub use oplog::{OpLog, Operation};
pub use private_dir::PrivateDir;
pub use settings::FileSettings;
pub use state_file::{Document, Edited, Found, Recovery, Schema, StateFile};
