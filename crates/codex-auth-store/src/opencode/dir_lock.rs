//! Owns the predecessor's lock, which both sides understand: a directory made in one step, whose modification time is
//! the holder's sign of life.
//!
//! It is taken under our own advisory lock, so that our processes queue there and only one of them ever breaks a stale
//! directory. Nothing is put into the directory: the predecessor could not remove it again. Ours are told from theirs by
//! a mode bit, so that what a killed process of ours left is no reason to wait.
#![allow(clippy::disallowed_methods, reason = "a lock made of a directory is below the seam, like the advisory one")]

use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Clock, StoreError, Timestamp};

use crate::fs::{io_error, lock::FileLock, os};

/// Without a sign of life for so long, the holder is dead.
pub(crate) const STALE: Duration = Duration::from_secs(10);
/// How often a holder gives one.
const BEAT: Duration = Duration::from_secs(5);
/// How long it is waited before each further attempt: doubled from the first, up to the longest.
const RETRIES: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The sticky bit, which no `mkdir` of the predecessor sets: the directory is one of ours.
const OURS: u32 = 0o1000;

/// The lock, held until dropped; a thread keeps it fresh.
#[derive(Debug)]
pub(crate) struct DirLock {
    held: Arc<Held>,
    heartbeat: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Held {
    dir: Utf8PathBuf,
    /// The sign of life we gave last, as the disk keeps it; `None` once it was somebody else's.
    last: Mutex<Option<i64>>,
}

impl DirLock {
    /// Takes the lock, asking again on the predecessor's schedule (about 1.75 s in all). Who has our queue's lock knows
    /// that no other process of ours holds this one.
    pub(crate) fn take(queue: &FileLock, dir: &Utf8Path, clock: &Arc<dyn Clock>) -> Result<Self, StoreError> {
        let mut waited = Duration::ZERO;
        for wait in schedule() {
            if let Some(lock) = Self::try_take(queue, dir, clock, BEAT)? {
                return Ok(lock);
            }
            std::thread::sleep(wait);
            waited += wait;
        }
        match Self::try_take(queue, dir, clock, BEAT)? {
            Some(lock) => Ok(lock),
            None => Err(locked(dir, clock.now(), waited)),
        }
    }

    fn try_take(
        _queue: &FileLock,
        dir: &Utf8Path,
        clock: &Arc<dyn Clock>,
        beat: Duration,
    ) -> Result<Option<Self>, StoreError> {
        if !make(dir)? {
            if !is_ours(dir) && !is_stale(dir, clock.now()) {
                return Ok(None);
            }
            clear(dir)?;
            if !make(dir)? {
                return Ok(None);
            }
        }
        let held = Arc::new(Held { dir: dir.to_owned(), last: Mutex::new(os::modified_millis(dir)) });
        held.beat(clock.now());
        let (stop, stopped) = mpsc::channel();
        let (life, clock) = (Arc::clone(&held), Arc::clone(clock));
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(beat) == Err(mpsc::RecvTimeoutError::Timeout) {
                life.beat(clock.now());
            }
        });
        Ok(Some(Self { held, heartbeat: Some((stop, thread)) }))
    }

    /// Fails when somebody took the lock for dead and broke it: what was read under it may be old by now.
    pub(crate) fn still_held(&self) -> Result<(), StoreError> {
        if self.held.is_ours(&self.held.last()) {
            return Ok(());
        }
        let holder = "another program, which took our lock for abandoned; nothing was written, try again";
        Err(StoreError::Locked { path: self.held.dir.to_string(), holder: holder.to_owned(), waited_secs: 0 })
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.heartbeat.take() {
            drop(stop);
            // A heartbeat that died has nothing more to say.
            let _ = thread.join();
        }
        let last = self.held.last();
        if self.held.is_ours(&last) {
            // When this fails, the directory is stale ten seconds from now and anybody clears it.
            let _ = std::fs::remove_dir(&self.held.dir);
        }
    }
}

