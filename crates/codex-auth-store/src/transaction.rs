//! Owns changing several files as one: after a crash at any step all of them say the old state, or all the new one.
//!
//! The steps are written down whole, with what each file said before, in one journal file. From the moment that file
//! is in its place the change counts: whoever reads meets the new state, whoever writes next finishes it first. A
//! file that another program changed meanwhile says neither the old nor the new state; it is left to that program.

use std::{io, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;

use crate::{
    fs::{
        Fs, Write, io_error,
        lock::{self, FileLock, Signature},
        os, parent_of, read_optional, remove_durably, replace_atomically, replace_unless,
    },
    hash::sha256_hex,
};

pub(crate) mod wire;

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) path: Utf8PathBuf,
    /// Hash of what the file said before; `None` when there was no file.
    pub(crate) before: Option<String>,
    pub(crate) act: Act,
    /// Locks of another program that the file is changed under.
    pub(crate) locks: Vec<Utf8PathBuf>,
}

/// How a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It says this from now on.
    Replace(Vec<u8>),
    /// It is gone.
    Remove,
    /// These bytes stand from this place on.
    Append { at: u64, bytes: Vec<u8> },
}

impl Step {
    /// The file says `bytes` instead of `before`.
    pub(crate) fn replace(path: Utf8PathBuf, before: Option<&[u8]>, bytes: Vec<u8>) -> Self {
        Self { path, before: before.map(sha256_hex), act: Act::Replace(bytes), locks: Vec::new() }
    }

    /// The file that says `before` goes.
    pub(crate) fn remove(path: Utf8PathBuf, before: &[u8]) -> Self {
        Self { path, before: Some(sha256_hex(before)), act: Act::Remove, locks: Vec::new() }
    }

    /// `bytes` at the end of a file that is `at` bytes long.
    pub(crate) fn append(path: Utf8PathBuf, at: u64, bytes: Vec<u8>) -> Self {
        Self { path, before: None, act: Act::Append { at, bytes }, locks: Vec::new() }
    }

    /// The same, for a file that belongs to another program: it is changed under these locks, which the caller of
    /// [`run`] holds.
    pub(crate) fn under(self, locks: Vec<Utf8PathBuf>) -> Self {
        Self { locks, ..self }
    }

    /// The same as [`Step::carry_out`], unless another program has changed the file since; whether it was carried out.
    fn carry_out_unless_overtaken(&self, fs: &dyn Fs) -> Result<bool, StoreError> {
        match &self.act {
            Act::Replace(bytes) => replace_unless(fs, &self.path, bytes, || self.is_due(fs).map(|is_due| !is_due)),
            Act::Remove | Act::Append { .. } => self.carry_out(fs).map(|()| true),
        }
    }

    fn carry_out(&self, fs: &dyn Fs) -> Result<(), StoreError> {
        match &self.act {
            Act::Replace(bytes) => replace_atomically(fs, &self.path, bytes),
            Act::Remove => remove_durably(fs, &self.path),
            Act::Append { at, bytes } => append(fs, &self.path, *at, bytes),
        }
    }

    /// Whether the file still says what it said before, so that this step is due.
    fn is_due(&self, fs: &dyn Fs) -> Result<bool, StoreError> {
        match &self.act {
            Act::Replace(_) | Act::Remove => {
                Ok(read_optional(fs, &self.path)?.as_deref().map(sha256_hex) == self.before)
            }
            // The same bytes at the same place are the same file; one that is shorter or longer is another's.
            Act::Append { at, bytes } => {
                let length = read_optional(fs, &self.path)?.map_or(0, |there| there.len() as u64);
                Ok((*at..=at + bytes.len() as u64).contains(&length))
            }
        }
    }
}

/// Carries out all steps, or none.
pub(crate) fn run(fs: &dyn Fs, journal: &Utf8Path, steps: &[Step]) -> Result<(), StoreError> {
    run_from(fs, journal, steps, &|step| step.carry_out(fs).map(|()| true)).map(drop)
}

