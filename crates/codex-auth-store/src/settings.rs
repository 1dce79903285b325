//! Owns the settings of the rotation: environment over `settings.json` over default.

use std::{sync::Arc, time::Duration};

use camino::Utf8PathBuf;
use codex_auth_core::{RotationSettings, SettingsSource, StoreError, Strategy};
use serde_json::Value;

use crate::{
    fs::{Fs, os::OsFs, read_optional},
    json,
};

/// What the environment says about the rotation, as it was at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RotationOverrides {
    /// `CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY`: `1/0`, `true/false`, `yes/no`; anything else counts as unset.
    pub enabled: Option<String>,
    /// `CODEX_AUTH_SCHEDULING_STRATEGY`; an unknown name counts as unset.
    pub strategy: Option<String>,
}

/// Reads `settings.json` anew each time it is asked.
#[derive(Debug, Clone)]
pub struct FileSettings {
    path: Utf8PathBuf,
    overrides: RotationOverrides,
    fs: Arc<dyn Fs>,
}

impl FileSettings {
    /// Settings kept at `path`.
    pub fn new(path: impl Into<Utf8PathBuf>, overrides: RotationOverrides) -> Self {
        Self { path: path.into(), overrides, fs: Arc::new(OsFs) }
    }
}

impl SettingsSource for FileSettings {
    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        self.told_by(read_optional(self.fs.as_ref(), &self.path)?.as_deref())
    }
}

impl FileSettings {
    /// What the content of the file says, where nothing stands above it.
    pub(crate) fn told_by(&self, bytes: Option<&[u8]>) -> Result<RotationSettings, StoreError> {
        let stored = match bytes {
            Some(bytes) => json::parse_object(&self.path, bytes, "mend it or move it away")?,
            None => json::Object::new(),
        };
        let plugin = |key: &str| stored.get("pluginConfig").and_then(|config| config.get(key));
        let default = RotationSettings::default();
        let over = &self.overrides;
        Ok(RotationSettings {
            enabled: over
                .enabled
                .as_deref()
                .and_then(boolean)
                .or_else(|| plugin("codexRuntimeRotationProxy").and_then(Value::as_bool))
                .unwrap_or(default.enabled),
            strategy: over
                .strategy
                .as_deref()
                .and_then(strategy)
                .or_else(|| plugin("schedulingStrategy").and_then(Value::as_str).and_then(strategy))
                .unwrap_or(default.strategy),
            answer_within: plugin("fetchTimeoutMs").and_then(wait),
            silence: plugin("streamStallTimeoutMs").and_then(wait),
        })
    }
}

/// A truth value of the environment.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "yes" => Some(true),
        "0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// A wait in milliseconds; the format allows none under a second, and drops what is out of bounds.
fn wait(value: &Value) -> Option<Duration> {
    value.as_u64().filter(|millis| *millis >= 1000).map(Duration::from_millis)
}

fn strategy(name: &str) -> Option<Strategy> {
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: Option<&str>, enabled: &str, named: &str, expect: (bool, Strategy)) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("settings.json")).expect("text");
        if let Some(text) = file {
            OsFs.write(&path, text.as_bytes(), crate::Write::New).expect("written");
        }
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let settings = FileSettings::new(path, RotationOverrides { enabled: set(enabled), strategy: set(named) });
        let found = settings.rotation().expect("readable");
        assert_eq!((found.enabled, found.strategy), expect);
    }

    #[test]
    fn environment_wins_over_file_and_file_over_default() {
        let file = r#"{"pluginConfig":{"codexRuntimeRotationProxy":false,"schedulingStrategy":"sequential"}}"#;
        check(None, "", "", (true, Strategy::Hybrid));
        check(Some(file), "", "", (false, Strategy::Sequential));
        check(Some(file), "YES", "manual", (true, Strategy::Manual));
        check(Some(file), "maybe", "wild", (false, Strategy::Sequential));
    }

    #[test]
    fn one_wrong_value_falls_back_alone() {
        check(
            Some(r#"{"pluginConfig":{"codexRuntimeRotationProxy":"x","schedulingStrategy":"manual"}}"#),
            "",
            "",
            (true, Strategy::Manual),
        );
    }

    #[test]
    fn an_unreadable_file_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("settings.json")).expect("text");
        OsFs.write(&path, b"{\"plugin", crate::Write::New).expect("written");
        let error = FileSettings::new(path, RotationOverrides::default()).rotation().expect_err("half a file");
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    }
}
