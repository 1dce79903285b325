//! Owns the predecessor's lock of its ledger: a file made exclusively, `{pid, createdAt}`, given up after 30 seconds.
//!
//! Our own processes first take a lock of the kernel's beside it, so that only one of them at a time waits for the
//! file, breaks a stale one, or makes a new one. Whoever has that lock knows that a file of our own making was left by a
//! process that was killed: nobody waits for it.
#![allow(clippy::disallowed_methods, reason = "this is the seam the bans point to")]

use std::{io, sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{StoreError, Timestamp};
use serde_json::{Value, json};

use super::{
    Fs, Write, io_error,
    lock::{self, FileLock, Signature},
    os, parent_of,
};

/// A file older than this belongs to nobody.
const LIFE: Duration = Duration::from_secs(30);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(250);

/// The lock, held until dropped; only a file of our own making is removed then.
#[derive(Debug)]
pub(crate) struct ForeignLock {
    path: Utf8PathBuf,
    mark: Vec<u8>,
    fs: Arc<dyn Fs>,
    _ours: FileLock,
}

impl ForeignLock {
    /// Takes the lock, waiting at most `wait`. `now` is the instant of the call.
    pub(crate) fn take(fs: Arc<dyn Fs>, path: &Utf8Path, wait: Duration, now: Timestamp) -> Result<Self, StoreError> {
        let dir = parent_of(path);
        fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
        let ours = lock::lock(Utf8Path::new(&format!("{path}.os")), Signature::Pid, wait)?;
        let mark = mark(now)?;
        let (mut waited, mut pause) = (Duration::ZERO, SHORTEST);
        loop {
            match fs.write(path, &mark, Write::New) {
                Ok(()) => return Ok(Self { path: path.to_owned(), mark, fs, _ours: ours }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io_error("create", path, &error)),
            }
            if is_stale(path, now.after(waited)) || is_of_ours(fs.as_ref(), path) {
                match fs.remove(path) {
                    Ok(()) => continue,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    // One that cannot be removed would be found stale for ever.
                    Err(error) => return Err(io_error("remove", path, &error)),
                }
            }
            if waited >= wait {
                return Err(held(fs.as_ref(), path, wait));
            }
            std::thread::sleep(pause);
            waited += pause;
            pause = (pause * 2).min(LONGEST);
        }
    }
}

impl Drop for ForeignLock {
    fn drop(&mut self) {
        if self.fs.read(&self.path).is_ok_and(|bytes| bytes == self.mark) {
            let _stale_in_half_a_minute = self.fs.remove(&self.path);
        }
    }
}

fn is_stale(path: &Utf8Path, now: Timestamp) -> bool {
    let written_at = os::modified_millis(path).map(Timestamp::from_millis);
    written_at.is_some_and(|at| now.since(at) > LIFE)
}

/// Whether one of us made the file; the predecessor signs with no owner.
fn is_of_ours(fs: &dyn Fs, path: &Utf8Path) -> bool {
    let told: Option<Value> = fs.read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    told.is_some_and(|told| told["owner"].is_string())
}

fn mark(now: Timestamp) -> Result<Vec<u8>, StoreError> {
    let mut chance = [0; 8];
    let failed = |error: getrandom::Error| io_error("sign", Utf8Path::new("a lock"), &io::Error::other(error));
    getrandom::fill(&mut chance).map_err(failed)?;
    let owner = format!("{:016x}", u64::from_be_bytes(chance));
    Ok(json!({ "pid": std::process::id(), "createdAt": now.as_millis(), "owner": owner }).to_string().into_bytes())
}

fn held(fs: &dyn Fs, path: &Utf8Path, waited: Duration) -> StoreError {
    let told: Option<Value> = fs.read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let pid = told.as_ref().and_then(|told| told["pid"].as_u64());
    let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    StoreError::Locked { path: path.to_string(), holder, waited_secs: waited.as_secs() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsFs;

    fn place() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = Utf8Path::from_path(dir.path()).expect("text").join("l.lock");
        (dir, path)
    }

    fn take(path: &Utf8Path, now: Timestamp) -> Result<ForeignLock, StoreError> {
        ForeignLock::take(Arc::new(OsFs), path, Duration::from_millis(20), now)
    }

    fn modified(path: &Utf8Path) -> Timestamp {
        Timestamp::from_millis(os::modified_millis(path).expect("there"))
    }

    #[test]
    fn a_fresh_file_is_waited_for_and_its_holder_named() {
        let (_dir, path) = place();
        OsFs.write(&path, br#"{"pid":4711,"createdAt":1}"#, Write::New).expect("written");
        let error = take(&path, modified(&path).after(LIFE / 2)).expect_err("held");
        assert!(error.to_string().contains("process 4711"), "{error}");
        assert!(path.exists());
    }

    #[test]
    fn nobody_waits_for_one_of_us_that_was_killed() {
        let (_dir, path) = place();
        let mut left = take(&path, Timestamp::from_secs(1)).expect("free");
        // Killed, it removes nothing, and the kernel takes its lock back.
        left.mark.clear();
        drop(left);
        assert!(path.exists());
        drop(take(&path, modified(&path)).expect("it belongs to nobody"));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_is_broken() {
        let (_dir, path) = place();
        OsFs.write(&path, b"{}", Write::New).expect("written");
        let late = modified(&path).after(LIFE + Duration::from_millis(1));
        drop(take(&path, late).expect("it belonged to nobody"));
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_file_that_cannot_be_removed_is_an_error() {
        #[derive(Debug)]
        struct Stuck;
        impl Fs for Stuck {
            fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
                OsFs.read(path)
            }
            fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
                OsFs.put(path, bytes, how)
            }
            fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
                OsFs.sync_file(path)
            }
            fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
                OsFs.rename(from, to)
            }
            fn remove(&self, _: &Utf8Path) -> io::Result<()> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
                OsFs.sync_dir(dir)
            }
            fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
                OsFs.make_dir(dir)
            }
        }
        let (_dir, path) = place();
        OsFs.write(&path, b"{}", Write::New).expect("written");
        let late = modified(&path).after(LIFE + Duration::from_millis(1));
        let error = ForeignLock::take(Arc::new(Stuck), &path, Duration::from_millis(20), late).expect_err("stuck");
        assert!(error.to_string().contains("remove"), "{error}");
    }

    #[test]
    fn what_somebody_else_made_is_not_removed() {
        let (_dir, path) = place();
        let held = take(&path, Timestamp::default()).expect("free");
        std::fs::write(&path, "theirs").expect("written");
        drop(held);
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "theirs");
    }
}
