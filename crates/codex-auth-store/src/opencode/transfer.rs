//! Owns the sign-ins of older programs: where they are looked for, that they are offered once, and their import.

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::StoreError;
use serde_json::{Value, json};

use super::{
    Domain, OpenCodeFile, migrate,
    normalise::{domain_of, records},
    record::stored_key,
    upsert,
};
use crate::json::{self, Object};

/// Marks a record whose refresh token another program may still hold; a sign-in of its own removes it.
pub(crate) const SHARED: &str = "imported";

/// What an import came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Records that are new.
    pub imported: usize,
    /// Sources that held a sign-in.
    pub sources_used: usize,
    /// What a person should hear.
    pub warnings: Vec<String>,
}

/// The files of older programs, in the order they are read. `other_data_root` is the one under home, when the
/// environment names another.
pub fn sources(config_root: &Utf8Path, data_root: &Utf8Path, other_data_root: Option<&Utf8Path>) -> Vec<Utf8PathBuf> {
    let host = |root: &Utf8Path| root.join("opencode").join("auth.json");
    let mut sources = vec![config_root.join(crate::ACCOUNTS), host(data_root)];
    sources.extend(other_data_root.map(host).filter(|other| *other != host(data_root)));
    sources
}

/// Whether a transfer is offered: there is no store yet, and a source holds a sign-in that can be used.
///
/// A store that is there counts, however empty: somebody emptied it.
pub fn is_offered(file: &OpenCodeFile, sources: &[Utf8PathBuf]) -> Result<bool, StoreError> {
    Ok(!file.exists()? && sources.iter().any(|source| usable(file, source).is_some()))
}

/// Imports the sources into a store that is not there yet. Sources stay as they are; broken ones are passed over.
pub fn transfer(file: &OpenCodeFile, sources: &[Utf8PathBuf]) -> Result<Transferred, StoreError> {
    let saved = file.save_seeing(|document, exists| {
        if exists {
            let warning = format!("{} exists, so nothing was imported into it", file.path());
            return Transferred { warnings: vec![warning], ..Transferred::default() };
        }
        let mut target = json!({ "type": "oauth", "accounts": [], "native": { "accounts": [] } });
        let mut outcome = Transferred::default();
        if let Some(openai) = target.as_object_mut() {
            for source in sources {
                if let Some(found) = usable(file, source) {
                    outcome.sources_used += 1;
                    outcome.imported += import(openai, &found);
                    outcome.warnings.push(shared_with(source));
                }
            }
        }
        document.insert("openai".to_owned(), target);
        outcome
    })?;
    let mut outcome = saved.value;
    outcome.warnings.splice(0..0, saved.warnings);
    Ok(outcome)
}

fn shared_with(source: &Utf8Path) -> String {
    format!(
        "the program that owns {source} may still hold the refresh tokens imported from it: each can be spent once, \
         so whichever program renews second is signed out. Sign in afresh here (`opencode auth login`) to end that"
    )
}

/// The pool of a source that holds a usable sign-in.
fn usable(file: &OpenCodeFile, source: &Utf8Path) -> Option<Object> {
    let document = file.read_foreign(source).filter(migrate::has_usable_oauth)?;
    migrate::migrate(&document).get("openai").and_then(Value::as_object).cloned()
}

/// Folds a pool into another and counts the new records.
fn import(target: &mut Object, found: &Object) -> usize {
    let mut added = 0;
    for domain in Domain::ALL {
        let Some(source) = domain_of(found, domain) else { continue };
        let target = target.entry(domain.name()).or_insert_with(|| json!({ "accounts": [] }));
        let Some(content) = target.as_object_mut() else { continue };
        for mut record in records(source) {
            record.insert(SHARED.to_owned(), json!(true));
            added += usize::from(upsert::import(content, domain, &record).added);
        }
        if !content.contains_key("strategy") {
            json::set(content, "strategy", source.get("strategy").cloned());
        }
        let active = json::text(source, "activeIdentityKey");
        if records(content).iter().any(|record| active.is_some() && stored_key(record) == active) {
            json::set(content, "activeIdentityKey", active.map(Value::from));
        }
    }
    added
}
