//! Owns how a directory is shown: name, mode and size, without names of ours.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use serde_json::{Map, Value, json};

/// Names the predecessor does not know; `OPS.md` has them taken out of every listing.
const OURS: [&str; 6] = ["codex-auth.json", "journal", "oplog", "vault", "agent", "backups"];

/// The directory as `name -> {mode, size}`, or a tree in its place.
pub(crate) fn tree(dir: &Utf8Path) -> Result<Value, String> {
    let mut shown_by_name = Map::new();
    for (name, path) in entries(dir)? {
        let shown = if path.is_dir() {
            tree(&path)?
        } else {
            let seen = path.symlink_metadata().map_err(|error| error.to_string())?;
            json!({ "mode": mode(&path)?, "size": seen.len() })
        };
        shown_by_name.insert(name, shown);
    }
    Ok(Value::Object(shown_by_name))
}

/// The names in a directory, sorted.
pub(crate) fn names(dir: &Utf8Path) -> Result<Vec<String>, String> {
    Ok(entries(dir)?.into_iter().map(|(name, _)| name).collect())
}

/// The mode in octal, as it would be under the umask of the recordings.
pub(crate) fn mode(path: &Utf8Path) -> Result<String, String> {
    let seen = path.metadata().map_err(|error| error.to_string())?;
    let mode = seen.permissions().mode() & 0o777;
    let usual = usual_mode()?;
    Ok(format!("{:o}", if mode == usual { 0o644 } else { mode }))
}

/// The mode of a file made by a program that does not care.
fn usual_mode() -> Result<u32, String> {
    let probe = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = probe.path().join("probe");
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let seen = file.and_then(|file| file.metadata()).map_err(|error| error.to_string())?;
    Ok(seen.permissions().mode() & 0o777)
}

fn entries(dir: &Utf8Path) -> Result<Vec<(String, camino::Utf8PathBuf)>, String> {
    let mut entries = Vec::new();
    for entry in dir.read_dir_utf8().map_err(|error| format!("read {dir}: {error}"))? {
        let entry = entry.map_err(|error| error.to_string())?;
        entries.push((entry.file_name().to_owned(), entry.into_path()));
    }
    entries.retain(|(name, _)| !OURS.contains(&name.as_str()));
    entries.sort();
    Ok(entries)
}
