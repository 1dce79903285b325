//! Owns one book in one file: read, changed and replaced under a lock of its own, at an instant that never runs back.

use std::{sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    Clock, StoreError, Timestamp,
    capability::{CapabilityError, EngineTime},
};
use serde_json::{Value, json};

use crate::{
    books::Book,
    engine::Engine,
    fs::{
        Fs,
        lock::{self, Signature},
        read_optional, replace_atomically,
    },
    json::{self, Object},
};

const VERSION: i64 = 1;
const REMEDY: &str = "it was left as it is; mend it, or move it away to begin with an empty one";

/// A directory of books.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    dir: Utf8PathBuf,
    pub(super) fs: Arc<dyn Fs>,
    clock: Arc<dyn Clock>,
    pub(super) wait: Duration,
}

impl Shelf {
    /// A shelf at `dir` with the disk, the clock and the patience of `engine`.
    pub(super) fn of(engine: &Engine, dir: Utf8PathBuf) -> Self {
        Self { dir, fs: engine.fs.clone(), clock: engine.clock.clone(), wait: engine.waits.root }
    }

    /// A file on this shelf.
    pub(super) fn path(&self, name: &str) -> Utf8PathBuf {
        self.dir.join(name)
    }

    /// Works on the book in `path` at one instant, from which all that has expired is gone. What changed is durable
    /// when this returns, also when the work itself failed: what was seen to expire must not come back.
    pub(super) fn change<B: Book, T>(
        &self,
        path: &Utf8Path,
        work: impl FnOnce(&mut B, Timestamp) -> Result<T, CapabilityError>,
    ) -> Result<T, CapabilityError> {
        let _lock = lock::lock(&Utf8PathBuf::from(format!("{path}.lock")), Signature::Pid, self.wait)?;
        let mut page: Page<B> = self.open(path)?;
        let outcome = work(&mut page.book, page.time.now);
        if !page.stands() {
            replace_atomically(self.fs.as_ref(), path, &page.into_bytes())?;
        }
        outcome
    }

    /// Looks something up in the book in `path`: without a lock, unless something was seen to expire.
    pub(super) fn look_up<B: Book, T>(&self, path: &Utf8Path, answer: impl Fn(&B) -> T) -> Result<T, CapabilityError> {
        let page: Page<B> = self.open(path)?;
        if page.stands() {
            return Ok(answer(&page.book));
        }
        self.change(path, |book, _| Ok(answer(book)))
    }

    fn open<B: Book>(&self, path: &Utf8Path) -> Result<Page<B>, CapabilityError> {
        let object = self.read(path)?;
        let written = B::decode(&object).ok_or_else(|| unusable(path, "a part of it is not what it should be"))?;
        let before = time_of(&object);
        let time = before.tick(self.clock.now());
        let mut book = written.clone();
        book.expire(time.now);
        Ok(Page { object, written, book, before, time })
    }

    fn read(&self, path: &Utf8Path) -> Result<Object, StoreError> {
        let Some(bytes) = read_optional(self.fs.as_ref(), path)? else { return Ok(Object::new()) };
        let object = json::parse_object(path, &bytes, REMEDY)?;
        if object.get("version").and_then(json::integer) == Some(VERSION) {
            return Ok(object);
        }
        let found = object.get("version").map_or_else(|| "none".to_owned(), ToString::to_string);
        Err(StoreError::UnknownVersion { path: path.to_string(), found })
    }
}

/// A book as it was written, and as it is now.
struct Page<B> {
    object: Object,
    written: B,
    book: B,
    before: EngineTime,
    time: EngineTime,
}

impl<B: Book> Page<B> {
    /// Whether the file says all there is to say. A clock that was set back is noted even when nothing else is: time
    /// goes on from there.
    fn stands(&self) -> bool {
        self.book == self.written && self.time.host >= self.before.host
    }

    fn into_bytes(self) -> Vec<u8> {
        let (mut object, time) = (self.object, self.time);
        json::set(&mut object, "version", Some(json!(VERSION)));
        let clock = json!({ "now": time.now.as_millis(), "host": time.host.as_millis() });
        json::set(&mut object, "clock", Some(clock));
        self.book.encode(&mut object);
        json::pretty(&object)
    }
}

fn time_of(object: &Object) -> EngineTime {
    let clock = object.get("clock").and_then(Value::as_object);
    let millis = |key: &str| clock.and_then(|clock| json::millis(clock, key));
    match (millis("now"), millis("host")) {
        (Some(now), Some(host)) => EngineTime { now, host },
        (None, _) | (_, None) => EngineTime::default(),
    }
}

fn unusable(path: &Utf8Path, why: &str) -> StoreError {
    StoreError::Unreadable { path: path.to_string(), why: format!("{why}; {REMEDY}") }
}
