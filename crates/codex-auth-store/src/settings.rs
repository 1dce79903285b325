//! Owns the settings of the rotation, as the router asks for them: environment over `settings.json` over default.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use codex_auth_core::{Fallback, Memory, RotationSettings, SettingsSource, StoreError};
use serde_json::Value;

use crate::{
    documents::settings::{Origin, Resolved, SettingsEnvironment, SettingsFile},
    fs::os,
};

/// Reads the settings anew each time it is asked.
#[derive(Debug, Clone)]
pub struct FileSettings {
    file: SettingsFile,
    environment: SettingsEnvironment,
}

impl FileSettings {
    /// Settings of this file under these variables.
    pub fn new(file: SettingsFile, environment: SettingsEnvironment) -> Self {
        Self { file, environment }
    }

    /// The file.
    pub fn file(&self) -> &SettingsFile {
        &self.file
    }
}

impl SettingsSource for FileSettings {
    fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        os::glance(self.file.path()).hash(&mut hasher);
        hasher.finish()
    }

    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        let settings = self.file.read()?.document;
        let resolved = |name: &str| settings.resolve(name, &self.environment);
        // Where nobody set a wait, the router has its own.
        let wait = |name: &str| resolved(name).filter(is_set).and_then(|found| found.value.as_u64());
        let default = RotationSettings::default();
        let flag = |name: &str, usual: bool| resolved(name).and_then(|found| found.value.as_bool()).unwrap_or(usual);
        let number = |name: &str| resolved(name).and_then(|found| found.value.as_u64());
        let millis = |name: &str, usual: Duration| number(name).map_or(usual, Duration::from_millis);
        let most = number("sessionAffinityMaxEntries").and_then(|most| usize::try_from(most).ok());
        let usual = Memory::default();
        let memory = Memory { lasts: millis("sessionAffinityTtlMs", usual.lasts), most: most.unwrap_or(usual.most) };
        let is_fallback = resolved("unsupportedCodexPolicy").is_some_and(|found| found.value == "fallback");
        let chains = || resolved("unsupportedCodexFallbackChain").map(|found| lists(&found.value)).unwrap_or_default();
        let goes_to_older = flag("fallbackToGpt52OnUnsupportedGpt53", true);
        let strategy = resolved("schedulingStrategy").map(|found| found.value);
        Ok(RotationSettings {
            enabled: flag("codexRuntimeRotationProxy", default.enabled),
            strategy: strategy.as_ref().and_then(Value::as_str).and_then(named).unwrap_or(default.strategy),
            spread: flag("pidOffsetEnabled", default.spread),
            settles_for: millis("minRotationIntervalMs", default.settles_for),
            memory: flag("sessionAffinity", true).then_some(memory),
            answer_within: wait("fetchTimeoutMs").map(Duration::from_millis),
            silence: wait("streamStallTimeoutMs").map(Duration::from_millis),
            fallback: if is_fallback { Fallback::along(chains(), goes_to_older) } else { Fallback::strict() },
        })
    }
}

/// The lists of words under names.
fn lists(value: &Value) -> Vec<(String, Vec<String>)> {
    let words =
        |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    value.as_object().into_iter().flatten().map(|(name, list)| (name.clone(), words(list))).collect()
}

fn is_set(found: &Resolved) -> bool {
    found.origin != Origin::Default
}