impl Held {
    fn last(&self) -> MutexGuard<'_, Option<i64>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ours(&self, last: &MutexGuard<'_, Option<i64>>) -> bool {
        last.is_some() && os::modified_millis(&self.dir) == **last
    }

    /// Gives a sign of life, unless the lock is no longer ours.
    fn beat(&self, now: Timestamp) {
        let mut last = self.last();
        if !self.is_ours(&last) {
            *last = None;
        } else if touch(&self.dir, now).is_ok() {
            // Read back: a disk may keep less than milliseconds.
            *last = os::modified_millis(&self.dir);
        }
    }
}

/// The waits between attempts.
fn schedule() -> impl Iterator<Item = Duration> {
    (0..RETRIES).map(|retry| FIRST_WAIT.saturating_mul(1 << retry.min(8)).min(LONGEST_WAIT))
}

/// Makes the directory; false when it is there.
fn make(dir: &Utf8Path) -> Result<bool, StoreError> {
    match DirBuilder::new().mode(OURS | 0o700).create(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(io_error("lock", dir, &error)),
    }
}

/// Whether a process of ours made the directory. Disks that do not keep the bit have us wait.
fn is_ours(dir: &Utf8Path) -> bool {
    dir.metadata().is_ok_and(|seen| seen.mode() & OURS != 0)
}

fn is_stale(dir: &Utf8Path, now: Timestamp) -> bool {
    os::modified_millis(dir).is_some_and(|beat| now.since(Timestamp::from_millis(beat)) > STALE)
}

/// Removes an abandoned lock with what lies in it: the predecessor's other form of lock leaves a file there.
fn clear(dir: &Utf8Path) -> Result<(), StoreError> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    let emptied = os::names_in(dir)
        .and_then(|names| names.iter().try_for_each(|name| gone(std::fs::remove_file(dir.join(name)))))
        .and_then(|()| gone(std::fs::remove_dir(dir)));
    emptied.map_err(|error| io_error("clear the abandoned lock", dir, &error))
}

fn touch(dir: &Utf8Path, at: Timestamp) -> io::Result<()> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    File::open(dir)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}

