//! A real disk on its worst day: it fails, tears, stops or is full at a chosen step.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use camino::Utf8Path;

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
}

/// The disk, with a fault.
#[derive(Debug, Default)]
pub struct FaultFs(Mutex<Day>);

#[derive(Debug, Default, Clone, Copy)]
struct Day {
    fault: Option<Fault>,
    steps: u64,
}

enum Fate {
    Well,
    Torn(io::Error),
}

impl FaultFs {
    /// A disk with this fault.
    pub fn with(fault: Fault) -> Self {
        Self(Mutex::new(Day { fault: Some(fault), steps: 0 }))
    }

    /// Changes what goes wrong from now on, and counts anew.
    pub fn now(&self, fault: Option<Fault>) {
        *self.day() = Day { fault, steps: 0 };
    }

    /// How many steps were asked for.
    pub fn steps(&self) -> u64 {
        self.day().steps
    }

    fn day(&self) -> MutexGuard<'_, Day> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, takes_room: bool) -> io::Result<Fate> {
        let mut day = self.day();
        let step = day.steps;
        day.steps += 1;
        match day.fault {
            Some(Fault::Fail(at)) if at == step => Err(io::Error::other("injected fault")),
            Some(Fault::Stop(at)) if at == step => Ok(Fate::Torn(io::Error::other("injected stop"))),
            Some(Fault::Stop(at)) if at < step => Err(io::Error::other("injected stop")),
            Some(Fault::Full) if takes_room => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Fail(_) | Fault::Stop(_) | Fault::Full) | None => Ok(Fate::Well),
        }
    }

    /// A step that is done whole or not at all.
    fn whole(&self, takes_room: bool, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.step(takes_room)? {
            Fate::Well => work(),
            Fate::Torn(error) => Err(error),
        }
    }
}

impl Fs for FaultFs {
    fn read(&self, path: &Utf8Path) -> io::Result<Vec<u8>> {
        OsFs.read(path)
    }

    fn write(&self, path: &Utf8Path, bytes: &[u8], how: Write) -> io::Result<()> {
        let takes_room = match how {
            Write::New | Write::Append => true,
            Write::At(start) => start.saturating_add(bytes.len() as u64) > length_of(path),
        };
        match self.step(takes_room)? {
            Fate::Well => OsFs.write(path, bytes, how),
            Fate::Torn(error) => {
                OsFs.write(path, &bytes[..bytes.len() / 2], how)?;
                Err(error)
            }
        }
    }

    fn rename(&self, from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
        self.whole(false, || OsFs.rename(from, to))
    }

    fn remove(&self, path: &Utf8Path) -> io::Result<()> {
        self.whole(false, || OsFs.remove(path))
    }

    fn sync_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        self.whole(false, || OsFs.sync_dir(dir))
    }

    fn make_dir(&self, dir: &Utf8Path) -> io::Result<()> {
        self.whole(false, || OsFs.make_dir(dir))
    }
}

fn length_of(path: &Utf8Path) -> u64 {
    path.metadata().map_or(0, |seen| seen.len())
}
