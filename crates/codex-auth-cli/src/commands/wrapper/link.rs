//! Owns the link and the directory it lies in. What is not ours is never touched; what was made for it goes with it.
//!
//! A record beside the link says where it leads and which directories were made, so that removing restores the disk.

use std::{io, os::unix::fs::symlink, path::Path};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{Kind, StateDir, StoreError};
use codex_auth_store::{Fs, OsFs, PrivateDir};
use codex_auth_view::{WrapperChange, WrapperState};
use serde::{Deserialize, Serialize};

use crate::{error::CliError, official_binary::is_same};

const RECORD: &str = ".codex-auth-wrapper.json";

/// The place of our link.
#[derive(Debug)]
pub(super) struct Link {
    directory: Utf8PathBuf,
    path: Utf8PathBuf,
    own: Utf8PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    version: u32,
    target: String,
    made: Vec<Utf8PathBuf>,
}

impl Link {
    /// The link in `bin` below the root, leading to the program at `own`.
    pub(super) fn below(root: &Utf8Path, own: &Path) -> Result<Self, CliError> {
        let own = Utf8PathBuf::from_path_buf(own.to_owned()).map_err(|path| {
            CliError::usage(format!("The path of this program is no text: {}.", path.display()))
                .hint("Install it under another path.")
        })?;
        let directory = root.join("bin");
        Ok(Self { path: directory.join("codex"), directory, own })
    }

    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Where the link leads now.
    pub(super) fn target(&self) -> Option<String> {
        self.path.read_link_utf8().ok().map(Utf8PathBuf::into_string)
    }

    /// The line for a shell's start file.
    pub(super) fn path_line(&self) -> String {
        let quoted: String = self.directory.as_str().chars().flat_map(escaped).collect();
        format!("export PATH=\"{quoted}:$PATH\"")
    }

    pub(super) fn state(&self) -> Result<WrapperState, StoreError> {
        let Ok(found) = self.path.symlink_metadata() else { return Ok(WrapperState::NotInstalled) };
        if !found.file_type().is_symlink() {
            return Ok(WrapperState::Foreign);
        }
        let leads_here = self.path.metadata().is_ok_and(|found| is_same(&found, self.own.as_std_path()));
        let is_recorded = self.record()?.is_some_and(|record| Some(record.target) == self.target());
        Ok(if leads_here || is_recorded { WrapperState::Installed } else { WrapperState::Foreign })
    }

    /// Makes the link, or leads it to this program if an earlier one of ours leads elsewhere.
    pub(super) fn install(&self) -> Result<WrapperChange, CliError> {
        let state = self.state()?;
        if state == WrapperState::Foreign {
            return Err(self.foreign());
        }
        if state == WrapperState::Installed && self.target().as_deref() == Some(self.own.as_str()) {
            return Ok(WrapperChange::Kept);
        }
        let made = match self.record()? {
            Some(record) => record.made,
            None => self.directory.ancestors().take_while(|dir| !dir.exists()).map(Utf8Path::to_owned).collect(),
        };
        let record = Record { version: 1, target: self.own.to_string(), made };
        let text = serde_json::to_string_pretty(&record).expect("plain fields serialise");
        self.files().replace(RECORD, format!("{text}\n").as_bytes())?;
        let fresh = self.directory.join(format!(".codex.{}", std::process::id()));
        symlink(&self.own, &fresh).map_err(|error| failed("create", &fresh, &error))?;
        OsFs.rename(&fresh, &self.path).map_err(|error| failed("replace", &self.path, &error))?;
        Ok(WrapperChange::Installed)
    }

    /// Removes the link, its record, and the directories that were made for them, as far as they are empty.
    pub(super) fn remove(&self) -> Result<WrapperChange, CliError> {
        match self.state()? {
            WrapperState::NotInstalled => return Ok(WrapperChange::NothingToRemove),
            WrapperState::Foreign => return Err(self.foreign()),
            WrapperState::Installed => {}
        }
        let made = self.record()?.map(|record| record.made).unwrap_or_default();
        OsFs.remove(&self.path).map_err(|error| failed("remove", &self.path, &error))?;
        self.files().remove(RECORD)?;
        for directory in made {
            // Somebody may use it by now; then it is not ours to remove.
            if std::fs::remove_dir(&directory).is_err() {
                break;
            }
        }
        Ok(WrapperChange::Removed)
    }

