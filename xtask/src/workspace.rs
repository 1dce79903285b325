//! Where the workspace, its build output and its cache are, and what cargo knows about its crates.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::child::{self, Echo};

/// The paths every step shares.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Downloads that survive `cargo clean` when `CODEX_AUTH_CACHE` points elsewhere.
    pub(crate) cache: PathBuf,
    metadata: Value,
}

impl Workspace {
    /// Asks cargo from the directory of this crate, so that it works from any current directory.
    pub(crate) fn find() -> Result<Self, String> {
        Self::ask(Path::new(env!("CARGO_MANIFEST_DIR")), None)
    }

    /// Another copy of the workspace, building into `target`.
    pub(crate) fn of(root: &Path, target: &Path) -> Result<Self, String> {
        Self::ask(root, Some(target))
    }

    fn ask(dir: &Path, target: Option<&Path>) -> Result<Self, String> {
        let mut ask = Command::new(cargo());
        ask.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(dir);
        ask.envs(target.map(|target| ("CARGO_TARGET_DIR", target)));
        let answer = child::capture(&mut ask, Duration::from_mins(2), Echo::Silent).map_err(|e| e.to_string())?;
        let metadata: Value = serde_json::from_str(&answer).map_err(|e| format!("cargo metadata: {e}"))?;
        let path = |key: &str| metadata[key].as_str().map(PathBuf::from).ok_or(format!("cargo metadata lacks {key}"));
        let (root, target) = (path("workspace_root")?, path("target_directory")?);
        let cache = env::var_os("CODEX_AUTH_CACHE").map_or_else(|| target.join("cache"), PathBuf::from);
        Ok(Self { root, target, cache, metadata })
    }

    /// The members as `cargo metadata` lists them.
    pub(crate) fn packages(&self) -> &[Value] {
        self.metadata["packages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The name of the member whose manifest this is.
    pub(crate) fn package_of(&self, manifest: &str) -> Option<&str> {
        self.packages().iter().find(|p| p["manifest_path"] == manifest).and_then(|p| p["name"].as_str())
    }

    /// The member of this name, or the one with a test target of this name.
    pub(crate) fn package_with(&self, place: &str) -> Option<&str> {
        let is_test = |target: &Value| target["name"] == place && target["kind"][0] == "test";
        let has_test = |p: &&Value| p["targets"].as_array().into_iter().flatten().any(is_test);
        let named = self.packages().iter().find(|p| p["name"] == place);
        named.or_else(|| self.packages().iter().find(has_test))?["name"].as_str()
    }

    /// A command started in the workspace's root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo, in the workspace's root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command(&cargo());
        command.args(args).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Every file git tracks or would track, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, String> {
        let mut files = self.git_paths(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        files.retain(|file| self.root.join(file).is_file());
        Ok(files)
    }

    /// The paths a git listing names, separated by NUL.
    pub(crate) fn git_paths(&self, args: &[&str]) -> Result<Vec<PathBuf>, String> {
        let mut git = self.command("git");
        let list = child::capture(git.args(args), Duration::from_mins(1), Echo::Silent).map_err(|e| e.to_string())?;
        let names = list.trim_end().split('\0').filter(|name| !name.is_empty());
        Ok(names.map(PathBuf::from).collect())
    }

    /// `path` as seen from the root.
    pub(crate) fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The cargo that started us, so that a toolchain override holds for every step.
fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
