//! Owns which project a directory belongs to, and the name under which a project's own pool is kept.
//!
//! What the disk says comes through [`Places`], so that the rules are tables. All worktrees of a repository are one
//! project: its identity root is the main worktree. A pointer that does not lead back to where it was found proves
//! nothing, and such a directory is a project of its own; submodules are, too.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    fs::{Fs as _, os::OsFs},
    hash::sha256_hex,
};

/// What marks a project where no `.git` does.
const MARKERS: [&str; 6] = [".git", "package.json", "Cargo.toml", "go.mod", "pyproject.toml", ".codex"];
/// Longest readable part of a key, in characters.
const LONGEST_NAME: usize = 40;
/// Digits of the hash in a key.
const DIGITS: usize = 12;
/// Where a worktree's git directory lies.
const WORKTREES: &str = "/.git/worktrees/";

/// What a disk says about places.
pub trait Places {
    /// Whether something is there.
    fn exists(&self, path: &Utf8Path) -> bool;

    /// Whether a directory is there.
    fn is_dir(&self, path: &Utf8Path) -> bool;

    /// The text of a small file; `None` when there is none that can be read.
    fn text(&self, path: &Utf8Path) -> Option<String>;

    /// The path with all links resolved; `None` when nothing is there.
    fn real(&self, path: &Utf8Path) -> Option<Utf8PathBuf>;
}

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsPlaces;

impl Places for OsPlaces {
    fn exists(&self, path: &Utf8Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn is_dir(&self, path: &Utf8Path) -> bool {
        path.is_dir()
    }

    fn text(&self, path: &Utf8Path) -> Option<String> {
        String::from_utf8(OsFs.read(path).ok()?).ok()
    }

    fn real(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        path.canonicalize_utf8().ok()
    }
}

/// A project: where it was found, and what it is one with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The directory with the marker: of a worktree, that worktree.
    pub root: Utf8PathBuf,
    /// The directory that stands for it: the main worktree of all linked ones.
    pub identity_root: Utf8PathBuf,
}

impl Project {
    /// The project of a directory; `None` outside of any. The client's own home in `codex_home` marks no project, or
    /// the whole home of its user would be one.
    pub fn of(start: &Utf8Path, codex_home: &Utf8Path, places: &dyn Places) -> Option<Self> {
        let start = lexically(start);
        let above = || start.ancestors().filter(|dir| !dir.as_str().is_empty());
        let marks = |marker: &Utf8Path| marker != codex_home && places.exists(marker);
        let root = above()
            .find(|dir| places.exists(&dir.join(".git")))
            .or_else(|| above().find(|dir| MARKERS.iter().any(|marker| marks(&dir.join(marker)))))?;
        let identity_root = main_worktree(root, places).unwrap_or_else(|| root.to_owned());
        Some(Self { root: root.to_owned(), identity_root })
    }

    /// The name of the project's pool below `projects/`.
    pub fn key(&self) -> String {
        project_key(&self.identity_root)
    }

    /// The name the pool had when each worktree was a project of its own; `None` where that is the same.
    pub fn worktree_key(&self) -> Option<String> {
        let key = project_key(&self.root);
        (key != self.key()).then_some(key)
    }

    /// What people call it: the last part of its path.
    pub fn name(&self) -> &str {
        self.identity_root.file_name().unwrap_or("project")
    }
}

/// The name of the pool of the project at `path`: the last part of the path, then the first digits of its hash.
pub fn project_key(path: &Utf8Path) -> String {
    key(path, cfg!(windows))
}

/// On Windows a path says the same in capitals.
fn key(path: &Utf8Path, folds_case: bool) -> String {
    let slashed = Utf8PathBuf::from(path.as_str().replace('\\', "/"));
    let path = lexically(&slashed).into_string();
    let path = if folds_case { path.to_lowercase() } else { path };
    let last = path.rsplit('/').next().unwrap_or_default();
    let mut name = String::new();
    for letter in last.chars() {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-') {
            name.push(letter);
        } else if !name.ends_with(REPLACED) {
            name.push(REPLACED);
        }
    }
    let name = name.replace(REPLACED, "-");
    let name = name.trim_matches('-');
    let name: String = if name.is_empty() { "project".into() } else { name.chars().take(LONGEST_NAME).collect() };
    format!("{name}-{}", &sha256_hex(&path)[..DIGITS])
}

