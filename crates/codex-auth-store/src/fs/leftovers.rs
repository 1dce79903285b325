//! Owns removing what a crash left beside the files: half-written temp files may hold tokens.

use std::time::Duration;

use camino::Utf8Path;
use codex_auth_core::Timestamp;

use super::{Fs, os};

/// No write takes so long; a temp file of this age has lost its writer.
const ABANDONED: Duration = Duration::from_mins(10);

/// Removes abandoned temp files of `dir`, as far as that works: the next writer comes here again.
pub(crate) fn sweep(fs: &dyn Fs, dir: &Utf8Path, now: Timestamp) {
    for name in os::names_in(dir).unwrap_or_default() {
        let path = dir.join(&name);
        let is_abandoned = || {
            let written_at = os::modified_millis(&path).map(Timestamp::from_millis);
            written_at.is_some_and(|written_at| now.since(written_at) >= ABANDONED)
        };
        if is_temp(&name) && is_abandoned() {
            let _ = fs.remove(&path);
        }
    }
}

/// Whether a name is `<target>.<pid>.<ms>.<8 hex>.tmp`.
fn is_temp(name: &str) -> bool {
    let Some(name) = name.strip_suffix(".tmp") else { return false };
    let mut parts = name.rsplitn(4, '.');
    let (Some(chance), Some(millis), Some(pid), Some(_)) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    chance.len() == 8 && chance.bytes().all(|byte| byte.is_ascii_hexdigit()) && is_number(millis) && is_number(pid)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::{OsFs, Write};

    #[track_caller]
    fn check(name: &str, expect: bool) {
        assert_eq!(is_temp(name), expect);
    }

    #[test]
    fn only_names_of_this_spelling_are_ours_to_remove() {
        check("openai-codex-accounts.json.12.1790000000000.0a1b2c3d.tmp", true);
        check("openai-codex-accounts.json.tmp", false);
        check("openai-codex-accounts.json.bak.rotate.1.latest.tmp", false);
        check("notes.1.2.tmp", false);
    }

    #[test]
    fn a_fresh_one_belongs_to_a_writer() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("text");
        OsFs.make_dir(&dir).expect("made");
        let temp = dir.join("x.json.12.1790000000000.0a1b2c3d.tmp");
        OsFs.write(&temp, b"x", Write::New).expect("written");
        let written_at = Timestamp::from_millis(os::modified_millis(&temp).expect("there"));
        sweep(&OsFs, &dir, written_at.after(Duration::from_secs(599)));
        assert!(temp.exists());
        sweep(&OsFs, &dir, written_at.after(ABANDONED));
        assert!(!temp.exists());
    }
}
