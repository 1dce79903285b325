//! Owns a private log of lines that is put aside when it is full: one predecessor stays, as `<name>.1`.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;

use crate::fs::{
    Fs, Write, io_error,
    os::{self, OsFs},
    parent_of, read_optional,
};

/// A log file, 0600 in a directory of 0700.
///
/// Nothing is lost by another program that appends meanwhile: a line is one write at the end, and a file is put aside
/// by its name alone.
#[derive(Debug, Clone)]
pub struct LineLog {
    path: Utf8PathBuf,
    limit: u64,
    fs: Arc<dyn Fs>,
}

impl LineLog {
    /// The log at `path`; one that has `limit` bytes or more is put aside before the next line.
    pub fn new(path: impl Into<Utf8PathBuf>, limit: u64) -> Self {
        Self { path: path.into(), limit, fs: Arc::new(OsFs) }
    }

    /// The same over another disk.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>) -> Self {
        Self { fs, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Adds a line. It is handed to the system, not made durable: a log is no state.
    pub fn append(&self, line: &str) -> Result<(), StoreError> {
        self.append_all([line])
    }

    /// Adds lines in one write. A line that was left torn is ended first, so that it spoils no other.
    pub fn append_all<'a>(&self, lines: impl IntoIterator<Item = &'a str>) -> Result<(), StoreError> {
        let dir = parent_of(&self.path);
        self.fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
        if os::length(&self.path).is_some_and(|bytes| bytes >= self.limit) {
            self.put_aside()?;
        }
        let mut text = String::new();
        if self.is_torn()? {
            text.push('\n');
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let written = self.fs.put(&self.path, text.as_bytes(), Write::Append);
        written.map_err(|error| io_error("append to", &self.path, &error))
    }

    /// The bytes of the file put aside, and of the file, in this order; none where there is none.
    pub fn read(&self) -> Result<[Vec<u8>; 2], StoreError> {
        let read = |path: &Utf8Path| read_optional(self.fs.as_ref(), path).map(Option::unwrap_or_default);
        Ok([read(&self.predecessor())?, read(&self.path)?])
    }

    fn is_torn(&self) -> Result<bool, StoreError> {
        let Some(last) = os::length(&self.path).and_then(|length| length.checked_sub(1)) else { return Ok(false) };
        let end = self.fs.read_from(&self.path, last).map_err(|error| io_error("read", &self.path, &error))?;
        Ok(end.last().is_some_and(|byte| *byte != b'\n'))
    }

    fn predecessor(&self) -> Utf8PathBuf {
        Utf8PathBuf::from(format!("{}.1", self.path))
    }

    /// The file takes the place of its predecessor. Another program may have done so a moment ago.
    fn put_aside(&self) -> Result<(), StoreError> {
        match self.fs.rename(&self.path, &self.predecessor()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("put aside", &self.path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_full_log_is_put_aside_and_one_predecessor_stays() {
        let parent = tempfile::tempdir().expect("a directory");
        let dir = Utf8PathBuf::from_path_buf(parent.path().join("logs")).expect("text");
        let log = LineLog::new(dir.join("x.log"), 10);
        for line in ["one", "two", "three", "four", "five", "six"] {
            log.append(line).expect("written");
        }
        let text = |name: &str| String::from_utf8(OsFs.read(&dir.join(name)).expect("there")).expect("text");
        assert_eq!((text("x.log"), text("x.log.1")), ("six\n".to_owned(), "four\nfive\n".to_owned()));
        let mode = |path: &Utf8Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(log.path()), os::names_in(&dir).expect("there").len()), (0o700, 0o600, 2));
    }
}
