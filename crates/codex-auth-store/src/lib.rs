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
//! | [`AccountsJson`], [`ClientStore`], [`ConfigChange`] | its list of logins, and where its configuration keeps them |
//! | [`import`], [`merge()`] | sign-ins from elsewhere, folded in by identity |
//! | [`Exported`], [`NamedBackup`], `path_guard` | the pool in a file of its own; which named paths are allowed |
//! | [`FileSettings`], [`PrivateDir`] | settings, the agent's directory |
//! | [`LineLog`], [`DecisionFile`] | a bounded log; the log of recorded decisions |
//! | [`keys`] | the texts under which the predecessor's formats file things about an account |
//! | [`Project`], [`Scope`], [`legacy_pools`] | which project a directory belongs to, and which pool is in effect there |
//! | [`QuotaFile`] | quotas as the agent remembers them |
//! | [`StateFile`], [`documents`] | every other file: one engine, a typed document each |
//! | [`FilePolicies`], [`FileStore::change_rule`] | the user's rules as one set, and changes of them that can be taken back |
//! | [`catalog`] | the list of every file, and how those that are there are |
//! | [`Fs`], [`OsFs`], `fs` | the seam to the disk, atomic replacement, locks |
//! | [`opencode`] | the rules of OpenCode's `codex-accounts.json`, and that file |
//! | `freshness`, `claims` | which of two credentials is newer; what tokens say |
//! | [`FileEngine`], [`MemoryEngine`], `books`, `watching` | the capabilities of the core over these files, and in memory |
//! | `testing` | feature `testing`: a disk with faults, hand-made tokens, the conformance kit |
//!
//! Which file belongs to whom: `openai-codex-accounts.json` and `settings.json` are the predecessor's and stay usable
//! by it; `codex-auth.json`, `journal/`, `oplog/`, `agent/` and `.lock` are ours; `auth.json` is the official
//! client's, and we are a guest there.
//!
//! Locks, in the only order they are taken: refresh of an identity, root, the client's `auth.lock`, `auth.json.lock`.
//! The asynchronous methods need a runtime with a timer; the others need none.

mod books;
pub mod catalog;
mod claim;
mod claims;
mod decision_log;
mod document;
pub mod documents;
mod engine;
mod export;
mod file_diary;
mod file_engine;
mod file_store;
mod flagged_file;
mod freshness;
mod fs;
mod hash;
mod history;
pub mod import;
mod journal;
mod json;
pub mod keys;
mod kin;
mod layout;
mod lease;
mod legacy;
mod line_log;
mod memory;
mod merge;
mod named_backup;
mod notice;
mod official;
pub mod opencode;
mod operations;
mod oplog;
mod owed;
mod path_guard;
mod private_dir;
mod project;
mod publishing;
mod quota_file;
mod reconcile;
mod recovery;
mod rule_files;
mod scope;
mod settings;
mod sidecar;
mod spare;
mod state_file;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transaction;
mod undo;

mod watching;

pub use decision_log::DecisionFile;
pub use engine::Waits;
pub use export::{ExportError, Exported};
pub use file_diary::FileDiary;
pub use file_engine::FileEngine;
pub use file_store::FileStore;
pub use fs::{Fs, Write, os::OsFs, write_private};
pub use layout::{ACCOUNTS, ClientFiles, Layout, LayoutInputs, auth_json_of, opencode_config_root};
pub use legacy::{LegacyPool, legacy_pools};
pub use line_log::LineLog;
pub use memory::MemoryEngine;
pub use merge::{MergeOutcome, merge, merge_as};
pub use named_backup::{BackupError, BackupName, BadBackupName, NamedBackup, named_backups, read_backup};
pub use notice::Notice;
pub use official::{
    Homes, OfficialHomes,
    accounts_json::AccountsJson,
    config::{ClientStore, ConfigChange, ConfigUndo},
    config_edit::Before,
    login_of,
    running::plain_clients,
    session_logs::SessionLogs,
    switch::WithLogin,
    write::{LoginError, remove_login, write_login},
};
pub use operations::{
    Operated, UndoError, Undone,
    parking::Parked,
    restoring::{Earlier, Emptiness},
};
pub use oplog::{Aside, Logged, Operation};
pub use path_guard::{PathRefused, expanded};
pub use private_dir::PrivateDir;
pub use project::{OsPlaces, Places, Project, project_key};
pub use quota_file::QuotaFile;
pub use rule_files::{FilePolicies, RuleChange, RuleTable};
pub use scope::Scope;
pub use settings::FileSettings;
pub use sidecar::OLDER_TOKEN;
pub use state_file::{Document, Edited, Found, Recovery, Schema, StateFile};
pub use undo::Remark;
