//! Owns where the bytes of a broken file go, so that mending the file never loses them.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{StoreError, Timestamp};

use super::{Fs, Write, io_error, os};

/// Copies kept of one file; the oldest goes first.
const KEPT: usize = 5;
const SUFFIX: &str = ".quarantine.json";

/// Keeps the broken `bytes` of `path` in `dir` as `<name>.<milliseconds>.quarantine.json` and returns where.
///
/// The file itself is left standing: the caller replaces or removes it once the copy is durable. Older copies beyond
/// the newest five are removed, as far as that works.
pub(crate) fn quarantine(
    fs: &dyn Fs,
    dir: &Utf8Path,
    path: &Utf8Path,
    bytes: &[u8],
    now: Timestamp,
) -> Result<Utf8PathBuf, StoreError> {
    let name = path.file_name().unwrap_or("unnamed");
    fs.make_dir(dir).map_err(|error| io_error("create", dir, &error))?;
    let taken = stamps_of(dir, name);
    let mut stamp = now.as_millis();
    while taken.contains(&stamp) {
        stamp += 1;
    }
    let copy = copy_of(dir, name, stamp);
    fs.write(&copy, bytes, Write::New).map_err(|error| io_error("write", &copy, &error))?;
    fs.sync_dir(dir).map_err(|error| io_error("sync", dir, &error))?;
    for old in taken.iter().take((taken.len() + 1).saturating_sub(KEPT)) {
        let _ = fs.remove(&copy_of(dir, name, *old));
    }
    Ok(copy)
}

fn copy_of(dir: &Utf8Path, name: &str, stamp: i64) -> Utf8PathBuf {
    dir.join(format!("{name}.{stamp}{SUFFIX}"))
}

/// When the copies of `name` were made, oldest first.
fn stamps_of(dir: &Utf8Path, name: &str) -> Vec<i64> {
    let stamp = |file: &str| file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(SUFFIX)?.parse().ok();
    let mut stamps: Vec<i64> = os::names_in(dir).unwrap_or_default().iter().filter_map(|file| stamp(file)).collect();
    stamps.sort_unstable();
    stamps
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::OsFs;

    #[test]
    fn the_newest_five_stay_and_all_are_private() {
        let root = tempfile::tempdir().expect("a directory");
        let root = Utf8PathBuf::from_path_buf(root.path().to_owned()).expect("text");
        let (dir, path) = (root.join("quarantine"), root.join("x.json"));
        let put = |at: i64| {
            quarantine(&OsFs, &dir, &path, at.to_string().as_bytes(), Timestamp::from_millis(at)).expect("kept")
        };
        let kept: Vec<_> = [1, 2, 3, 4, 5, 6, 6].into_iter().map(put).collect();
        assert_eq!(stamps_of(&dir, "x.json"), [3, 4, 5, 6, 7], "two at one instant get two names");
        assert_eq!(kept[5], dir.join("x.json.6.quarantine.json"));
        let mode = |path: &Utf8Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&kept[6])), (0o700, 0o600));
    }
}
