//! Owns where the official client keeps its login, as its `config.toml` says. Read only.

use camino::Utf8Path;
use codex_auth_core::StoreError;
use toml_edit::Document;

use super::write::LoginError;
use crate::fs::{Fs, read_optional};

/// Refuses a home whose client does not read `auth.json`. `file`, `auto` and a missing key do.
pub(super) fn refuse_other_stores(fs: &dyn Fs, codex_home: &Utf8Path) -> Result<(), LoginError> {
    let path = codex_home.join("config.toml");
    read_optional(fs, &path)?.map_or(Ok(()), |bytes| refuse_other_store(&path, &bytes))
}

/// The same for the content of the file at `path`.
pub(crate) fn refuse_other_store(path: &Utf8Path, bytes: &[u8]) -> Result<(), LoginError> {
    let unusable = |why: &str| StoreError::Unreadable { path: path.to_string(), why: why.to_owned() };
    let text = std::str::from_utf8(bytes).map_err(|_| unusable("it is not text"))?;
    let config = Document::parse(text).map_err(|_| unusable("it is not TOML; mend it first"))?;
    match config.get("cli_auth_credentials_store").and_then(|item| item.as_str()) {
        Some(store @ ("keyring" | "ephemeral")) => {
            Err(LoginError::KeptElsewhere { path: path.to_string(), store: store.to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::{OsFs, Write};

    #[track_caller]
    fn check(config: &str, expect: &str) {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("text");
        OsFs.write(&home.join("config.toml"), config.as_bytes(), Write::New).expect("written");
        let said = match refuse_other_stores(&OsFs, &home) {
            Ok(()) => "file".to_owned(),
            Err(LoginError::KeptElsewhere { store, .. }) => store,
            Err(error) => error.to_string().replace(home.as_str(), ""),
        };
        assert_eq!(said, expect);
    }

    #[test]
    fn only_the_top_level_key_counts() {
        check("", "file");
        check("cli_auth_credentials_store = 'file'\n", "file");
        check("cli_auth_credentials_store = \"keyring\"\n", "keyring");
        check("cli_auth_credentials_store = \"ephemeral\" # for now\n", "ephemeral");
        check("[profiles.x]\ncli_auth_credentials_store = \"keyring\"\n", "file");
        check("x = [", "/config.toml cannot be used: it is not TOML; mend it first");
    }
}