/// Stands for a run of letters that a key has no room for, until the run has ended: a dash of the name is none.
const REPLACED: char = '\0';

/// The main worktree, where `root` is a linked one and both sides say so.
fn main_worktree(root: &Utf8Path, places: &dyn Places) -> Option<Utf8PathBuf> {
    let pointer = root.join(".git");
    if places.is_dir(&pointer) {
        return None;
    }
    let text = places.text(&pointer)?;
    let first = text.lines().next()?.trim();
    let (word, rest) = first.split_at_checked("gitdir:".len())?;
    let git_dir = word.eq_ignore_ascii_case("gitdir:").then(|| resolved(root, rest.trim()))??;
    if !git_dir.as_str().replace('\\', "/").contains(WORKTREES) {
        return None;
    }
    let back = resolved(&git_dir, places.text(&git_dir.join("gitdir"))?.trim())?;
    if places.real(&back)? != places.real(&pointer)? {
        return None;
    }
    let common = match places.text(&git_dir.join("commondir")) {
        Some(text) => resolved(&git_dir, text.trim())?,
        None => git_dir.clone(),
    };
    let (real_git_dir, real_common) = (places.real(&git_dir)?, places.real(&common)?);
    if !real_git_dir.starts_with(real_common.join("worktrees")) {
        return None;
    }
    let main = common.parent()?.to_owned();
    places.exists(&main.join(".git")).then_some(main)
}

fn resolved(from: &Utf8Path, path: &str) -> Option<Utf8PathBuf> {
    (!path.is_empty()).then(|| lexically(&from.join(path)))
}

