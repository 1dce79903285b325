//! What stands on the disk of a world: where it is, how tests read it and change it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use codex_auth_testkit::{LoginKnobs, PoolKnobs, Who};
use serde_json::{Value, json};

use super::{CODEX_HOME, ROOT, World};
use crate::namespace::Process;
use crate::scan;

impl World {
    /// `CODEX_HOME`.
    #[must_use]
    pub fn codex_home(&self) -> PathBuf {
        self.dir.path().join(CODEX_HOME)
    }

    /// Our own directory below `CODEX_HOME`.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join(ROOT)
    }

    /// The working directory of every command, trusted by the quiet config.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// Any other place of this world.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// `auth.json` of the official client.
    #[must_use]
    pub fn login_file(&self) -> PathBuf {
        self.codex_home().join("auth.json")
    }

    /// Writes our settings file.
    pub fn settings(&self, plugin_config: &Value) {
        let text = json!({ "version": 1, "pluginConfig": plugin_config });
        fs::write(self.root().join("settings.json"), text.to_string()).expect("our own root is writable");
    }

    /// Writes a login of the fake into `auth.json`, as the official client leaves it after a sign-in.
    pub fn log_in(&self, who: Who, knobs: &LoginKnobs) {
        self.write_private(&self.login_file(), &self.fake.login(who, knobs).to_string());
    }

    /// Replaces the pool by one with something the matter.
    pub fn write_pool(&self, knobs: &PoolKnobs) {
        self.write_private(&self.pool_file(), &self.fake.pool(knobs).to_string());
    }

    /// Changes the pool on disk as a person or another program does: by writing the file anew.
    pub fn edit_pool(&self, edit: impl FnOnce(&mut Value)) {
        let mut pool = self.pool();
        edit(&mut pool);
        self.write_private(&self.pool_file(), &pool.to_string());
    }

    /// Writes a file only its owner may read.
    pub fn write_private(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("our own home is writable");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file is ours");
    }

    /// The accounts file.
    #[must_use]
    pub fn pool_file(&self) -> PathBuf {
        self.root().join("openai-codex-accounts.json")
    }

    /// The pool as it stands on disk.
    #[must_use]
    pub fn pool(&self) -> Value {
        read_json(&self.pool_file())
    }

    /// One account of the pool on disk, by its number.
    #[must_use]
    pub fn account(&self, number: usize) -> Value {
        self.pool()["accounts"][number - 1].clone()
    }

    /// `auth.json` as it stands on disk.
    #[must_use]
    pub fn login(&self) -> Value {
        read_json(&self.login_file())
    }

    /// What the running agent says about itself in `agent.json`.
    #[must_use]
    pub fn agent(&self) -> Value {
        read_json(&self.root().join("agent/agent.json"))
    }

    /// The running agent as a process.
    #[track_caller]
    #[must_use]
    pub fn agent_process(&self) -> Process {
        let pid = self.agent()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.and_then(Process::read).expect("agent.json names a living process")
    }

    /// Every file of `CODEX_HOME` outside our own directory and the client's scratch, by its path below it.
    #[must_use]
    pub fn codex_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let home = self.codex_home();
        let files = scan::files_below(&home)
            .into_iter()
            .filter(|file| !file.starts_with(self.root()) && !file.starts_with(home.join("tmp")));
        let read = |file: PathBuf| Some((file.strip_prefix(&home).ok()?.to_path_buf(), fs::read(&file).ok()?));
        files.filter_map(read).collect()
    }
}

#[track_caller]
fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()))
}
