//! The real disk: private from creation, durable when an operation returns.
#![allow(clippy::disallowed_methods, reason = "this is the seam the bans point to")]

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    time::SystemTime,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Fs, Write};

/// As many links as Linux follows before it calls them a loop.
const MOST_LINKS: usize = 40;

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsFs;

impl Fs for OsFs {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn read_from(&self, path: &Utf8Path, start: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.mode(0o600);
        match how {
            Write::New => options.write(true).create_new(true),
            Write::At(_) => options.write(true),
            Write::Append => options.append(true).create(true),
        };
        let mut file = options.open(path)?;
        if let Write::At(start) = how {
            file.seek(SeekFrom::Start(start))?;
        }
        file.write_all(bytes)
    }

    fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
        // The system keeps bytes by file, not by descriptor; so does it the error of a write that went wrong meanwhile.
        OpenOptions::new().write(true).open(path)?.sync_all()
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        let missing: Vec<&Utf8Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // A new directory is durable once its parent is; otherwise its first file could vanish with it.
        missing.into_iter().try_for_each(|made| self.sync_dir(&super::parent_of(made)))
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Glance {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Glance {
    /// Which file it is, whatever its name.
    pub(crate) fn inode(self) -> u64 {
        self.inode
    }

    /// How many bytes it has.
    pub(crate) fn length(self) -> u64 {
        self.length
    }
}

/// Looks at a file without reading it; `None` when it cannot be seen.
pub(crate) fn glance(path: &Utf8Path) -> Option<Glance> {
    let seen = std::fs::metadata(path).ok()?;
    Some(Glance { inode: seen.ino(), length: seen.len(), modified: (seen.mtime(), seen.mtime_nsec()) })
}

/// What can be seen of a file from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) is_file: bool,
    pub(crate) bytes: u64,
    pub(crate) mode: u32,
}

/// Looks at a file from outside; `None` when it cannot be seen.
pub(crate) fn outside(path: &Utf8Path) -> Option<Outside> {
    let seen = std::fs::metadata(path).ok()?;
    Some(Outside { is_file: seen.is_file(), bytes: seen.len(), mode: seen.mode() & 0o777 })
}

/// How many bytes a file has; `None` when it is not there.
pub(crate) fn length(path: &Utf8Path) -> Option<u64> {
    Some(glance(path)?.length)
}

/// Milliseconds since the epoch at which a file was last written; `None` when it is not there.
pub(crate) fn modified_millis(path: &Utf8Path) -> Option<i64> {
    let (seconds, nanos) = glance(path)?.modified;
    Some(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

/// When a file was last written, as precisely as the disk tells; for comparing only.
pub(crate) fn modified(path: &Utf8Path) -> Option<(i64, i64)> {
    glance(path).map(|seen| seen.modified)
}

/// The names in a directory, unsorted; none when the directory is not there.
pub(crate) fn names_in(dir: &Utf8Path) -> io::Result<Vec<String>> {
    match dir.read_dir_utf8() {
        // A name that is no text belongs to nobody we know.
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.file_name().to_owned())).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The file a path leads to, through links, whether or not that file exists.
pub(crate) fn follow(path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        match at.symlink_metadata() {
            Ok(seen) if seen.file_type().is_symlink() => at = super::parent_of(&at).join(at.read_link_utf8()?),
            Ok(_) => return Ok(at),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(at),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// How many names a file has.
pub(crate) fn link_count(path: &Utf8Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|seen| seen.nlink())
}

/// A name nobody uses, beside `target`: `<target>.<pid>.<ms>.<8 hex>.tmp`, as the predecessor spells it.
pub(crate) fn temp_beside(target: &Utf8Path) -> io::Result<Utf8PathBuf> {
    let mut chance = [0_u8; 4];
    getrandom::fill(&mut chance).map_err(io::Error::other)?;
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_millis());
    Ok(format!("{target}.{}.{millis}.{:08x}.tmp", std::process::id(), u32::from_be_bytes(chance)).into())
}
