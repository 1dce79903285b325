//! What a machine that lost its power would find: names as their directories were last synced, bytes as their files
//! were.
//!
//! The system may keep more than it promised, never less; so both ends are tried: nothing that was not synced is
//! there, or every name is and the bytes are not.
#![allow(clippy::disallowed_methods, reason = "this plays the disk")]

use std::{collections::BTreeMap, io};

use camino::{Utf8Path, Utf8PathBuf};

use crate::fs::parent_of;

/// Which promises the system never made it keeps all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// None.
    Nothing,
    /// Names: made, replaced and removed as asked, over bytes as they were last synced.
    Names,
}

/// Files by name and by content. One that nobody touched is as it stands.
#[derive(Debug, Default)]
pub(super) struct Image {
    /// The file a name leads to, by its place in `synced`; `None` for a name that is gone.
    now: BTreeMap<Utf8PathBuf, Option<usize>>,
    /// The same as the directories last promised it.
    promised: BTreeMap<Utf8PathBuf, Option<usize>>,
    /// The bytes of each file as it was last synced.
    synced: Vec<Vec<u8>>,
}

impl Image {
    /// Knows what stands at a name before it is first touched.
    pub(super) fn meet(&mut self, path: &Utf8Path) {
        if self.now.contains_key(path) {
            return;
        }
        let found = std::fs::read(path).ok().map(|bytes| self.file_of(bytes));
        self.now.insert(path.to_owned(), found);
        self.promised.insert(path.to_owned(), found);
    }

    /// Bytes were handed over; a new file has none that would stay.
    pub(super) fn put(&mut self, path: &Utf8Path) {
        if self.now.get(path).is_none_or(Option::is_none) {
            let file = self.file_of(Vec::new());
            self.now.insert(path.to_owned(), Some(file));
        }
    }

    /// The bytes that stand there now stay.
    pub(super) fn sync_file(&mut self, path: &Utf8Path) -> io::Result<()> {
        if let Some(Some(file)) = self.now.get(path) {
            self.synced[*file] = std::fs::read(path)?;
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Utf8Path, to: &Utf8Path) {
        let file = self.now.insert(from.to_owned(), None).flatten();
        self.now.insert(to.to_owned(), file);
    }

    pub(super) fn remove(&mut self, path: &Utf8Path) {
        self.now.insert(path.to_owned(), None);
    }

    /// The names of a directory stay as they are now.
    pub(super) fn sync_dir(&mut self, dir: &Utf8Path) {
        let is_in_it = |path: &Utf8Path| path.as_str().starts_with(dir.as_str()) && parent_of(path) == dir;
        for (path, file) in self.now.iter().filter(|(path, _)| is_in_it(path)) {
            self.promised.insert(path.clone(), *file);
        }
    }

    /// Makes the real disk what would be found, and forgets everything.
    pub(super) fn lose_power(&mut self, kept: Kept) -> io::Result<()> {
        let image = std::mem::take(self);
        let names = match kept {
            Kept::Nothing => &image.promised,
            Kept::Names => &image.now,
        };
        for path in image.now.keys() {
            if path.symlink_metadata().is_ok() {
                std::fs::remove_file(path)?;
            }
            if let Some(Some(file)) = names.get(path) {
                std::fs::write(path, &image.synced[*file])?;
            }
        }
        Ok(())
    }

    fn file_of(&mut self, bytes: Vec<u8>) -> usize {
        self.synced.push(bytes);
        self.synced.len() - 1
    }
}
