//! Owns advisory locks: released by the kernel when the holder dies, waited for within a bound, holder named.
#![allow(clippy::disallowed_methods, reason = "this is the seam the bans point to")]

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

use camino::Utf8Path;
use codex_auth_core::{HeldLock, StoreError};

use super::{Fs as _, io_error, os::OsFs, parent_of};

/// How often a waiting engine asks again; `flock` has no timed form.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// A lock, held until dropped.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl HeldLock for FileLock {}

/// What the lock file says while it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    /// The holder's process id.
    Pid,
    /// Nothing; the official client's lock files are empty.
    Blank,
}

/// Takes the lock, or `None` while somebody else holds it.
pub(crate) fn try_lock(path: &Utf8Path, signature: Signature) -> Result<Option<FileLock>, StoreError> {
    let dir = parent_of(path);
    OsFs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_error("open", path, &error))?;
    // Spelled out, because std's inherent method of the same name would answer otherwise.
    match fs4::FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(fs4::TryLockError::WouldBlock) => return Ok(None),
        Err(fs4::TryLockError::Error(error)) => return Err(io_error("lock", path, &error)),
    }
    if signature == Signature::Pid {
        // A full disk must not keep anybody from working under the lock; the name is a courtesy.
        let _ = sign(&mut file);
    }
    Ok(Some(FileLock { _file: file }))
}

/// Takes the lock, asking again until `wait` is over.
pub(crate) fn lock(path: &Utf8Path, signature: Signature, wait: Duration) -> Result<FileLock, StoreError> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(lock) = try_lock(path, signature)? {
            return Ok(lock);
        }
        if waited >= wait {
            return Err(locked(path, wait));
        }
        std::thread::sleep(POLL);
        waited += POLL;
    }
}

/// The error of a wait that was in vain.
pub(crate) fn locked(path: &Utf8Path, waited: Duration) -> StoreError {
    let signed = std::fs::read_to_string(path).unwrap_or_default();
    let holder = match signed.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    };
    StoreError::Locked { path: path.to_string(), holder, waited_secs: waited.as_secs() }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