/// The path with `.` and `..` resolved by text and without trailing separators.
pub(crate) fn lexically(path: &Utf8Path) -> Utf8PathBuf {
    path.components().fold(Utf8PathBuf::new(), |mut out, part| {
        match part.as_str() {
            "." => {}
            ".." => drop(out.pop()),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn check_key(path: &str, expect: &str) {
        assert_eq!(key(path.into(), false), expect);
    }

    #[test]
    fn keys_equal_the_predecessors() {
        for path in ["/home/ana/work/shop-api", "/home/ana/work/shop-api/", "/home/ana/work/../work/shop-api"] {
            check_key(path, "shop-api-ccb63d3ec83c");
        }
        check_key("/srv/repos/My App (v2)", "My-App-v2-823cf43c554f");
        check_key("/", "project-8a5edab28263");
        check_key("/home/ana/---", "project-09fcf0ddf7f1");
        check_key(&format!("/home/ana/{}", "x".repeat(60)), &format!("{}-3278a6d3b269", "x".repeat(40)));
        check_key("/home/ana/naïve café", "na-ve-caf-01d8dd686101");
        check_key("/opt/.dotproj", ".dotproj-e55a327944ef");
        assert_eq!(key(r"C:\Users\Ana\Work\Shop-API".into(), true), "shop-api-f3e28481db20");
    }

    /// A disk of files by path; a text that ends in a slash is a directory.
    struct Disk(BTreeMap<Utf8PathBuf, &'static str>);

    impl Places for Disk {
        fn exists(&self, path: &Utf8Path) -> bool {
            self.0.keys().any(|known| known.starts_with(path))
        }

        fn is_dir(&self, path: &Utf8Path) -> bool {
            self.0.keys().any(|known| known.starts_with(path) && known != path)
        }

        fn text(&self, path: &Utf8Path) -> Option<String> {
            self.0.get(path).map(|text| (*text).to_owned())
        }

        fn real(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
            self.exists(path).then(|| path.to_owned())
        }
    }

    fn disk(files: &[(&str, &'static str)]) -> Disk {
        Disk(files.iter().map(|(path, text)| (Utf8PathBuf::from(path), *text)).collect())
    }

    const HOME: &str = "/h/.codex";

    #[track_caller]
    fn check_root(start: &str, files: &[&'static str], expect: Option<&str>) {
        let files: Vec<_> = files.iter().map(|path| (*path, "")).collect();
        let found = Project::of(start.into(), HOME.into(), &disk(&files)).map(|project| project.root);
        assert_eq!(found.as_deref().map(Utf8Path::as_str), expect);
    }

    #[test]
    fn the_nearest_git_wins_then_the_nearest_marker() {
        check_root("/h/a/b/c", &["/h/a/.git/HEAD", "/h/a/b/package.json"], Some("/h/a"));
        check_root("/h/a/b/c", &["/h/.git/HEAD", "/h/a/.git/HEAD"], Some("/h/a"));
        check_root("/h/a/b/c", &["/h/package.json", "/h/a/b/.codex/x"], Some("/h/a/b"));
        check_root("/h/a/./x/../b", &["/h/a/b/go.mod"], Some("/h/a/b"));
        check_root("/h/a/b", &["/x/.git/HEAD"], None);
        check_root("/h/a/b", &["/h/.codex/auth.json"], None);
    }

    const MAIN: (&str, &str) = ("/r/.git/HEAD", "ref");
    const POINTER: (&str, &str) = ("/wt/.git", "gitdir: /r/.git/worktrees/wt\n");
    const BACK: (&str, &str) = ("/r/.git/worktrees/wt/gitdir", "/wt/.git\n");
    const COMMON: (&str, &str) = ("/r/.git/worktrees/wt/commondir", "../..\n");

    #[track_caller]
    fn check_identity(files: &[(&str, &'static str)], start: &str, expect: &str) {
        let project = Project::of(start.into(), HOME.into(), &disk(files)).expect("a project");
        assert_eq!(project.identity_root, expect);
        assert_eq!(project.key(), project_key(expect.into()));
    }

    #[test]
    fn a_linked_worktree_is_its_repository() {
        check_identity(&[MAIN, POINTER, BACK, COMMON], "/wt/src", "/r");
        check_identity(&[MAIN, BACK, COMMON], "/r/src", "/r");
        check_identity(&[MAIN, ("/wt/.git", "GitDir:  ../r/.git/worktrees/wt"), BACK, COMMON], "/wt", "/r");
    }

    #[test]
    fn a_pointer_that_does_not_lead_back_proves_nothing() {
        let copied = ("/copy/.git", "gitdir: /r/.git/worktrees/wt\n");
        check_identity(&[MAIN, POINTER, BACK, COMMON, copied], "/copy", "/copy");
        check_identity(&[MAIN, POINTER, COMMON], "/wt", "/wt");
        check_identity(&[POINTER, BACK, ("/r/.git/worktrees/wt/commondir", "/elsewhere/.git")], "/wt", "/wt");
        let elsewhere = ("/other/.git/HEAD", "ref");
        let common = ("/r/.git/worktrees/wt/commondir", "/other/.git");
        check_identity(&[MAIN, POINTER, BACK, common, elsewhere], "/wt", "/wt");
        check_identity(&[("/wt/.git", "not a pointer"), BACK, COMMON], "/wt", "/wt");
        check_identity(&[MAIN, POINTER, BACK], "/wt", "/wt");
    }

    #[test]
    fn a_submodule_is_a_project_of_its_own() {
        let pointer = ("/r/sub/.git", "gitdir: ../.git/modules/sub");
        check_identity(&[MAIN, pointer, ("/r/.git/modules/sub/HEAD", "ref")], "/r/sub", "/r/sub");
    }

    #[test]
    fn only_a_worktree_had_another_key() {
        let all = disk(&[MAIN, POINTER, BACK, COMMON]);
        let key = |start: &str| Project::of(start.into(), HOME.into(), &all).expect("a project").worktree_key();
        assert_eq!((key("/wt"), key("/r")), (Some(project_key("/wt".into())), None));
    }
}
