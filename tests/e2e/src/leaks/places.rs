//! Where a secret may lie on the disk: the stores, each with its reason. Everywhere else it has leaked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Secrets;
use crate::scan::files_below;

/// Files that are there to hold secrets.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// The end of the path of its directory; empty for any.
    dir: &'static str,
    /// How its name begins.
    name: &'static str,
    /// Why it holds them.
    pub why: &'static str,
}

const fn store(dir: &'static str, name: &'static str, why: &'static str) -> Store {
    Store { dir, name, why }
}

/// Every store, as SECURITY.md lists them. A new one needs a row and a reason.
pub const STORES: &[Store] = &[
    store("", "auth.json", "the official client's login"),
    store("", "openai-codex-accounts.json", "the pool and its copies"),
    store("", "codex-auth.json", "what the pool's format has no room for: id tokens"),
    store("history", "accounts-", "the pool at earlier times"),
    store("journal", "refresh-", "a renewal under way"),
    store("kept", "refresh-", "the newest credential of an account"),
    store("journal", "change.bin", "a change under way"),
    store("quarantine", "", "the bytes of a broken file"),
    store("backups", "", "the accounts under a name"),
    store("agent", "agent.json", "the agent's own token"),
    store("exports", "", "what a person exported"),
];

/// The store a file belongs to.
#[must_use]
pub fn store_of(file: &Path) -> Option<&'static Store> {
    let name = file.file_name()?.to_str()?;
    let dir = file.parent()?;
    STORES.iter().find(|store| name.starts_with(store.name) && (store.dir.is_empty() || dir.ends_with(store.dir)))
}

/// Secrets in files below `dir` that are no stores, and stores that others may read. `beyond` is not looked at.
#[must_use]
pub fn leaks_in_files(secrets: &Secrets, dir: &Path, beyond: &[&Path]) -> Vec<String> {
    let mut leaks = Vec::new();
    for file in files_below(dir).into_iter().filter(|file| beyond.iter().all(|path| !file.starts_with(path))) {
        // A file may vanish while a process tidies up after itself.
        let Ok(meta) = fs::metadata(&file) else { continue };
        if store_of(&file).is_some() {
            if meta.permissions().mode() & 0o077 != 0 {
                leaks.push(format!("others may read {}", file.display()));
            }
            continue;
        }
        let Ok(bytes) = fs::read(&file) else { continue };
        let place = |what: String| format!("{what}, stands in {}", file.display());
        leaks.extend(secrets.hits(&bytes).into_iter().map(place));
        leaks.extend(
            secrets
                .hits(file.as_os_str().as_encoded_bytes())
                .into_iter()
                .map(|what| format!("{what}, is part of a file's name")),
        );
    }
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_may_lie_in_a_private_store_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let secret = "CANARY-0123456789abcdef";
        let mut secrets = Secrets::default();
        secrets.add("token", secret);
        let put = |name: &str, mode: u32| {
            fs::write(dir.path().join(name), secret).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let count = || leaks_in_files(&secrets, dir.path(), &[]).len();
        put("openai-codex-accounts.json.bak", 0o600);
        assert_eq!(count(), 0);
        put("openai-codex-accounts.json", 0o640);
        assert_eq!(count(), 1, "others may read it");
        fs::remove_file(dir.path().join("openai-codex-accounts.json")).unwrap();
        put("agent.log", 0o600);
        assert!(count() > 0, "a log is no store");
    }
}