/// The same, but none where another program changes the first file in the last moment; whether they were carried out.
pub(crate) fn run_unless_overtaken(fs: &dyn Fs, journal: &Utf8Path, steps: &[Step]) -> Result<bool, StoreError> {
    run_from(fs, journal, steps, &|step| step.carry_out_unless_overtaken(fs))
}

/// Carries out all steps, the first one by `begin`; when that says no, nothing is done.
fn run_from(
    fs: &dyn Fs,
    journal: &Utf8Path,
    steps: &[Step],
    begin: &dyn Fn(&Step) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    match steps {
        [] => Ok(true),
        // One file is replaced whole or not at all by itself.
        [only] => begin(only),
        [first, others @ ..] => {
            replace_atomically(fs, journal, &wire::encode(steps))?;
            let came_to = begin(first);
            if matches!(came_to, Ok(false)) {
                return remove_durably(fs, journal).map(|()| false);
            }
            // It counts now. What cannot be carried out, because the disk is full for one, the next writer finishes.
            if came_to.is_ok() && others.iter().all(|step| step.carry_out(fs).is_ok()) {
                let _ = remove_durably(fs, journal);
            }
            Ok(true)
        }
    }
}

/// Finishes what an earlier writer wrote down. To be called under the lock of the files, and under no other; those of
/// other programs are waited for in here, at most so long each.
pub(crate) fn finish(fs: &dyn Fs, journal: &Utf8Path, wait: Duration) -> Result<(), StoreError> {
    let steps = pending(fs, journal)?;
    for step in &steps {
        let _locks: Vec<FileLock> =
            step.locks.iter().map(|path| lock::lock(path, Signature::Blank, wait)).collect::<Result<_, _>>()?;
        if step.is_due(fs)? {
            step.carry_out(fs)?;
        }
    }
    remove_durably(fs, journal)
}

/// The steps that are written down and perhaps not carried out yet.
pub(crate) fn pending(fs: &dyn Fs, journal: &Utf8Path) -> Result<Vec<Step>, StoreError> {
    Ok(read_optional(fs, journal)?.and_then(|bytes| wire::decode(&bytes)).unwrap_or_default())
}

/// What a file says when `steps` count: its own bytes, unless a step of it is due.
pub(crate) fn read_over(fs: &dyn Fs, path: &Utf8Path, steps: &[Step]) -> Result<Option<Vec<u8>>, StoreError> {
    let there = read_optional(fs, path)?;
    let Some(step) = steps.iter().find(|step| step.path == path) else { return Ok(there) };
    Ok(match &step.act {
        Act::Append { at, bytes } => appended(there, usize::try_from(*at).unwrap_or(usize::MAX), bytes),
        Act::Replace(_) | Act::Remove if there.as_deref().map(sha256_hex) != step.before => there,
        Act::Replace(bytes) => Some(bytes.clone()),
        Act::Remove => None,
    })
}

/// What a file says once `bytes` stand at their place; one that is shorter or longer is another's.
fn appended(there: Option<Vec<u8>>, at: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = there.as_ref().map_or(0, Vec::len);
    if length < at || length > at.saturating_add(bytes.len()) {
        return there;
    }
    let mut whole = there.unwrap_or_default();
    whole.truncate(at);
    whole.extend_from_slice(bytes);
    Some(whole)
}

