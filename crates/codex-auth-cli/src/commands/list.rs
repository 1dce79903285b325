//! `list` and `status`: one handler, without network and without a runtime.

use std::process::ExitCode;

use codex_auth_core::{SavedPool, StateDir, StoreError};
use codex_auth_store::{ACCOUNTS, PrivateDir, StateFile, documents::quota_cache::QuotaCache};
use codex_auth_view::{AccountList, ListName, Storage, StorageHealth};
use serde_json::Value;

use crate::{assemble::Product, error::CliError, json_flag::Json};

/// How the list was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Shows the accounts.
pub(crate) fn list(product: &Product, name: ListName, arguments: &ListArguments) -> Result<ExitCode, CliError> {
    let pool = product.store.read_now()?;
    product.say_overrides();
    let storage = Storage { path: product.layout.accounts().into_string(), health: health(product, &pool)? };
    // What was remembered is an extra: a cache that cannot be used is shown by `files`, and made anew by `check`.
    let cache = StateFile::<QuotaCache>::under(product.layout.base()).read().map(|found| found.document);
    let cache = cache.unwrap_or_default();
    let list = AccountList::new(name, &pool, &product.decide(&pool), storage, product.clock.now())
        .quotas(&pool, |record| cache.find(&pool, record)?.snapshot());
    product.ui.show(&list, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// What is found where the pool is kept.
fn health(product: &Product, pool: &SavedPool) -> Result<StorageHealth, StoreError> {
    if !pool.accounts.is_empty() {
        return Ok(StorageHealth::Healthy);
    }
    if product.layout.reset_intent().exists() {
        return Ok(StorageHealth::IntentionalReset);
    }
    Ok(match PrivateDir::new(product.layout.root()).read(ACCOUNTS)? {
        Some(bytes) if has_rows(&bytes) => StorageHealth::Corrupt,
        None if has_copies(product) => StorageHealth::Recoverable,
        Some(_) | None => StorageHealth::Empty,
    })
}

fn has_rows(document: &[u8]) -> bool {
    let document: Option<Value> = serde_json::from_slice(document).ok();
    document.is_some_and(|document| document["accounts"].as_array().is_some_and(|rows| !rows.is_empty()))
}

/// Whether copies lie beside the place where the accounts file would be.
fn has_copies(product: &Product) -> bool {
    let Ok(entries) = product.layout.root().read_dir_utf8() else { return false };
    entries.flatten().any(|entry| {
        let rest = entry.file_name().strip_prefix(ACCOUNTS);
        rest.is_some_and(|rest| rest == ".wal" || rest.starts_with(".bak"))
    })
}
