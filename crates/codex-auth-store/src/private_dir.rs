//! Owns a private directory of small files, each replaced whole: the agent's.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{HeldLock, StateDir, StoreError};

use crate::fs::{
    Fs,
    lock::{self, Signature},
    os::OsFs,
    read_optional, remove_durably, replace_atomically,
};

/// A directory made on first use, 0700, with files of 0600.
#[derive(Debug, Clone)]
pub struct PrivateDir {
    dir: Utf8PathBuf,
    fs: Arc<dyn Fs>,
}

impl PrivateDir {
    /// The directory at `dir`.
    pub fn new(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into(), fs: Arc::new(OsFs) }
    }

    /// The same over another disk.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>) -> Self {
        Self { fs, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.dir
    }
}

impl StateDir for PrivateDir {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_optional(self.fs.as_ref(), &self.dir.join(name))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        replace_atomically(self.fs.as_ref(), &self.dir.join(name), bytes)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        remove_durably(self.fs.as_ref(), &self.dir.join(name))
    }

    fn try_lock(&self, name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError> {
        let lock = lock::try_lock(&self.dir.join(name), Signature::Pid)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn HeldLock>))
    }

    fn path_of(&self, name: &str) -> String {
        self.dir.join(name).into_string()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::{Fault, FaultFs};

    #[test]
    fn files_are_private_and_replaced_whole() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = PrivateDir::new(Utf8PathBuf::from_path_buf(parent.path().join("agent")).expect("text"));
        assert_eq!(dir.read("x").expect("readable"), None);
        dir.replace("x", b"one").expect("written");
        dir.replace("x", b"two").expect("written");
        assert_eq!(dir.read("x").expect("readable").as_deref(), Some(&b"two"[..]));
        let mode = |path: &Utf8Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&dir.path().join("x"))), (0o700, 0o600));
        dir.remove("x").expect("removed");
        dir.remove("x").expect("nothing to remove");
    }

    #[test]
    fn a_full_disk_leaves_the_sessions_that_were_written_down() {
        let parent = tempfile::tempdir().expect("a directory");
        let disk = Arc::new(FaultFs::default());
        let dir = PrivateDir::new(Utf8PathBuf::from_path_buf(parent.path().join("agent")).expect("text"));
        let dir = dir.over(disk.clone());
        let (before, after) = (vec![b'1'; 4000], vec![b'2'; 8000]);
        dir.replace("sessions.json", &before).expect("written");
        disk.now(Some(Fault::Full));
        let error = dir.replace("sessions.json", &after).expect_err("full").to_string();
        assert!(error.contains("no storage space") && error.contains("sessions.json"), "{error}");
        assert_eq!(dir.read("sessions.json").expect("readable"), Some(before));
        assert_eq!(dir.path().read_dir_utf8().expect("there").count(), 1, "nothing is left beside it");
        disk.now(None);
        dir.replace("sessions.json", &after).expect("room again");
        assert_eq!(dir.read("sessions.json").expect("readable"), Some(after));
    }

    #[test]
    fn a_lock_has_one_holder() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = PrivateDir::new(Utf8PathBuf::from_path_buf(parent.path().join("agent")).expect("text"));
        let held = dir.try_lock("agent.lock").expect("lockable");
        assert!(held.is_some());
        assert!(dir.try_lock("agent.lock").expect("lockable").is_none());
        drop(held);
        assert!(dir.try_lock("agent.lock").expect("lockable").is_some());
    }
}
