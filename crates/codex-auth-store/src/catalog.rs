//! Owns the list of every file: whose it is, what it holds, its lock, what happens when it is broken, and the test that
//! proves it. The reference page and the command `files` are made of it.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::Timestamp;

use crate::fs::{Fs, os};

mod health;
mod page;
mod table;

pub use health::Health;
pub use page::page;
pub use table::FILES;

/// One file, or several of one pattern.
#[derive(Debug, Clone, Copy)]
pub struct KnownFile {
    /// Under which directory.
    pub place: Place,
    /// Its name there; `*` stands for any letters of one name.
    pub pattern: &'static str,
    /// Who writes it.
    pub owner: Owner,
    /// What is in it.
    pub holds: &'static str,
    /// Its format and version.
    pub schema: &'static str,
    /// The lock it is changed under.
    pub lock: &'static str,
    /// What happens when it is broken.
    pub recovery: &'static str,
    /// The test that proves this, by its path; blank where it is only listed.
    pub proof: &'static str,
    /// How its health is found out.
    pub(crate) check: health::Check,
}

/// A directory that holds known files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Our root.
    Root,
    /// The official client's home.
    CodexHome,
    /// The configuration directory of `OpenCode`.
    OpenCode,
    /// The user's state directory, shared by our products.
    State,
    /// A project.
    Project,
}

/// Who writes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This product alone.
    Ours,
    /// Shared with the predecessor `codex-multi-auth`.
    Predecessor,
    /// Shared with the predecessor `opencode-codex-auth`.
    OpenCode,
    /// The official client; we are guests.
    Official,
}

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Our root.
    pub root: Option<Utf8PathBuf>,
    /// The official client's home.
    pub codex_home: Option<Utf8PathBuf>,
    /// The configuration directory of `OpenCode`.
    pub opencode: Option<Utf8PathBuf>,
}

/// A known file that is there.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// Where.
    pub path: Utf8PathBuf,
    /// What is known of it.
    pub known: &'static KnownFile,
    /// The version it names.
    pub version: Option<String>,
    /// Whether it can be used.
    pub health: Health,
    /// Copies of its broken bytes that are kept.
    pub quarantined: usize,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its permissions.
    pub mode: u32,
    /// When it was last written.
    pub modified_at: Timestamp,
}

impl Owner {
    /// One word for screens and documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "codex-auth",
            Self::Predecessor => "codex-multi-auth",
            Self::OpenCode => "opencode-codex-auth",
            Self::Official => "codex",
        }
    }
}

impl Place {
    pub(crate) const ALL: [Self; 5] = [Self::Root, Self::CodexHome, Self::OpenCode, Self::State, Self::Project];

    fn of(self, places: &Places) -> Option<&Utf8PathBuf> {
        match self {
            Self::Root => places.root.as_ref(),
            Self::CodexHome => places.codex_home.as_ref(),
            Self::OpenCode => places.opencode.as_ref(),
            Self::State | Self::Project => None,
        }
    }
}

/// Every known file that is there, in the table's order. Nothing is changed, and no content is kept.
pub fn look(places: &Places, fs: &dyn Fs) -> Vec<FoundFile> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for known in FILES {
        let Some(dir) = known.place.of(places) else { continue };
        for path in matching(dir, known.pattern) {
            if seen.insert(path.clone())
                && let Some(file) = look_at(known, dir, path, fs)
            {
                found.push(file);
            }
        }
    }
    found
}

fn look_at(known: &'static KnownFile, dir: &Utf8Path, path: Utf8PathBuf, fs: &dyn Fs) -> Option<FoundFile> {
    let outside = os::outside(&path).filter(|outside| outside.is_file)?;
    let (version, health) = health::of(known.check, &path, fs);
    let name = path.file_name().unwrap_or_default();
    let copies = os::names_in(&dir.join("quarantine")).unwrap_or_default();
    let is_copy = |copy: &&String| {
        let stamp = copy.strip_prefix(name).and_then(|rest| rest.strip_suffix(".quarantine.json"));
        stamp.is_some_and(|stamp| stamp.starts_with('.'))
    };
    Some(FoundFile {
        quarantined: copies.iter().filter(is_copy).count(),
        bytes: outside.bytes,
        mode: outside.mode,
        modified_at: Timestamp::from_millis(os::modified_millis(&path).unwrap_or_default()),
        path,
        known,
        version,
        health,
    })
}

/// The paths under `dir` that fit a pattern, in order.
fn matching(dir: &Utf8Path, pattern: &str) -> Vec<Utf8PathBuf> {
    let mut paths = vec![dir.to_owned()];
    for part in pattern.split('/') {
        paths = paths.iter().flat_map(|path| under(path, part)).collect();
    }
    paths
}

fn under(dir: &Utf8Path, part: &str) -> Vec<Utf8PathBuf> {
    if !part.contains('*') {
        let path = dir.join(part);
        return if path.exists() { vec![path] } else { Vec::new() };
    }
    let mut names = os::names_in(dir).unwrap_or_default();
    names.retain(|name| fits(part, name));
    names.sort_unstable();
    names.into_iter().map(|name| dir.join(name)).collect()
}

/// Whether a name fits a pattern in which `*` stands for at least one letter.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, letter)| at + letter.len_utf8());
            ends.into_iter().any(|end| fits(tail, &rest[end..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expect) in [
            ("a.json", "a.json", true),
            ("a.json", "b.json", false),
            ("refresh-*.json", "refresh-1f.json", true),
            ("refresh-*.json", "refresh-.json", false),
            ("x.*.y.*.z", "x.1.y.2.z", true),
            ("x*", "xé", true),
        ] {
            assert_eq!(fits(pattern, name), expect, "{pattern} {name}");
        }
    }
}
