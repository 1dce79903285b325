//! `settings.json`: what the user set. Every value is resolved by one table, environment over file over default, and
//! says where it comes from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    json::{self, Object},
    state_file::{Document, Recovery, Schema, no_object},
};

mod file;
mod keys;
mod value;

pub use file::SettingsFile;
pub use keys::{DASHBOARD, Key, PLUGIN};
pub use value::Kind;
pub(crate) use value::boolean;

const PLUGIN_SECTION: &str = "pluginConfig";
const DASHBOARD_SECTION: &str = "dashboardDisplaySettings";
/// An older key that says the same as a word of another: the other, the key, word when it is true, word when it is false.
const MIRRORED: (&str, &str, &str, &str) =
    ("unsupportedCodexPolicy", "fallbackOnUnsupportedCodexModel", "fallback", "strict");

/// What the file says; its sections are kept as they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    plugin: Option<Object>,
    dashboard: Option<Object>,
}

/// The variables that stand above the file, as they were at start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsEnvironment(BTreeMap<&'static str, String>);

/// One setting as it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// Which one.
    pub key: Key,
    /// Its value.
    pub value: Value,
    /// Where that comes from.
    pub origin: Origin,
    /// What was passed over on the way, and why.
    pub ignored: Vec<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This variable.
    Environment(&'static str),
    /// The file.
    File,
    /// Nobody set it.
    Default,
}

/// A change that was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSet {
    /// There is no such setting.
    #[error("there is no setting `{0}`")]
    Unknown(String),
    /// The value does not fit.
    #[error("`{key}` cannot be that: {why}")]
    Unfit {
        /// The setting.
        key: &'static str,
        /// What it must be.
        why: String,
    },
}

impl SettingsEnvironment {
    /// Picks the variables that matter; blank ones count as unset.
    pub fn from_values(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let names = PLUGIN.iter().chain(DASHBOARD).flat_map(|key| key.variables);
        let set = |name: &&'static str| Some((*name, lookup(name).filter(|text| !text.trim().is_empty())?));
        Self(names.filter_map(set).collect())
    }
}

impl Settings {
    /// A setting as it counts; `None` when there is none of this name.
    pub fn resolve(&self, name: &str, environment: &SettingsEnvironment) -> Option<Resolved> {
        let in_section = |keys: &[Key]| keys.iter().copied().find(|key| key.name == name);
        let (mirrors, older, yes, _) = MIRRORED;
        if name == older {
            // Whoever reads the older one is told what counts.
            let policy = self.resolve(mirrors, environment)?;
            return Some(Resolved { key: in_section(PLUGIN)?, value: json!(policy.value == yes), ..policy });
        }
        if let Some(key) = in_section(PLUGIN) {
            return Some(resolve(key, self.plugin.as_ref(), environment));
        }
        in_section(DASHBOARD).map(|key| resolve(key, self.dashboard.as_ref(), environment))
    }

    /// Every setting as it counts, in the table's order.
    pub fn all(&self, environment: &SettingsEnvironment) -> Vec<Resolved> {
        PLUGIN.iter().chain(DASHBOARD).filter_map(|key| self.resolve(key.name, environment)).collect()
    }

    /// What the file itself says, right or wrong.
    pub fn stored(&self, name: &str) -> Option<&Value> {
        self.section(name)?.get(name)
    }

    /// Sets one key and no other; `None` lets the default count again.
    pub fn set(&mut self, name: &str, value: Option<Value>) -> Result<(), NotSet> {
        let is_in = |keys: &[Key]| keys.iter().copied().find(|key| key.name == name);
        let (key, section) = match (is_in(PLUGIN), is_in(DASHBOARD)) {
            (Some(key), _) => (key, &mut self.plugin),
            (None, Some(key)) => (key, &mut self.dashboard),
            (None, None) => return Err(NotSet::Unknown(name.to_owned())),
        };
        let value = value.map(|value| key.kind.stored(&value)).transpose();
        let value = value.map_err(|why| NotSet::Unfit { key: key.name, why })?;
        if value.is_some() || section.is_some() {
            json::set(section.get_or_insert_default(), name, value);
        }
        Ok(())
    }

    fn section(&self, name: &str) -> Option<&Object> {
        if PLUGIN.iter().any(|key| key.name == name) { self.plugin.as_ref() } else { self.dashboard.as_ref() }
    }
}

fn resolve(key: Key, section: Option<&Object>, environment: &SettingsEnvironment) -> Resolved {
    let mut ignored = Vec::new();
    let older = older_of(key);
    for (name, told_as) in variables(key).chain(older.into_iter().flat_map(variables)) {
        let Some(text) = environment.0.get(name) else { continue };
        match told_as.variable(text) {
            Ok(value) => {
                return Resolved { key, value: in_words(key, value), origin: Origin::Environment(name), ignored };
            }
            Err(why) => ignored.push(format!("{name} is ignored: {why}")),
        }
    }
    let stored = section.and_then(|section| section.get(key.name)).cloned();
    let mirrored = || section.zip(older).and_then(|(section, older)| json::flag(section, older.name));
    match stored.or_else(|| mirrored().map(|flag| in_words(key, json!(flag)))).map(|told| key.kind.stored(&told)) {
        Some(Ok(value)) => Resolved { key, value, origin: Origin::File, ignored },
        told => {
            ignored.extend(told.and_then(Result::err).map(|why| format!("the file's {} is ignored: {why}", key.name)));
            Resolved { key, value: key.kind.default(), origin: Origin::Default, ignored }
        }
    }
}

/// The variables above a key, and what each may be.
fn variables(key: Key) -> impl Iterator<Item = (&'static str, Kind)> {
    key.variables.iter().map(move |name| (*name, key.kind))
}

