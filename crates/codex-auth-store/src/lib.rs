//! The files of both predecessors behind one crash-safe engine.

mod claim;
mod claims;
mod document;
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
pub use settings::{FileSettings, RotationOverrides};
