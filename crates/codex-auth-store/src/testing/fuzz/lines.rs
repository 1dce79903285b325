//! Owns what must hold for journals, logs and pointers: half of one is none, and nothing it says leads astray.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::Timestamp;

use super::NOW;
use crate::{
    document::{Codec as _, v3::V3},
    hash::sha256_hex,
    json, oplog,
    project::{Places, Project, project_key},
    recovery::copies,
    transaction::wire,
};

/// One line of the log of changes.
pub(super) fn oplog(bytes: &[u8]) {
    let Some(logged) = oplog::parse(bytes) else { return };
    assert!(!logged.command.is_empty() && logged.at <= Timestamp::from_millis(i64::MAX));
    if let Some(aside) = &logged.aside {
        let said = aside.to_json();
        let again = said.as_object().and_then(oplog::Aside::of_json);
        assert_eq!(again.as_ref(), Some(aside), "written anew it says the same");
    }
}

/// A change of several files.
pub(super) fn change_journal(bytes: &[u8]) {
    let Some(steps) = wire::decode(bytes) else { return };
    let again = wire::encode(&steps);
    assert_eq!(wire::decode(&again), Some(steps), "written anew it says the same");
    let half = &again[..again.len() - 1];
    assert!(wire::decode(half).is_none(), "half of one is none");
}

/// The predecessor's save that was stopped.
pub(super) fn predecessors_journal(bytes: &[u8]) {
    let path = Utf8Path::new("openai-codex-accounts.json.wal");
    let Some(content) = copies::content_of_journal(path, bytes) else { return };
    let journal = json::parse_object(path, bytes, "").expect("it was parsed before");
    assert_eq!(json::text(&journal, "checksum"), Some(sha256_hex(&content).as_str()), "only what is whole counts");
}

/// What is whole in a broken document.
pub(super) fn salvage(bytes: &[u8]) {
    let rows = copies::salvaged(bytes);
    if rows.is_empty() {
        return;
    }
    assert!(rows.iter().all(serde_json::Value::is_object));
    let document = V3.of_rows(rows.clone());
    let pool = V3.decode(&document, NOW);
    assert!(pool.accounts.len() <= rows.len(), "no account comes from nowhere");
    assert_eq!(copies::salvaged(&json::pretty(&document)), rows, "what is whole is salvaged whole");
}

/// A disk of four files.
struct Disk(BTreeMap<Utf8PathBuf, String>);

impl Places for Disk {
    fn exists(&self, path: &Utf8Path) -> bool {
        self.0.keys().any(|known| known.starts_with(path))
    }

    fn is_dir(&self, path: &Utf8Path) -> bool {
        self.0.keys().any(|known| known.starts_with(path) && known != path)
    }

    fn text(&self, path: &Utf8Path) -> Option<String> {
        self.0.get(path).cloned()
    }

    fn real(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        self.exists(path).then(|| path.to_owned())
    }
}

/// The pointers of a worktree: the `.git` file, the way back and the common directory, with empty lines between.
pub(super) fn project_pointer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\n\n");
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (pointer, back, common) = (part(), part(), part());
    let files = [
        ("/r/.git/HEAD", "ref".to_owned()),
        ("/wt/.git", pointer),
        ("/r/.git/worktrees/wt/gitdir", back),
        ("/r/.git/worktrees/wt/commondir", common),
    ];
    let disk = Disk(files.into_iter().map(|(path, text)| (path.into(), text)).collect());
    let project = Project::of(Utf8Path::new("/wt/src"), Utf8Path::new("/h/.codex"), &disk).expect("it has a `.git`");
    assert_eq!(project.root, "/wt");
    let roots = ["/wt", "/r"];
    assert!(roots.contains(&project.identity_root.as_str()), "a pointer led to {}", project.identity_root);
    for key in [project.key(), project_key(Utf8Path::new(&*text))] {
        assert!(!key.contains(['/', '\\', '\0']) && !key.starts_with('-'), "{key:?} is no name of a directory");
    }
}