/// The older key that says the same as this one.
fn older_of(key: Key) -> Option<Key> {
    let (mirrors, older, ..) = MIRRORED;
    PLUGIN.iter().copied().find(|known| key.name == mirrors && known.name == older)
}

/// What an older key says, in the word of the one that took its place; everything else as it is.
fn in_words(key: Key, value: Value) -> Value {
    let (mirrors, _, yes, no) = MIRRORED;
    match value.as_bool() {
        Some(flag) if key.name == mirrors => json!(if flag { yes } else { no }),
        Some(_) | None => value,
    }
}

impl Document for Settings {
    const NAME: &'static str = "settings.json";
    const SCHEMA: Schema = Schema::VersionsOrNone(&[1]);
    const RECOVERY: Recovery = Recovery::Copy;

    fn decode(object: &Object) -> Self {
        let section = |name: &str| json::object(object, name).cloned();
        Self { plugin: section(PLUGIN_SECTION), dashboard: section(DASHBOARD_SECTION) }
    }

    fn encode(&self, object: &mut Object) {
        for (name, section) in [(PLUGIN_SECTION, &self.plugin), (DASHBOARD_SECTION, &self.dashboard)] {
            json::set(object, name, section.clone().map(Value::Object));
        }
    }

    fn flaw(object: &Object) -> Option<String> {
        no_object(object, PLUGIN_SECTION).or_else(|| no_object(object, DASHBOARD_SECTION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::decode(serde_json::from_str::<Value>(text).expect("JSON").as_object().expect("an object"))
    }

    #[track_caller]
    fn check(file: &str, variable: (&str, &str), name: &str, expect: &str) {
        let environment =
            SettingsEnvironment::from_values(|asked| (asked == variable.0).then(|| variable.1.to_owned()));
        let Resolved { value, origin, ignored, .. } = settings(file).resolve(name, &environment).expect("in the table");
        assert_eq!(format!("{value} {origin:?} {}", ignored.join("; ")).trim_end(), expect);
    }

    #[test]
    fn every_value_says_where_it_comes_from() {
        let (file, name) = (r#"{"pluginConfig":{"fetchTimeoutMs":5000}}"#, "fetchTimeoutMs");
        check("{}", ("", ""), name, "60000 Default");
        check(file, ("", ""), name, "5000 File");
        check(file, ("CODEX_AUTH_FETCH_TIMEOUT_MS", "7"), name, r#"1000 Environment("CODEX_AUTH_FETCH_TIMEOUT_MS")"#);
        check(
            file,
            ("CODEX_AUTH_FETCH_TIMEOUT_MS", "x"),
            name,
            "5000 File CODEX_AUTH_FETCH_TIMEOUT_MS is ignored: it must be a whole number from 1000 on",
        );
        check(
            r#"{"pluginConfig":{"fetchTimeoutMs":5}}"#,
            ("", ""),
            name,
            "60000 Default the file's fetchTimeoutMs is ignored: it must be a whole number from 1000 on",
        );
    }

    #[test]
    fn an_older_key_mirrors_the_policy() {
        let name = "unsupportedCodexPolicy";
        check(r#"{"pluginConfig":{"fallbackOnUnsupportedCodexModel":true}}"#, ("", ""), name, r#""fallback" File"#);
        let (variable, older) = ("CODEX_AUTH_UNSUPPORTED_MODEL_POLICY", "CODEX_AUTH_FALLBACK_UNSUPPORTED_MODEL");
        check("{}", (variable, "strict"), name, &format!(r#""strict" Environment("{variable}")"#));
        let stored = r#"{"pluginConfig":{"unsupportedCodexPolicy":"fallback"}}"#;
        check("{}", (older, "yes"), name, &format!(r#""fallback" Environment("{older}")"#));
        check(stored, (older, "0"), name, &format!(r#""strict" Environment("{older}")"#));
        check(
            stored,
            (variable, "wild"),
            name,
            &format!(r#""fallback" File {variable} is ignored: it must be one of strict, fallback"#),
        );
        check(
            stored,
            (older, "maybe"),
            name,
            &format!(r#""fallback" File {older} is ignored: it must be true or false"#),
        );
        let mirror = "fallbackOnUnsupportedCodexModel";
        check(stored, ("", ""), mirror, "true File");
        check("{}", (variable, "fallback"), mirror, &format!(r#"true Environment("{variable}")"#));
        check("{}", ("", ""), mirror, "false Default");
    }

    #[test]
    fn every_key_is_there_once_with_a_default_that_fits() {
        let mut names: Vec<_> = PLUGIN.iter().chain(DASHBOARD).map(|key| key.name).collect();
        for key in PLUGIN.iter().chain(DASHBOARD) {
            assert_eq!(key.kind.stored(&key.kind.default()), Ok(key.kind.default()), "{}", key.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!((PLUGIN.len(), DASHBOARD.len(), names.len()), (54, 26, 80));
    }

    #[test]
    fn only_what_is_asked_is_written() {
        let mut known = settings(r#"{"pluginConfig":{"mine":1.50,"fetchTimeoutMs":"broken"}}"#);
        known.set("codexMode", Some(json!(false))).expect("fits");
        known.set("menuSortMode", Some(json!("manual"))).expect("fits");
        let mut object = Object::new();
        known.encode(&mut object);
        let expect = r#"{"pluginConfig":{"mine":1.50,"fetchTimeoutMs":"broken","codexMode":false},"dashboardDisplaySettings":{"menuSortMode":"manual"}}"#;
        assert_eq!(Value::Object(object).to_string(), expect);
        let told = [("nothing", json!(1)), ("codexMode", json!("x"))].map(|(name, value)| known.set(name, Some(value)));
        assert!(told.iter().all(Result::is_err));
    }
}