fn append(fs: &dyn Fs, path: &Utf8Path, at: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let failed = |error: io::Error| io_error("append to", path, &error);
    let dir = parent_of(path);
    fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
    let is_there = os::glance(path).is_some();
    let how = if is_there { Write::At(at) } else { Write::New };
    fs.write(path, bytes, how).map_err(failed)?;
    if is_there { Ok(()) } else { fs.sync_dir(&dir).map_err(|error| io_error("sync", &dir, &error)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        OsFs,
        testing::{Fault, FaultFs},
    };

    struct Files {
        _dir: tempfile::TempDir,
        root: Utf8PathBuf,
    }

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("text");
            for name in ["a", "b", "log"] {
                OsFs.write(&root.join(name), b"old\n", Write::New).expect("written");
            }
            Self { _dir: dir, root }
        }

        fn journal(&self) -> Utf8PathBuf {
            self.root.join("journal/change.bin")
        }

        fn steps(&self) -> Vec<Step> {
            vec![
                Step::replace(self.root.join("a"), Some(b"old\n"), b"new\n".to_vec()),
                Step::remove(self.root.join("b"), b"old\n"),
                Step::replace(self.root.join("c"), None, b"made\n".to_vec()),
                Step::append(self.root.join("log"), 4, b"more\n".to_vec()),
            ]
        }

        /// What the files say to a reader, and what they say once the next writer has come.
        fn said(&self) -> [Vec<Option<String>>; 2] {
            let text = |bytes: Option<Vec<u8>>| bytes.map(|bytes| String::from_utf8(bytes).expect("text"));
            let steps = pending(&OsFs, &self.journal()).expect("readable");
            let read = |name| text(read_over(&OsFs, &self.root.join(name), &steps).expect("readable"));
            let seen = ["a", "b", "c"].map(read).to_vec();
            finish(&OsFs, &self.journal(), Duration::ZERO).expect("finished");
            let disk =
                ["a", "b", "c", "log"].map(|name| text(read_optional(&OsFs, &self.root.join(name)).expect("readable")));
            [seen, disk.to_vec()]
        }
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| (!text.is_empty()).then(|| (*text).to_owned())).collect()
    }

    #[test]
    fn whatever_step_fails_or_stops_all_files_are_old_or_all_new() {
        let steps = {
            let (files, disk) = (Files::new(), FaultFs::default());
            run(&disk, &files.journal(), &files.steps()).expect("no fault");
            disk.steps()
        };
        for fault in (0..steps).flat_map(|step| [Fault::Fail(step), Fault::Stop(step)]) {
            let files = Files::new();
            let result = run(&FaultFs::with(fault), &files.journal(), &files.steps());
            let [seen, after] = files.said();
            let is_new = seen[0].as_deref() == Some("new\n");
            let expect: (&[&str], &[&str]) = if is_new {
                (&["new\n", "", "made\n"], &["new\n", "", "made\n", "old\nmore\n"])
            } else {
                (&["old\n", "old\n", ""], &["old\n", "old\n", "", "old\n"])
            };
            assert_eq!((seen, after), (some(expect.0), some(expect.1)), "{fault:?}");
            assert!(is_new || result.is_err(), "{fault:?}: said to be done, and is not");
            assert!(!files.journal().exists(), "{fault:?} left the journal");
        }
    }

    #[test]
    fn a_file_that_another_program_changed_since_is_left_to_it() {
        let files = Files::new();
        let disk = Arc::new(FaultFs::default());
        replace_atomically(disk.as_ref(), &files.journal(), &wire::encode(&files.steps())).expect("written down");
        replace_atomically(&OsFs, &files.root.join("a"), b"foreign\n").expect("written");
        let [seen, after] = files.said();
        assert_eq!(seen[0].as_deref(), Some("foreign\n"));
        assert_eq!(after, some(&["foreign\n", "", "made\n", "old\nmore\n"]));
    }

    #[test]
    fn a_file_of_another_program_is_finished_under_its_lock() {
        let files = Files::new();
        let lock_path = files.root.join("a.lock");
        let steps: Vec<Step> = files.steps().into_iter().map(|step| step.under(vec![lock_path.clone()])).collect();
        replace_atomically(&OsFs, &files.journal(), &wire::encode(&steps)).expect("written down");
        let busy = lock::try_lock(&lock_path, Signature::Blank).expect("lockable").expect("free");
        let error = finish(&OsFs, &files.journal(), Duration::ZERO).expect_err("the other program is at it");
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        drop(busy);
        assert_eq!(files.said()[1][0].as_deref(), Some("new\n"));
    }

    #[test]
    fn one_file_needs_no_journal() {
        let (files, disk) = (Files::new(), FaultFs::default());
        run(&disk, &files.journal(), &files.steps()[..1]).expect("written");
        assert_eq!(disk.steps(), 5, "make, write, sync, rename, sync");
    }
}