    fn record(&self) -> Result<Option<Record>, StoreError> {
        // A record that cannot be read proves nothing, and then nothing is removed on its word.
        Ok(self.files().read(RECORD)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn files(&self) -> PrivateDir {
        PrivateDir::new(&self.directory)
    }

    fn foreign(&self) -> CliError {
        CliError::new(
            Kind::Conflict,
            "foreign_target",
            format!("{} is there already and was not made by this program. It was left as it is.", self.path),
        )
        .hint("Move it away, then run the command again.")
    }
}

fn failed(verb: &'static str, path: &Utf8Path, error: &io::Error) -> StoreError {
    StoreError::Io { verb, path: path.to_string(), why: error.to_string() }
}

/// As a shell reads it between double quotes.
fn escaped(letter: char) -> impl Iterator<Item = char> {
    let escape = matches!(letter, '"' | '\\' | '$' | '`').then_some('\\');
    escape.into_iter().chain([letter])
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home {
        dir: tempfile::TempDir,
        link: Link,
    }

    fn home() -> Home {
        let dir = tempfile::tempdir().expect("a directory");
        let base = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("text");
        let own = base.join("codex-multi-auth");
        OsFs.write(&own, b"program", codex_auth_store::Write::New).expect("written");
        let link = Link::below(&base.join("state/multi-auth"), own.as_std_path()).expect("a place");
        Home { dir, link }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(dir).expect("readable").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn removing_restores_the_disk() {
        let Home { dir, link } = home();
        let before = names(dir.path());
        assert_eq!(link.install(), Ok(WrapperChange::Installed));
        assert_eq!(link.install(), Ok(WrapperChange::Kept));
        assert_eq!((link.state(), link.target().as_deref()), (Ok(WrapperState::Installed), Some(link.own.as_str())));
        assert_eq!(link.remove(), Ok(WrapperChange::Removed));
        assert_eq!(names(dir.path()), before);
        assert_eq!(link.remove(), Ok(WrapperChange::NothingToRemove));
    }

    #[test]
    fn a_directory_in_use_stays() {
        let Home { dir: _dir, link } = home();
        link.install().expect("installed");
        let other = link.directory.join("other");
        OsFs.write(&other, b"x", codex_auth_store::Write::New).expect("written");
        link.remove().expect("removed");
        assert_eq!(names(link.directory.as_std_path()), ["other"]);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let Home { dir: _dir, link } = home();
        OsFs.make_dir(&link.directory).expect("made");
        OsFs.write(&link.path, b"theirs", codex_auth_store::Write::New).expect("written");
        assert_eq!(link.state(), Ok(WrapperState::Foreign));
        assert!(link.install().is_err() && link.remove().is_err());
        assert_eq!(OsFs.read(&link.path).expect("there"), b"theirs");
        OsFs.remove(&link.path).expect("removed");
        symlink("/bin/true", &link.path).expect("linked");
        assert_eq!(link.state(), Ok(WrapperState::Foreign));
    }

    #[test]
    fn a_link_to_an_earlier_program_of_ours_is_led_here() {
        let Home { dir: _dir, link } = home();
        let earlier =
            Link { own: link.directory.join("gone"), directory: link.directory.clone(), path: link.path.clone() };
        earlier.install().expect("installed");
        assert_eq!(link.state(), Ok(WrapperState::Installed));
        assert_eq!(link.install(), Ok(WrapperChange::Installed));
        assert_eq!(link.target().as_deref(), Some(link.own.as_str()));
    }

    #[test]
    fn the_line_survives_a_shell() {
        let link = Link::below(Utf8Path::new("/a b/$x\"y"), Path::new("/own")).expect("a place");
        assert_eq!(link.path_line(), "export PATH=\"/a b/\\$x\\\"y/bin:$PATH\"");
    }
}