fn named(word: &str) -> Option<codex_auth_core::Strategy> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use camino::{Utf8Path, Utf8PathBuf};
    use codex_auth_core::{Strategy, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::{Fs as _, OsFs, Write};

    fn root() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("text");
        (dir, root)
    }

    fn write(path: &Utf8Path, text: &str) {
        OsFs.write(path, text.as_bytes(), Write::New).expect("written");
    }

    fn over(root: &Utf8Path, pairs: &[(&str, &str)]) -> FileSettings {
        let look_up = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        FileSettings::new(SettingsFile::of(root, &root.join("home")), SettingsEnvironment::from_values(look_up))
    }

    #[track_caller]
    fn check(file: Option<&str>, enabled: &str, named: &str, expect: (bool, Strategy)) {
        let (_dir, root) = root();
        if let Some(text) = file {
            write(&root.join("settings.json"), text);
        }
        let pairs = [("CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY", enabled), ("CODEX_AUTH_SCHEDULING_STRATEGY", named)];
        let found = over(&root, &pairs).rotation().expect("readable");
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
    fn waits_are_told_only_where_they_are_set() {
        let (_dir, root) = root();
        write(&root.join("settings.json"), r#"{"pluginConfig":{"fetchTimeoutMs":2000,"streamStallTimeoutMs":5}}"#);
        let found = over(&root, &[]).rotation().expect("readable");
        assert_eq!((found.answer_within, found.silence), (Some(Duration::from_secs(2)), None));
        let found = over(&root, &[("CODEX_AUTH_STREAM_STALL_TIMEOUT_MS", "3000")]).rotation().expect("readable");
        assert_eq!(found.silence, Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_unreadable_file_is_an_error_unless_its_copy_can_be_read() {
        let (_dir, root) = root();
        write(&root.join("settings.json"), "{\"plugin");
        let settings = over(&root, &[]);
        let error = settings.rotation().expect_err("half a file");
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
        write(&root.join("settings.json.bak"), r#"{"version":1,"pluginConfig":{"schedulingStrategy":"manual"}}"#);
        assert_eq!(settings.rotation().expect("the copy").strategy, Strategy::Manual);
        let note = settings.file().read().expect("the copy").note.expect("it is said");
        assert!(note.contains("it ends in the middle") && note.contains("settings.json.bak is read instead"), "{note}");
        let set = settings.file().edit(Timestamp::default(), |settings| settings.set("codexMode", Some(json!(false))));
        let error = set.expect_err("a broken file is never written over").to_string();
        assert!(error.contains(&format!("cp {0}.bak {0}", root.join("settings.json"))), "{error}");
    }

    #[test]
    fn a_change_keeps_a_copy_of_what_was_before() {
        let (_dir, root) = root();
        let file = SettingsFile::of(&root, &root);
        for mode in [false, true] {
            file.edit(Timestamp::default(), |settings| settings.set("codexMode", Some(json!(mode))))
                .expect("written")
                .answer
                .expect("fits");
        }
        let text = |name: &str| String::from_utf8(OsFs.read(&root.join(name)).expect("there")).expect("text");
        assert_eq!(text("settings.json.bak"), text("settings.json").replace("true", "false"));
        assert_eq!(
            text("settings.json"),
            "{\n  \"version\": 1,\n  \"pluginConfig\": {\n    \"codexMode\": true\n  }\n}\n"
        );
    }

    #[test]
    fn an_older_file_counts_until_a_change_moves_it() {
        let (_dir, root) = root();
        let home = root.join("home");
        OsFs.make_dir(&home).expect("made");
        write(&home.join("openai-codex-auth-config.json"), r#"{"schedulingStrategy":"sequential"}"#);
        write(&home.join("codex-multi-auth-config.json"), r#"{"schedulingStrategy":"manual","mine":1}"#);
        write(&root.join("dashboard-settings.json"), r#"{"settings":{"menuSortMode":"manual"}}"#);
        let settings = over(&root, &[]);
        assert_eq!(settings.rotation().expect("readable").strategy, Strategy::Manual);
        let note = settings.file().read().expect("readable").note.expect("it is said");
        assert!(note.contains("codex-multi-auth-config.json still counts"), "{note}");
        assert!(!root.join("settings.json").exists(), "reading writes nothing");
        settings
            .file()
            .edit(Timestamp::default(), |all| all.set("codexMode", Some(json!(false))))
            .expect("written")
            .answer
            .expect("fits");
        let written: Value =
            serde_json::from_slice(&OsFs.read(&root.join("settings.json")).expect("there")).expect("JSON");
        let expect = json!({ "version": 1, "dashboardDisplaySettings": { "menuSortMode": "manual" },
            "pluginConfig": { "schedulingStrategy": "manual", "mine": 1, "codexMode": false } });
        assert_eq!(written, expect);
        assert_eq!(settings.file().read().expect("readable").note, None);
    }

    #[test]
    fn another_model_is_asked_for_only_where_that_is_set() {
        let (_dir, root) = root();
        let chain = r#""unsupportedCodexFallbackChain":{"gpt-5.5":["a","b"]}"#;
        write(&root.join("settings.json"), &format!(r#"{{"pluginConfig":{{{chain}}}}}"#));
        let told = |pairs: &[(&str, &str)]| over(&root, pairs).rotation().expect("readable").fallback;
        let own = [("gpt-5.5".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
        assert_eq!(told(&[]), Fallback::strict());
        let on = ("CODEX_AUTH_UNSUPPORTED_MODEL_POLICY", "fallback");
        assert_eq!(told(&[on]), Fallback::along(own.clone(), true));
        assert_eq!(told(&[on, ("CODEX_AUTH_FALLBACK_GPT53_TO_GPT52", "no")]), Fallback::along(own.clone(), false));
        assert_eq!(told(&[("CODEX_AUTH_FALLBACK_UNSUPPORTED_MODEL", "1")]), Fallback::along(own, true));
    }

    #[test]
    fn a_chain_that_is_none_leaves_the_built_in_ones() {
        let (_dir, root) = root();
        let text =
            r#"{"pluginConfig":{"unsupportedCodexPolicy":"fallback","unsupportedCodexFallbackChain":{"a":"b"}}}"#;
        write(&root.join("settings.json"), text);
        assert_eq!(over(&root, &[]).rotation().expect("readable").fallback, Fallback::along([], true));
    }

    #[test]
    fn how_sessions_are_remembered_is_set() {
        let (_dir, root) = root();
        let text = r#"{"pluginConfig":{"schedulingStrategy":"round-robin","pidOffsetEnabled":false,
            "minRotationIntervalMs":5000,"sessionAffinityTtlMs":60000,"sessionAffinityMaxEntries":9}}"#;
        write(&root.join("settings.json"), text);
        let found = over(&root, &[]).rotation().expect("readable");
        let memory = Memory { lasts: Duration::from_mins(1), most: 9 };
        assert_eq!(
            (found.strategy, found.spread, found.settles_for),
            (Strategy::RoundRobin, false, Duration::from_secs(5))
        );
        assert_eq!(found.memory, Some(memory));
        let off =
            over(&root, &[("CODEX_AUTH_SESSION_AFFINITY", "0"), ("CODEX_AUTH_SCHEDULING_STRATEGY", "drain_first")]);
        let off = off.rotation().expect("readable");
        assert_eq!((off.memory, off.strategy), (None, Strategy::DrainFirst));
    }
}
