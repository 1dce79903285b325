//! Owns `codex-accounts.json` on disk: read at any time, changed beside a running predecessor, never half-written.

use std::{sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Clock, StoreError};

use super::{StoreLock, gitignore, migrate};
use crate::{
    fs::{
        Fs, io_error, leftovers, os, parent_of, quarantine::quarantine, read_optional, remove_durably,
        replace_atomically,
    },
    json::{self, Object},
};

/// How long our own processes wait for one another.
const QUEUE: Duration = Duration::from_secs(5);

/// The account store of the OpenCode plugin.
///
/// Both locks are taken for a change: our advisory one, which queues our processes fairly, then the predecessor's.
#[derive(Debug, Clone)]
pub struct OpenCodeFile {
    path: Utf8PathBuf,
    fs: Arc<dyn Fs>,
    clock: Arc<dyn Clock>,
    queue: Duration,
}

/// What was read.
#[derive(Clone, PartialEq)]
pub struct Loaded {
    /// The document in normal form; empty when there is no file.
    pub document: Object,
    /// What a person should hear.
    pub warnings: Vec<String>,
}

/// What became of a change.
#[derive(Clone, PartialEq)]
pub struct Saved<T> {
    /// What the change came to.
    pub value: T,
    /// The document after it, in normal form.
    pub document: Object,
    /// Whether the file was written: a change that changes nothing leaves it alone.
    pub written: bool,
    /// What a person should hear.
    pub warnings: Vec<String>,
}

impl OpenCodeFile {
    /// The store at `path`.
    pub fn new(path: impl Into<Utf8PathBuf>, fs: Arc<dyn Fs>, clock: Arc<dyn Clock>) -> Self {
        Self { path: path.into(), fs, clock, queue: QUEUE }
    }

    /// The same for whoever waits for our own processes no longer than this.
    #[must_use]
    pub(crate) fn within(self, queue: Duration) -> Self {
        Self { queue, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Reads without a lock, for the way of a request; only a file that is broken is taken aside under it.
    pub fn read(&self) -> Result<Loaded, StoreError> {
        let bytes = read_optional(self.fs.as_ref(), &self.path)?;
        match bytes.map(|bytes| self.parse(&bytes)) {
            None => Ok(Loaded { document: Object::new(), warnings: Vec::new() }),
            Some(Ok(document)) => Ok(Loaded { document: self.normal(&document), warnings: Vec::new() }),
            Some(Err(_)) => self.load(),
        }
    }

    /// Reads under the lock, as menus and tools do. A broken file is taken aside, and the store is empty then.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let _lock = self.lock()?;
        let (document, warnings) = self.stored()?;
        Ok(Loaded { document: self.normal(&document.unwrap_or_default()), warnings })
    }

    /// Changes freshly read state under the lock and writes it whole, when it differs.
    pub fn save<T>(&self, update: impl FnOnce(&mut Object) -> T) -> Result<Saved<T>, StoreError> {
        self.save_seeing(|document, _| update(document))
    }

    /// The same; the change hears whether there was a file.
    pub(crate) fn save_seeing<T>(&self, update: impl FnOnce(&mut Object, bool) -> T) -> Result<Saved<T>, StoreError> {
        let lock = self.lock()?;
        let (stored, warnings) = self.stored()?;
        let before = self.normal(stored.as_ref().unwrap_or(&Object::new()));
        let mut document = before.clone();
        let value = update(&mut document, stored.is_some());
        let document = self.normal(&document);
        let written = document != before;
        if written {
            let mut text = json::pretty(&document);
            text.push(b'\n');
            lock.still_held()?;
            replace_atomically(self.fs.as_ref(), &self.path, &text)?;
        }
        Ok(Saved { value, document, written, warnings })
    }

    /// Reads another program's file; one that is missing, unreadable or broken says nothing and is left alone.
    pub(crate) fn read_foreign(&self, path: &Utf8Path) -> Option<Object> {
        let bytes = self.fs.read(path).ok()?;
        json::parse_object(path, &bytes, "it was left alone").ok()
    }

    /// Whether there is a store, of whatever content.
    pub(crate) fn exists(&self) -> Result<bool, StoreError> {
        Ok(read_optional(self.fs.as_ref(), &self.path)?.is_some())
    }

    fn lock(&self) -> Result<StoreLock, StoreError> {
        let lock = StoreLock::take(self.fs.as_ref(), &self.path, self.queue, &self.clock)?;
        let dir = parent_of(&self.path);
        leftovers::sweep(self.fs.as_ref(), &dir, self.clock.now());
        gitignore::ensure(&dir);
        Ok(lock)
    }

    /// The document as it stands; under the lock. A broken one is moved to `quarantine/` and there is none then.
    fn stored(&self) -> Result<(Option<Object>, Vec<String>), StoreError> {
        let fs = self.fs.as_ref();
        let Some(bytes) = read_optional(fs, &self.path)? else { return Ok((None, Vec::new())) };
        let why = match self.parse(&bytes) {
            Ok(document) => return Ok((Some(document), Vec::new())),
            Err(why) => why,
        };
        let dir = parent_of(&self.path).join("quarantine");
        let copy = quarantine(fs, &dir, &self.path, &bytes, self.clock.now())?;
        // Through a link, so that the link stays and the next store is written where it leads.
        let file = os::follow(&self.path).map_err(|error| io_error("follow", &self.path, &error))?;
        remove_durably(fs, &file)?;
        let warning = format!(
            "auth_storage_quarantined: {why}. Its bytes were kept at {copy} and the store is empty now. Sign in again \
             (`opencode auth login`), or stop OpenCode, mend that copy and put it back as {}",
            self.path
        );
        Ok((None, vec![warning]))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Object, StoreError> {
        json::parse_object(&self.path, bytes, "it was taken aside")
    }

    fn normal(&self, document: &Object) -> Object {
        migrate::sanitise(self.path.file_name().unwrap_or_default(), &migrate::migrate(document))
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The document holds tokens.
        out.debug_struct("Loaded").field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Saved<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { value, written, warnings, document: _ } = self;
        out.debug_struct("Saved")
            .field("value", value)
            .field("written", written)
            .field("warnings", warnings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
