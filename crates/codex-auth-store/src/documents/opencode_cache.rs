//! `OpenCode`'s `cache/`: the client's version and the catalogs of models, per account and from the repository.

use codex_auth_core::Timestamp;
use serde_json::{Value, json};

use crate::{
    hash::sha256_hex,
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// `cache/codex-client-version.json`: the newest released client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientVersion {
    /// As `x.y.z`.
    pub version: Option<String>,
    /// When it was asked for.
    pub fetched_at: Option<Timestamp>,
}

/// `cache/codex-models-cache-meta.json`: where the repository's catalog came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelsMeta {
    /// The answer's tag of its content.
    pub etag: Option<String>,
    /// The release, as `rust-v<x.y.z>`.
    pub tag: Option<String>,
    /// When it was last looked at.
    pub last_checked: Option<Timestamp>,
    /// The address.
    pub url: Option<String>,
    /// Hash of the catalog this belongs to.
    pub body_hash: Option<String>,
}

/// A catalog: `cache/codex-models-cache.json`, or one of [`catalog_names`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelCatalog {
    /// When it was fetched.
    pub fetched_at: Option<Timestamp>,
    /// `github` for the repository's.
    pub source: Option<String>,
    /// The entries as they were told.
    pub models: Vec<Value>,
}

/// The files of one account's catalog: the one that is read, and the mirror for other tools.
pub fn catalog_names(account_id: Option<&str>) -> (String, Option<String>) {
    match account_id.map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => {
            let name = &sha256_hex(id)[..16];
            let mirror = format!("cache/codex-models-cache-{name}.json");
            (format!("cache/codex-auth-models-{name}.json"), Some(mirror))
        }
        None => ("cache/codex-auth-models-shared.json".to_owned(), None),
    }
}

impl ModelsMeta {
    /// The tag to ask with: only while the catalog it belongs to is there, so that a lost catalog comes back.
    pub fn etag_for(&self, url: &str, catalog: &ModelCatalog) -> Option<&str> {
        let fits = self.url.as_deref() == Some(url) && !catalog.models.is_empty();
        let is_same = self.body_hash.as_ref().is_none_or(|hash| *hash == catalog.hash());
        self.etag.as_deref().filter(|_| fits && is_same)
    }
}

impl ModelCatalog {
    /// Names the entries.
    pub fn hash(&self) -> String {
        sha256_hex(Value::Array(self.models.clone()).to_string())
    }
}

impl Document for ClientVersion {
    const NAME: &'static str = "cache/codex-client-version.json";
    const SCHEMA: Schema = Schema::Unversioned;
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let version = json::text(object, "version").map(str::to_owned);
        Self { version, fetched_at: json::millis(object, "fetchedAt") }
    }

    fn encode(&self, object: &mut Object) {
        json::set(object, "version", self.version.as_ref().map(|version| json!(version)));
        json::set(object, "fetchedAt", self.fetched_at.map(|at| json!(at.as_millis())));
    }
}

impl Document for ModelsMeta {
    const NAME: &'static str = "cache/codex-models-cache-meta.json";
    const SCHEMA: Schema = Schema::Unversioned;
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        let text = |key: &str| json::text(object, key).map(str::to_owned);
        Self {
            etag: text("etag"),
            // An older form has the bare version.
            tag: text("tag").or_else(|| text("version").map(|version| format!("rust-v{version}"))),
            last_checked: json::millis(object, "lastChecked"),
            url: text("url"),
            body_hash: text("bodyHash"),
        }
    }

    fn encode(&self, object: &mut Object) {
        let keys = [("etag", &self.etag), ("tag", &self.tag), ("url", &self.url), ("bodyHash", &self.body_hash)];
        for (key, text) in keys {
            json::set(object, key, text.as_ref().map(|text| json!(text)));
        }
        json::set(object, "lastChecked", self.last_checked.map(|at| json!(at.as_millis())));
    }
}

impl Document for ModelCatalog {
    const NAME: &'static str = "cache/codex-models-cache.json";
    const SCHEMA: Schema = Schema::Unversioned;
    const RECOVERY: Recovery = Recovery::Rebuild;

    fn decode(object: &Object) -> Self {
        Self {
            fetched_at: json::millis(object, "fetchedAt"),
            source: json::text(object, "source").map(str::to_owned),
            models: object.get("models").and_then(Value::as_array).cloned().unwrap_or_default(),
        }
    }

    fn encode(&self, object: &mut Object) {
        json::set(object, "fetchedAt", self.fetched_at.map(|at| json!(at.as_millis())));
        json::set(object, "source", self.source.as_ref().map(|source| json!(source)));
        json::set(object, "models", Some(json!(self.models)));
    }

    fn flaw(object: &Object) -> Option<String> {
        object.get("models").filter(|models| !models.is_array()).map(|_| "its `models` is not a list".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_account() {
        let named = |id| catalog_names(id).0;
        assert_eq!(named(Some(" acct-1 ")), "cache/codex-auth-models-ba36a4edd92d37c6.json");
        assert_eq!(named(Some("")), "cache/codex-auth-models-shared.json");
        assert_eq!(catalog_names(None).1, None);
    }

    #[test]
    fn a_lost_catalog_is_asked_for_without_its_tag() {
        let catalog = ModelCatalog { models: vec![json!({ "slug": "m" })], ..ModelCatalog::default() };
        let meta = ModelsMeta {
            etag: Some("e".into()),
            url: Some("u".into()),
            body_hash: Some(catalog.hash()),
            ..ModelsMeta::default()
        };
        assert_eq!(meta.etag_for("u", &catalog), Some("e"));
        assert_eq!(meta.etag_for("v", &catalog), None);
        assert_eq!(meta.etag_for("u", &ModelCatalog::default()), None);
        let other = ModelCatalog { models: vec![json!({ "slug": "n" })], ..ModelCatalog::default() };
        assert_eq!(meta.etag_for("u", &other), None);
    }
}
