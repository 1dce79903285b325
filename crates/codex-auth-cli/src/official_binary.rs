//! Where the official client is. Never ourselves, under whatever name we were installed.

use std::{
    ffi::OsStr,
    fs::Metadata,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use codex_auth_core::Kind;

use crate::{environment::Environment, error::CliError};

/// Names the variable that points at the official client.
pub(crate) const REAL_BINARY: &str = "CODEX_MULTI_AUTH_REAL_CODEX_BIN";

/// Finds the official client: the variable first, then `PATH`. `own` is this executable.
pub(crate) fn find(environment: &Environment, own: &Path) -> Result<PathBuf, CliError> {
    if let Some(named) = environment.raw(REAL_BINARY) {
        let path = PathBuf::from(named);
        return match std::fs::metadata(&path) {
            Ok(found) if is_same(&found, own) => Err(CliError::new(
                Kind::Usage,
                "no_official_client",
                format!("{REAL_BINARY} points at codex-multi-auth itself: {}", path.display()),
            )
            .hint("Let it name the official codex, or remove it.")),
            Ok(_) => Ok(path),
            Err(_) => Err(CliError::new(
                Kind::Usage,
                "no_official_client",
                format!("{REAL_BINARY} is set but missing: {}", path.display()),
            )),
        };
    }
    let mut only_ourselves = false;
    for directory in std::env::split_paths(environment.raw("PATH").unwrap_or(OsStr::new(""))) {
        let candidate = directory.join("codex");
        let Ok(found) = std::fs::metadata(&candidate) else { continue };
        if !is_executable(&found) {
            continue;
        }
        if is_same(&found, own) {
            only_ourselves = true;
            continue;
        }
        return Ok(candidate);
    }
    let message = if only_ourselves {
        "Could not locate the official Codex CLI: the only `codex` on PATH is codex-multi-auth itself."
    } else {
        "Could not locate the official Codex CLI."
    };
    Err(CliError::new(Kind::Usage, "no_official_client", message)
        .hint(format!("Install it with `npm install -g @openai/codex`, or set {REAL_BINARY} to its path.")))
}

/// Whether a shell would start it.
pub(crate) fn is_executable(found: &Metadata) -> bool {
    found.is_file() && found.permissions().mode() & 0o111 != 0
}

/// Whether both are one file on disk, also through links.
pub(crate) fn is_same(found: &Metadata, own: &Path) -> bool {
    std::fs::metadata(own).is_ok_and(|own| own.dev() == found.dev() && own.ino() == found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(directory: &Path) -> PathBuf {
        let path = directory.join("codex");
        let made = std::process::Command::new("touch").arg(&path).status().expect("touch runs");
        assert!(made.success());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode is set");
        path
    }

    #[test]
    fn passes_over_itself_under_another_name() {
        let (ours, theirs) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let own = executable(ours.path());
        let official = executable(theirs.path());
        let both = format!("{}:{}", ours.path().display(), theirs.path().display());
        let found = find(&Environment::from([("PATH", both.as_str())]), &own);
        assert_eq!(found, Ok(official));
        let alone = find(&Environment::from([("PATH", ours.path().to_str().expect("text"))]), &own);
        assert!(alone.expect_err("nobody else is there").message.contains("itself"));
    }

    #[test]
    fn a_missing_named_binary_stops_the_search() {
        let error = find(&Environment::from([(REAL_BINARY, "/nowhere/codex")]), Path::new("/own"));
        assert_eq!(error.expect_err("missing").message, format!("{REAL_BINARY} is set but missing: /nowhere/codex"));
    }
}
