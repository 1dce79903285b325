//! The system tools that end-to-end tests stand on: namespaces (`ip`, `unshare`, `nsenter`), terminals (`tmux`), small
//! disks (`mount`), and a browser (`chromium`) with letters to show.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child;

/// How long the packages may take to come: the browser and what it needs are some 300 megabytes.
const LIMIT: Duration = Duration::from_mins(10);

/// A tool, or a file by its whole path, and the Debian package that brings it.
const TOOLS: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("tmux", "tmux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("valgrind", "valgrind"),
    ("chromium", "chromium"),
    // Without any font a page is a row of empty boxes.
    ("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "fonts-dejavu-core"),
];

/// Installs what is missing where that is possible, and otherwise says what to install.
pub(crate) fn system_tools() -> Result<String, String> {
    let missing = missing_packages(is_there);
    if missing.is_empty() {
        return Ok("all present".to_owned());
    }
    let install = format!("apt-get install -y --no-install-recommends {}", missing.join(" "));
    if !rustix::process::geteuid().is_root() {
        return Err(format!("tools are missing and we are not root: run `{install}` first"));
    }
    if !is_on_path("apt-get") {
        return Err(format!("tools are missing and there is no apt-get: install {} first", missing.join(" ")));
    }
    apt_get(&["update"])?;
    let mut args = vec!["install", "-y", "--no-install-recommends"];
    args.extend(&missing);
    apt_get(&args)?;
    Ok(format!("installed {}", missing.join(", ")))
}

fn apt_get(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30"]).args(args);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    child::succeed(&mut command, LIMIT).map_err(|e| e.to_string())
}

fn missing_packages(present: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut missing: Vec<&str> = TOOLS.iter().filter(|(tool, _)| !present(tool)).map(|&(_, package)| package).collect();
    missing.dedup();
    missing
}

fn is_there(tool: &str) -> bool {
    if tool.starts_with('/') { Path::new(tool).is_file() } else { is_on_path(tool) }
}

fn is_on_path(tool: &str) -> bool {
    // `ip` lives in a directory that a plain user's PATH often lacks.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .any(|dir| dir.join(tool).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_named_once() {
        let all = ["iproute2", "tmux", "util-linux", "mount", "valgrind", "chromium", "fonts-dejavu-core"];
        assert_eq!(missing_packages(|_| false), all);
        assert_eq!(missing_packages(|tool| tool != "tmux"), ["tmux"]);
        assert!(missing_packages(|_| true).is_empty());
    }
}
