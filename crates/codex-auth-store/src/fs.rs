//! Owns how bytes reach the disk and stay there: a seam of seven operations, and replacing a file whole.

use std::{fmt::Debug, io};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;

pub(crate) mod foreign_lock;
pub(crate) mod leftovers;
pub(crate) mod lock;
pub(crate) mod os;
pub(crate) mod quarantine;

/// The disk, as far as the engine changes it. Faults are injected here.
///
/// `write` returns only after the bytes are durable; new files are 0600, new directories 0700.
pub trait Fs: Debug + Send + Sync {
    /// The bytes of a file.
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>>;

    /// The bytes of a file from `start` on; none when it is shorter.
    fn read_from(&self, path: &Utf8Path, start: u64) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        Ok(usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default().to_vec())
    }

    /// Hands bytes to the system, which may still lose them; engines call [`Fs::write`].
    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()>;

    /// Makes the bytes of a file durable.
    fn sync_file(&self, path: &Utf8Path) -> io::Result<()>;

    /// Writes durably.
    fn write(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        self.put(path, bytes, how)?;
        self.sync_file(path)
    }

    /// Puts `from` in the place of `to`.
    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Utf8Path) -> io::Result<()>;

    /// Makes names in a directory durable.
    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()>;

    /// Makes a directory and its missing parents; one that is there is left as it is.
    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()>;
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// A new file; one that is there is an error.
    New,
    /// In place, from this byte on; the rest of the file stays.
    At(u64),
    /// At the end; the file is made when missing.
    Append,
}

/// The bytes of a file, `None` when there is none.
pub(crate) fn read_optional(fs: &dyn Fs, path: &Utf8Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", path, &error)),
    }
}

/// Replaces a file whole: after a crash at any step there is the old or the new one, never a part.
///
/// A symlink keeps standing and its target is replaced.
pub(crate) fn replace_atomically(fs: &dyn Fs, path: &Utf8Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace_unless(fs, path, bytes, || Ok(false)).map(drop)
}

/// The same, unless `is_overtaken` says in the last moment that the file is another program's now; whether it was
/// replaced. Asked when the new bytes are durable, so that only a look and a rename lie between.
pub(crate) fn replace_unless(
    fs: &dyn Fs,
    path: &Utf8Path,
    bytes: &[u8],
    is_overtaken: impl FnOnce() -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let target = os::follow(path).map_err(|error| io_error("follow", path, &error))?;
    let dir = parent_of(&target);
    fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
    let temp = os::temp_beside(&target).map_err(|error| io_error("name a file beside", &target, &error))?;
    let written = fs.write(&temp, bytes, Write::New).map_err(|error| io_error("write", &temp, &error));
    let replaced = written.and_then(|()| {
        if is_overtaken()? {
            return Ok(false);
        }
        fs.rename(&temp, &target).map_err(|error| io_error("replace", &target, &error)).map(|()| true)
    });
    if !matches!(replaced, Ok(true)) {
        // Best effort: the error that counts is the one above, and a left temp file is never read.
        let _ = fs.remove(&temp);
    }
    if replaced? {
        fs.sync_dir(&dir).map_err(|error| io_error("sync", &dir, &error))?;
        return Ok(true);
    }
    Ok(false)
}

/// Writes a file of the user's choice: as a whole, and readable by them alone.
pub fn write_private(fs: &dyn Fs, path: &Utf8Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace_atomically(fs, path, bytes)
}

/// Removes a file durably; one that is not there is no error.
pub(crate) fn remove_durably(fs: &dyn Fs, path: &Utf8Path) -> Result<(), StoreError> {
    match fs.remove(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("remove", path, &error)),
    }
    let dir = parent_of(path);
    fs.sync_dir(&dir).map_err(|error| io_error("sync", &dir, &error))
}

/// The system's refusal in our words.
pub(crate) fn io_error(verb: &'static str, path: &Utf8Path, error: &io::Error) -> StoreError {
    StoreError::Io { verb, path: path.to_string(), why: error.to_string() }
}

/// The directory of a file.
pub(crate) fn parent_of(path: &Utf8Path) -> Utf8PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_str().is_empty() => dir.to_owned(),
        Some(_) | None => Utf8PathBuf::from("."),
    }
}
