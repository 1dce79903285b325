//! Owns reading and changing one typed JSON document: read without a lock, changed as a closure over fresh state under
//! one, unknown keys kept, unknown versions refused, and a rule for each document of what happens when it is broken.

use std::{fmt::Debug, marker::PhantomData, sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Clock, StoreError, Timestamp};
use serde_json::json;

use crate::{
    Waits,
    fs::{
        Fs,
        lock::{self, FileLock, Signature},
        os::OsFs,
        quarantine::quarantine,
        read_optional, replace_atomically,
    },
    json::{self, Object},
    opencode::{self, StoreLock},
};

/// A typed view of one JSON file. What it does not know stays in the file.
pub trait Document: Debug + Clone + Default + PartialEq {
    /// The file's name under its root.
    const NAME: &'static str;
    /// Which versions are understood.
    const SCHEMA: Schema;
    /// What happens when the file cannot be used.
    const RECOVERY: Recovery;

    /// What the file says, normalised.
    fn decode(object: &Object) -> Self;

    /// Makes the file say this, leaving what already says so and what is unknown.
    fn encode(&self, object: &mut Object);

    /// Why a file that is JSON of a known version still cannot be used.
    fn flaw(_object: &Object) -> Option<String> {
        None
    }
}

/// Which versions of a document are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// One of these; the last is written.
    Versions(&'static [i64]),
    /// The same, and none at all.
    VersionsOrNone(&'static [i64]),
    /// The document has no version.
    Unversioned,
}

/// What happens when a file cannot be used. A version from the future is kept and refused under every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing is decided by it and nothing is written over it: a person mends it.
    Refuse,
    /// The copy made before the last change is read instead; the file itself is never written over.
    Copy,
    /// It can be made anew: its bytes go to quarantine and it begins empty.
    Rebuild,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<D> {
    /// The document.
    pub document: D,
    /// Whether the file is there.
    pub is_there: bool,
    /// What was wrong and what was used instead, for a person.
    pub note: Option<String>,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited<T> {
    /// What the closure returned.
    pub answer: T,
    /// Whether the file was written.
    pub is_written: bool,
    /// Where the bytes of a broken file are kept.
    pub quarantined: Option<Utf8PathBuf>,
}

/// Which lock a change is made under.
#[derive(Debug, Clone)]
enum LockKind {
    /// The lock of everything under a root.
    Root(Utf8PathBuf),
    /// The lock that the `OpenCode` plugin understands: a directory, before which our processes queue.
    OpenCode { queue: Utf8PathBuf, dir: Utf8PathBuf, clock: Arc<dyn Clock> },
}

/// The lock of a change, held until dropped.
#[derive(Debug)]
enum Held {
    Root { _lock: FileLock },
    OpenCode(StoreLock),
}

/// One document on disk. Cheap to make; nothing is kept in memory.
#[derive(Debug, Clone)]
pub struct StateFile<D> {
    path: Utf8PathBuf,
    lock: LockKind,
    quarantine_dir: Utf8PathBuf,
    fs: Arc<dyn Fs>,
    wait: Duration,
    document: PhantomData<fn() -> D>,
}

impl Held {
    fn still_held(&self) -> Result<(), StoreError> {
        match self {
            // The kernel keeps it.
            Self::Root { .. } => Ok(()),
            Self::OpenCode(lock) => lock.still_held(),
        }
    }
}

impl<D: Document> StateFile<D> {
    /// The document under this root, changed under the root's lock.
    pub fn under(root: &Utf8Path) -> Self {
        Self::named(root, D::NAME)
    }

    /// The same for a document of which there are several, by its name under the root.
    pub fn named(root: &Utf8Path, name: &str) -> Self {
        Self {
            path: root.join(name),
            lock: LockKind::Root(root.join(".lock")),
            quarantine_dir: root.join("quarantine"),
            fs: Arc::new(OsFs),
            wait: Waits::default().root,
            document: PhantomData,
        }
    }

    /// The document in `OpenCode`'s directory, changed under the lock of the plugin that writes it, too. `name` is its
    /// name there. `clock`
    /// is the one that a running plugin goes by, too: it tells a living holder from a dead one.
    pub fn of_opencode(config_root: &Utf8Path, name: &str, clock: Arc<dyn Clock>) -> Self {
        let (queue, dir) = opencode::lock_of(config_root, name);
        Self { lock: LockKind::OpenCode { queue, dir, clock }, ..Self::named(config_root, name) }
    }

    /// The same over another disk.
    #[must_use]
    pub fn over(self, fs: Arc<dyn Fs>) -> Self {
        Self { fs, ..self }
    }

    /// Waits for the lock as long as told.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// What the file says now; no lock. A missing file says nothing, a broken one what its rule allows.
    pub fn read(&self) -> Result<Found<D>, StoreError> {
        let Some(bytes) = read_optional(self.fs.as_ref(), &self.path)? else {
            return Ok(Found { document: D::default(), is_there: false, note: None });
        };
        match parse::<D>(&self.path, &bytes) {
            Ok(object) => Ok(Found { document: D::decode(&object), is_there: true, note: None }),
            Err(error) => self.instead(error),
        }
    }

    /// Changes what the file says now, under the lock; a change of nothing writes nothing.
    pub fn edit<T>(&self, now: Timestamp, change: impl FnOnce(&mut D) -> T) -> Result<Edited<T>, StoreError> {
        let held = self.hold()?;
        let bytes = read_optional(self.fs.as_ref(), &self.path)?;
        let (mut object, quarantined) = self.usable(bytes.as_deref(), now)?;
        let before = D::decode(&object);
        let mut document = before.clone();
        let answer = change(&mut document);
        let is_written = document != before || quarantined.is_some();
        if is_written {
            if let (Recovery::Copy, Some(bytes)) = (D::RECOVERY, &bytes) {
                replace_atomically(self.fs.as_ref(), &copy_of(&self.path), bytes)?;
            }
            let text = written(&document, &mut object);
            held.still_held()?;
            replace_atomically(self.fs.as_ref(), &self.path, &text)?;
        }
        Ok(Edited { answer, is_written, quarantined })
    }

    fn hold(&self) -> Result<Held, StoreError> {
        Ok(match &self.lock {
            LockKind::Root(path) => Held::Root { _lock: lock::lock(path, Signature::Pid, self.wait)? },
            LockKind::OpenCode { queue, dir, clock } => {
                Held::OpenCode(StoreLock::at(self.fs.as_ref(), queue, dir, self.wait, clock)?)
            }
        })
    }

    /// The object to change, and where the bytes went that were none.
    fn usable(&self, bytes: Option<&[u8]>, now: Timestamp) -> Result<(Object, Option<Utf8PathBuf>), StoreError> {
        let Some(bytes) = bytes else { return Ok((Object::new(), None)) };
        match (parse::<D>(&self.path, bytes), D::RECOVERY) {
            (Ok(object), _) => Ok((object, None)),
            (Err(StoreError::Unreadable { .. }), Recovery::Rebuild) => {
                let copy = quarantine(self.fs.as_ref(), &self.quarantine_dir, &self.path, bytes, now)?;
                Ok((Object::new(), Some(copy)))
            }
            (Err(error), Recovery::Refuse | Recovery::Copy | Recovery::Rebuild) => Err(error),
        }
    }

    /// What is read in the place of a broken file.
    fn instead(&self, error: StoreError) -> Result<Found<D>, StoreError> {
        if !matches!(error, StoreError::Unreadable { .. }) {
            return Err(error);
        }
        match D::RECOVERY {
            Recovery::Refuse => Err(error),
            Recovery::Rebuild => {
                let note = format!("{error}; it counts as empty and is made anew by the next change");
                Ok(Found { document: D::default(), is_there: true, note: Some(note) })
            }
            Recovery::Copy => {
                let copy = copy_of(&self.path);
                let Some(bytes) = read_optional(self.fs.as_ref(), &copy)? else { return Err(error) };
                let Ok(object) = parse::<D>(&copy, &bytes) else { return Err(error) };
                let note = format!("{error}; {copy} is read instead");
                Ok(Found { document: D::decode(&object), is_there: true, note: Some(note) })
            }
        }
    }
}

/// Makes the object say what the document says, and returns its text.
pub(crate) fn written<D: Document>(document: &D, object: &mut Object) -> Vec<u8> {
    stamp::<D>(object);
    document.encode(object);
    text_of(object)
}

/// An object as a file's text.
pub(crate) fn text_of(object: &Object) -> Vec<u8> {
    let mut text = json::pretty(object);
    text.push(b'\n');
    text
}

/// The document in these bytes, or why there is none.
pub(crate) fn parse<D: Document>(path: &Utf8Path, bytes: &[u8]) -> Result<Object, StoreError> {
    let remedy = remedy::<D>(path);
    let object = json::parse_object(path, bytes, &remedy)?;
    let version = object.get("version");
    let is_known = |known: &[i64]| json::version(&object).is_some_and(|version| known.contains(&version));
    let is_fine = match D::SCHEMA {
        Schema::Versions(known) => is_known(known),
        Schema::VersionsOrNone(known) => version.is_none() || is_known(known),
        Schema::Unversioned => true,
    };
    if !is_fine {
        let found = json::version_named(&object);
        return Err(StoreError::UnknownVersion { path: path.to_string(), found });
    }
    match D::flaw(&object) {
        Some(flaw) => Err(StoreError::Unreadable { path: path.to_string(), why: format!("{flaw}; {remedy}") }),
        None => Ok(object),
    }
}

/// Says that a key holds something else than an object, for [`Document::flaw`].
pub(crate) fn no_object(object: &Object, key: &str) -> Option<String> {
    object.get(key).filter(|value| !value.is_object()).map(|_| format!("its `{key}` is not an object"))
}

fn remedy<D: Document>(path: &Utf8Path) -> String {
    match D::RECOVERY {
        Recovery::Refuse => format!("it was left as it is; mend it, or begin anew with `mv {path} {path}.broken`"),
        Recovery::Copy => format!("it was left as it is; mend it, or put its copy back with `cp {path}.bak {path}`"),
        Recovery::Rebuild => "it can be made anew".to_owned(),
    }
}

/// A new document gets the version we write; one that is there keeps its own until an encoder changes it.
fn stamp<D: Document>(object: &mut Object) {
    match D::SCHEMA {
        Schema::Versions(known) | Schema::VersionsOrNone(known) if object.is_empty() => {
            json::set(object, "version", known.last().map(|version| json!(version)));
        }
        Schema::Versions(_) | Schema::VersionsOrNone(_) | Schema::Unversioned => {}
    }
}

fn copy_of(path: &Utf8Path) -> Utf8PathBuf {
    format!("{path}.bak").into()
}
