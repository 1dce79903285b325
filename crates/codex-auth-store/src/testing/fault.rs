//! A real disk on its worst day: it fails, tears, stops, refuses or is full, and forgets what was never synced.
#![allow(clippy::disallowed_methods, reason = "this plays the disk")]

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use camino::Utf8Path;

use super::image::{Image, Kept};
use crate::fs::{Fs, Write, os::OsFs};

/// What goes wrong. Steps are counted from zero; reading is no step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This step fails and leaves nothing; later ones work.
    Fail(u64),
    /// This step is done by half, and nothing works any more: the machine stopped.
    Stop(u64),
    /// Nothing new fits; what has its room can be written in place.
    Full,
    /// Every change is refused.
    Refuses(Refusal),
    /// The device is broken: reading fails, too.
    Broken,
}

/// Why a disk takes no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// `EACCES`.
    NotAllowed,
    /// `EROFS`.
    ReadOnly,
    /// `EIO`.
    Failing,
}

/// The disk, with a fault.
#[derive(Debug, Default)]
pub struct FaultFs(Mutex<Day>);

#[derive(Debug, Default)]
struct Day {
    fault: Option<Fault>,
    steps: u64,
    image: Image,
}

enum Fate {
    Well,
    Torn(io::Error),
}

impl FaultFs {
    /// A disk with this fault.
    pub fn with(fault: Fault) -> Self {
        let disk = Self::default();
        disk.now(Some(fault));
        disk
    }

    /// Changes what goes wrong from now on, and counts anew.
    pub fn now(&self, fault: Option<Fault>) {
        let mut day = self.day();
        (day.fault, day.steps) = (fault, 0);
    }

    /// How many steps were asked for.
    pub fn steps(&self) -> u64 {
        self.day().steps
    }

    /// Takes the power away and gives it back: what was not synced is lost, but for what is `kept` by chance.
    pub fn lose_power(&self, kept: Kept) -> io::Result<()> {
        self.day().image.lose_power(kept)
    }

    fn day(&self) -> MutexGuard<'_, Day> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step that is done whole or not at all.
    fn whole(&self, work: impl FnOnce(&mut Image) -> io::Result<()>) -> io::Result<()> {
        let mut day = self.day();
        match day.step(false)? {
            Fate::Well => work(&mut day.image),
            Fate::Torn(error) => Err(error),
        }
    }
}

impl Day {
    fn step(&mut self, takes_room: bool) -> io::Result<Fate> {
        let step = self.steps;
        self.steps += 1;
        match self.fault {
            Some(Fault::Fail(at)) if at == step => Err(os_error(EIO)),
            Some(Fault::Stop(at)) if at == step => Ok(Fate::Torn(io::Error::other("injected stop"))),
            Some(Fault::Stop(at)) if at < step => Err(io::Error::other("injected stop")),
            Some(Fault::Full) if takes_room => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Refuses(Refusal::NotAllowed)) => Err(os_error(EACCES)),
            Some(Fault::Refuses(Refusal::ReadOnly)) => Err(os_error(EROFS)),
            Some(Fault::Refuses(Refusal::Failing) | Fault::Broken) => Err(os_error(EIO)),
            Some(Fault::Fail(_) | Fault::Stop(_) | Fault::Full) | None => Ok(Fate::Well),
        }
    }
}

impl Fs for FaultFs {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        if self.day().fault == Some(Fault::Broken) {
            return Err(os_error(EIO));
        }
        OsFs.read(path)
    }

    fn put(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        let takes_room = match how {
            Write::New | Write::Append => true,
            Write::At(start) => start.saturating_add(bytes.len() as u64) > length_of(path),
        };
        let mut day = self.day();
        let (bytes, ended) = match day.step(takes_room)? {
            Fate::Well => (bytes, Ok(())),
            Fate::Torn(error) => (&bytes[..bytes.len() / 2], Err(error)),
        };
        day.image.meet(path);
        OsFs.put(path, bytes, how)?;
        day.image.put(path);
        ended
    }

    fn sync_file(&self, path: &Utf8Path) -> io::Result<()> {
        self.whole(|image| image.sync_file(path))
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        self.whole(|image| {
            image.meet(from);
            image.meet(to);
            OsFs.rename(from, to)?;
            image.rename(from, to);
            Ok(())
        })
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        self.whole(|image| {
            image.meet(path);
            OsFs.remove(path)?;
            image.remove(path);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        self.whole(|image| {
            image.sync_dir(dir);
            Ok(())
        })
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        // Directories are taken as durable from the start; syncing them for real would only take time.
        self.whole(|_| DirBuilder::new().recursive(true).mode(0o700).create(dir))
    }
}

const EIO: i32 = 5;
const EACCES: i32 = 13;
const EROFS: i32 = 30;

fn os_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn length_of(path: &Utf8Path) -> u64 {
    path.metadata().map_or(0, |seen| seen.len())
}
