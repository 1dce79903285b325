//! Owns the queue of our own processes before the predecessor's lock: an advisory lock on its lock target.
//!
//! The predecessor keeps that file empty, so nobody signs it; the kernel knows the holder all the same.

use std::{os::unix::fs::MetadataExt as _, time::Duration};

use camino::Utf8Path;
use codex_auth_core::StoreError;

use crate::fs::{
    Fs,
    lock::{self, FileLock, Signature},
};

/// Where Linux lists who holds what.
const LOCKS: &str = "/proc/locks";

/// Takes the lock, asking again until `wait` is over; the error names the holder as far as it can be told.
pub(crate) fn take(fs: &dyn Fs, target: &Utf8Path, wait: Duration) -> Result<FileLock, StoreError> {
    lock::lock(target, Signature::Blank, wait).map_err(|error| match error {
        StoreError::Locked { path, holder, waited_secs } => {
            let listed = fs.read(Utf8Path::new(LOCKS)).unwrap_or_default();
            let inode = target.metadata().ok().map(|seen| seen.ino());
            let pid = inode.and_then(|inode| holder_in(&String::from_utf8_lossy(&listed), inode));
            let holder = pid.map_or(holder, |pid| format!("process {pid}"));
            let holder = format!("{holder}, another command of ours at work on this store; wait for it or end it");
            StoreError::Locked { path, holder, waited_secs }
        }
        error @ (StoreError::NoSuchAccount(_)
        | StoreError::Unreadable { .. }
        | StoreError::UnknownVersion { .. }
        | StoreError::Io { .. }) => error,
    })
}

/// The process that holds an advisory lock on the file with this inode.
fn holder_in(listed: &str, inode: u64) -> Option<u32> {
    listed.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (kind, _, _, pid, file) = (words.next()?, words.next()?, words.next()?, words.next()?, words.next()?);
        let is_meant = kind == "FLOCK" && file.rsplit(':').next()?.parse() == Ok(inode);
        is_meant.then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsFs;

    #[track_caller]
    fn check(inode: u64, expect: Option<u32>) {
        let listed = "1: FLOCK  ADVISORY  WRITE 812 08:01:4711 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 9 08:01:4711 0 EOF\n\
                      2: POSIX  ADVISORY  READ 77 08:01:4712 0 EOF\nnonsense\n";
        assert_eq!(holder_in(listed, inode), expect);
    }

    #[test]
    fn the_holder_is_found_in_the_kernels_list() {
        check(4711, Some(812));
        check(4712, None);
        check(1, None);
    }

    #[test]
    fn the_error_names_path_and_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let target = camino::Utf8PathBuf::from_path_buf(dir.path().join("x.lock")).expect("text");
        let held = take(&OsFs, &target, Duration::ZERO).expect("free");
        let error = take(&OsFs, &target, Duration::ZERO).expect_err("held").to_string();
        assert!(
            error.starts_with(&format!("{target} is locked by ")) && error.contains("wait for it or end it"),
            "{error}"
        );
        assert_eq!(target.metadata().expect("there").len(), 0);
        drop(held);
    }
}
