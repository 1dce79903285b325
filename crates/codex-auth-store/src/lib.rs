//! The files of both predecessors behind one crash-safe engine.

mod claims;
mod document;
mod engine;
mod file_store;
mod fs;
mod hash;
mod journal;
mod json;
mod layout;
mod official;
mod private_dir;
mod settings;
mod sidecar;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use engine::Waits;
pub use file_store::FileStore;
pub use fs::{Fs, Write, os::OsFs};
pub use layout::{ACCOUNTS, Layout, LayoutInputs, auth_json_of};
pub use official::{Homes, OfficialHomes, login_of};
pub use private_dir::PrivateDir;
pub use settings::{FileSettings, RotationOverrides};
