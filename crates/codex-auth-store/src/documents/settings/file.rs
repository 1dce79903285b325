//! Owns where settings are kept: `settings.json`, and the older files that count while it has no such section.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{StoreError, Timestamp};
use serde_json::Value;

use super::Settings;
use crate::{
    fs::{Fs, os::OsFs, read_optional},
    json::{self, Object},
    state_file::{Edited, Found, StateFile},
};

const OLDER: [&str; 2] = ["codex-multi-auth-config.json", "openai-codex-auth-config.json"];
const REMEDY: &str = "mend it or move it away";

/// The settings on disk.
#[derive(Debug, Clone)]
pub struct SettingsFile {
    file: StateFile<Settings>,
    /// Older files of the first section, in the order they are asked.
    plugin: Vec<Utf8PathBuf>,
    /// The older file of the second.
    dashboard: Utf8PathBuf,
    fs: Arc<dyn Fs>,
}

impl SettingsFile {
    /// The settings under this root; older files are looked for there and in the official client's home.
    pub fn of(root: &Utf8Path, codex_home: &Utf8Path) -> Self {
        let older = OLDER.into_iter().map(|name| codex_home.join(name));
        Self {
            file: StateFile::under(root),
            plugin: [root.join("config.json")].into_iter().chain(older).collect(),
            dashboard: root.join("dashboard-settings.json"),
            fs: Arc::new(OsFs),
        }
    }

    /// Looks for older files in this home, too, where the official client has another one.
    #[must_use]
    pub fn with_home(mut self, default_codex_home: &Utf8Path) -> Self {
        let also = OLDER.map(|name| default_codex_home.join(name));
        self.plugin.extend(also.into_iter().filter(|path| !self.plugin.contains(path)).collect::<Vec<_>>());
        // Both homes' newer names come before both homes' older ones.
        self.plugin.sort_by_key(|path| path.file_name() == Some(OLDER[1]));
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        self.file.path()
    }

    /// What is set now. An older file stands in for a section that is not there, and the note says so.
    pub fn read(&self) -> Result<Found<Settings>, StoreError> {
        let mut found = self.file.read()?;
        for path in self.complete(&mut found.document)? {
            let note = format!("{path} still counts; the next change moves it into {}", self.path());
            found.note = Some(found.note.map_or_else(|| note.clone(), |known| format!("{known}; {note}")));
        }
        Ok(found)
    }

    /// Changes what is set, moving what an older file says into this one. The older file is left where it is.
    pub fn edit<T>(&self, now: Timestamp, change: impl FnOnce(&mut Settings) -> T) -> Result<Edited<T>, StoreError> {
        let mut older = Settings::default();
        self.complete(&mut older)?;
        self.file.edit(now, |settings| {
            let before = settings.clone();
            let mut wanted = Settings {
                plugin: before.plugin.clone().or(older.plugin),
                dashboard: before.dashboard.clone().or(older.dashboard),
            };
            let standing = wanted.clone();
            let answer = change(&mut wanted);
            if wanted != standing {
                *settings = wanted;
            }
            answer
        })
    }

    /// Fills sections that are missing from older files; returns those that were used.
    fn complete(&self, settings: &mut Settings) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut used = Vec::new();
        if settings.plugin.is_none() {
            for path in &self.plugin {
                let Some(object) = self.older(path)? else { continue };
                settings.plugin = Some(match object.get("pluginConfig") {
                    Some(Value::Object(section)) => section.clone(),
                    Some(_) | None => object,
                });
                used.push(path.clone());
                break;
            }
        }
        if settings.dashboard.is_none()
            && let Some(object) = self.older(&self.dashboard)?
            && let Some(section) = json::object(&object, "settings")
        {
            settings.dashboard = Some(section.clone());
            used.push(self.dashboard.clone());
        }
        Ok(used)
    }

    fn older(&self, path: &Utf8Path) -> Result<Option<Object>, StoreError> {
        let bytes = read_optional(self.fs.as_ref(), path)?;
        bytes.map(|bytes| json::parse_object(path, &bytes, REMEDY)).transpose()
    }
}