fn locked(dir: &Utf8Path, now: Timestamp, waited: Duration) -> StoreError {
    let age = os::modified_millis(dir).map(|beat| now.since(Timestamp::from_millis(beat)).as_secs());
    let age = age.map_or_else(String::new, |secs| format!(", last sign of life {secs} s ago"));
    let holder = format!("another OpenCode process{age}; close it, or if none runs: rm -r '{dir}'");
    StoreError::Locked { path: dir.to_string(), holder, waited_secs: waited.as_secs() }
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::ManualClock;

    use super::*;
    use crate::fs::lock;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    struct Place {
        _root: tempfile::TempDir,
        queue: FileLock,
        dir: Utf8PathBuf,
        clock: Arc<dyn Clock>,
    }

    fn place() -> Place {
        let root = tempfile::tempdir().expect("a directory");
        let dir = Utf8PathBuf::from_path_buf(root.path().join("x.json.lock.lock")).expect("text");
        let target = dir.with_extension("");
        let queue = lock::try_lock(&target, lock::Signature::Blank).expect("lockable").expect("free");
        Place { _root: root, queue, dir, clock: Arc::new(ManualClock::at(NOW)) }
    }

    fn try_take(place: &Place) -> Option<DirLock> {
        DirLock::try_take(&place.queue, &place.dir, &place.clock, BEAT).expect("the disk works")
    }

    fn earlier(by: Duration) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() - i64::try_from(by.as_millis()).expect("small"))
    }

    #[test]
    fn the_waits_are_the_predecessors() {
        let waits: Vec<_> = schedule().collect();
        assert_eq!(waits.iter().take(5).map(Duration::as_millis).collect::<Vec<_>>(), [10, 20, 40, 80, 100]);
        assert_eq!(waits.into_iter().sum::<Duration>(), Duration::from_millis(1750));
    }

    #[test]
    fn it_is_there_until_it_is_dropped() {
        let place = place();
        let held = try_take(&place).expect("free");
        assert_eq!(os::modified_millis(&place.dir), Some(NOW.as_millis()));
        assert!(!make(&place.dir).expect("works"), "a predecessor's mkdir finds it taken");
        drop(held);
        assert!(!place.dir.exists());
        assert!(try_take(&place).is_some());
    }

    #[test]
    fn what_a_killed_process_of_ours_left_is_taken_at_once() {
        let place = place();
        assert!(make(&place.dir).expect("works"));
        touch(&place.dir, NOW).expect("touched");
        assert!(try_take(&place).is_some());
    }

    #[test]
    fn a_foreign_holder_is_respected_while_it_lives() {
        let place = place();
        std::fs::create_dir(&place.dir).expect("made");
        touch(&place.dir, earlier(STALE)).expect("touched");
        assert!(try_take(&place).is_none(), "ten seconds are not yet too long");
        touch(&place.dir, earlier(STALE + Duration::from_millis(1))).expect("touched");
        assert!(try_take(&place).is_some());
    }

    #[test]
    fn an_abandoned_lock_with_an_owner_file_is_cleared_defect_19() {
        let place = place();
        std::fs::create_dir(&place.dir).expect("made");
        std::fs::write(place.dir.join(".owner"), "dead").expect("written");
        touch(&place.dir, earlier(Duration::from_hours(1))).expect("touched");
        let held = try_take(&place).expect("cleared");
        assert_eq!(os::names_in(&place.dir).expect("there"), [""; 0]);
        drop(held);
        assert!(!place.dir.exists());
    }

    #[test]
    fn a_lock_that_was_broken_is_neither_kept_fresh_nor_released() {
        let place = place();
        let held = try_take(&place).expect("free");
        held.still_held().expect("ours");
        std::fs::remove_dir(&place.dir).expect("broken");
        std::fs::create_dir(&place.dir).expect("taken by another");
        held.held.beat(NOW);
        assert_ne!(os::modified_millis(&place.dir), Some(NOW.as_millis()));
        let error = held.still_held().expect_err("another's").to_string();
        assert!(error.contains("nothing was written, try again"), "{error}");
        drop(held);
        assert!(place.dir.exists());
    }

    /// A clock that tells when it was looked at.
    #[derive(Debug)]
    struct Watched(Mutex<(i64, mpsc::Sender<i64>)>);

    impl Clock for Watched {
        fn now(&self) -> Timestamp {
            let mut looked = self.0.lock().expect("alive");
            looked.0 += 1000;
            let _ = looked.1.send(looked.0);
            Timestamp::from_millis(looked.0)
        }
    }

    #[test]
    fn a_lock_held_long_stays_fresh() {
        let Place { _root, dir, queue, .. } = place();
        let (looked, looks) = mpsc::channel();
        let clock: Arc<dyn Clock> = Arc::new(Watched(Mutex::new((NOW.as_millis(), looked))));
        let held = DirLock::try_take(&queue, &dir, &clock, Duration::from_millis(1)).expect("works").expect("free");
        let seen: Vec<i64> = (0..4).map(|_| looks.recv_timeout(Duration::from_secs(20)).expect("beats")).collect();
        // The fourth look comes after the third beat was given.
        assert!(os::modified_millis(&dir).expect("there") >= seen[2]);
        held.still_held().expect("ours");
    }

    #[test]
    fn the_error_names_path_holder_and_remedy() {
        let place = place();
        std::fs::create_dir(&place.dir).expect("made");
        touch(&place.dir, earlier(Duration::from_secs(3))).expect("touched");
        let dir = &place.dir;
        let expect = format!(
            "{dir} is locked by another OpenCode process, last sign of life 3 s ago; close it, or if none runs: \
             rm -r '{dir}'; waited 1 s"
        );
        assert_eq!(locked(dir, NOW, Duration::from_millis(1750)).to_string(), expect);
    }
}
