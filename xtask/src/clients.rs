//! The pinned official client: unpacked once from the committed lock file, then only checked.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{self, Echo};
use crate::workspace::Workspace;

const LOCK: &str = "package-lock.json";
const STAMP: &str = "installed-lock.json";

/// Where the unpacked client is.
pub(crate) struct Clients {
    /// The native program of this platform.
    pub(crate) native: PathBuf,
    /// The launcher that npm puts on a person's PATH.
    pub(crate) launcher: PathBuf,
}

impl fmt::Display for Clients {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "codex (native)  {}", self.native.display())?;
        write!(out, "codex (npm)     {}", self.launcher.display())
    }
}

/// Unpacks the clients unless the ones present came from exactly this lock file.
pub(crate) fn provision(workspace: &Workspace) -> Result<Clients, String> {
    let wanted = workspace.root.join("tests/clients");
    let lock = read(&wanted.join(LOCK))?;
    let home = workspace.cache.join("clients");
    let clients = locate(&home)?;
    let stamp = fs::read_to_string(home.join(STAMP)).unwrap_or_default();
    if stamp == lock && clients.native.is_file() && clients.launcher.exists() {
        return Ok(clients);
    }
    install(&wanted, &home)?;
    check_version(&clients, &lock)?;
    fs::write(home.join(STAMP), &lock).map_err(|e| format!("write {}: {e}", home.join(STAMP).display()))?;
    Ok(clients)
}

/// Installs beside the old directory and swaps at the end: an interrupted run leaves no half-unpacked client.
fn install(wanted: &Path, home: &Path) -> Result<(), String> {
    let fresh = home.with_extension(format!("new-{}", std::process::id()));
    let io = |verb: &str, path: &Path, e: std::io::Error| format!("{verb} {}: {e}", path.display());
    fs::create_dir_all(&fresh).map_err(|e| io("create", &fresh, e))?;
    for name in ["package.json", LOCK] {
        fs::copy(wanted.join(name), fresh.join(name)).map_err(|e| io("copy", &fresh.join(name), e))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=2", "--fetch-timeout=120000"]);
    npm.current_dir(&fresh).env("npm_config_update_notifier", "false");
    let installed = child::succeed(&mut npm, Duration::from_mins(7));
    if let Err(error) = installed {
        let _ = fs::remove_dir_all(&fresh);
        return Err(format!("the official client could not be fetched from the npm registry: {error}"));
    }
    if home.exists() {
        fs::remove_dir_all(home).map_err(|e| io("remove", home, e))?;
    }
    fs::rename(&fresh, home).map_err(|e| io("rename", &fresh, e))
}

/// Asks the unpacked program for its version, with an empty home of its own.
fn check_version(clients: &Clients, lock: &str) -> Result<(), String> {
    let pinned = pinned_version(lock).ok_or("tests/clients/package-lock.json does not pin @openai/codex")?;
    let home = std::env::temp_dir().join(format!("codex-auth-clients-{}", std::process::id()));
    fs::create_dir_all(&home).map_err(|e| format!("create {}: {e}", home.display()))?;
    let mut ask = Command::new(&clients.native);
    ask.arg("--version").env_clear().env("HOME", &home).env("CODEX_HOME", &home);
    let answer = child::capture(&mut ask, Duration::from_secs(30), Echo::Silent).map_err(|e| e.to_string());
    let _ = fs::remove_dir_all(&home);
    let answer = answer?;
    if answer.trim() == format!("codex-cli {pinned}") {
        return Ok(());
    }
    Err(format!("the unpacked client says `{}`, the lock file pins {pinned}", answer.trim()))
}

fn pinned_version(lock: &str) -> Option<String> {
    let lock: serde_json::Value = serde_json::from_str(lock).ok()?;
    Some(lock["packages"]["node_modules/@openai/codex"]["version"].as_str()?.to_owned())
}

fn locate(home: &Path) -> Result<Clients, String> {
    let (package, triple) = platform(std::env::consts::OS, std::env::consts::ARCH)
        .ok_or_else(|| format!("no official client for {} {}", std::env::consts::OS, std::env::consts::ARCH))?;
    let modules = home.join("node_modules");
    let native = modules.join("@openai").join(package).join("vendor").join(triple).join("bin/codex");
    Ok(Clients { native, launcher: modules.join(".bin/codex") })
}

/// The npm package of a platform and the directory inside it, as the published packages name them.
fn platform(os: &str, arch: &str) -> Option<(&'static str, &'static str)> {
    match (os, arch) {
        ("linux", "x86_64") => Some(("codex-linux-x64", "x86_64-unknown-linux-musl")),
        ("linux", "aarch64") => Some(("codex-linux-arm64", "aarch64-unknown-linux-musl")),
        ("macos", "x86_64") => Some(("codex-darwin-x64", "x86_64-apple-darwin")),
        ("macos", "aarch64") => Some(("codex-darwin-arm64", "aarch64-apple-darwin")),
        _ => None,
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("read {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_lock_pins_one_version_and_no_host() {
        let lock = include_str!("../../tests/clients/package-lock.json");
        assert_eq!(pinned_version(lock).as_deref(), Some("0.169.0"));
        assert!(!lock.contains("\"resolved\""), "a resolved address ties the lock to one registry host");
    }

    #[test]
    fn an_unknown_platform_has_no_client() {
        assert_eq!(platform("linux", "riscv64"), None);
        assert!(platform("linux", "aarch64").is_some());
    }
}
