//! Owns how a file full of secrets is written: 0600 from creation, in a directory of 0700.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {path}")]
pub struct WriteError {
    verb: &'static str,
    path: Utf8PathBuf,
    #[source]
    source: io::Error,
}

/// Writes a document as `dir/name`, 0600 from creation in a directory of 0700.
pub(crate) fn write_private(dir: &Utf8Path, name: &str, document: &Value) -> Result<Utf8PathBuf, WriteError> {
    let failed = |verb, path: &Utf8Path| {
        let path = path.to_owned();
        move |source| WriteError { verb, path, source }
    };
    let path = dir.join(name);
    create_dir(dir).map_err(failed("create", dir))?;
    // Numbers and strings in maps of string keys: nothing here can fail to be JSON.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    create_file(&path, text.as_bytes()).map_err(failed("write", &path))?;
    Ok(path)
}

#[cfg(unix)]
fn create_dir(dir: &Utf8Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_dir(dir: &Utf8Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)
}

fn create_file(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(bytes)
}
