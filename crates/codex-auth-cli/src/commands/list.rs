//! `list` and `status`: one handler, without network and without a runtime.

use std::process::ExitCode;

use codex_auth_store::{Emptiness, StateFile, documents::quota_cache::QuotaCache};
use codex_auth_view::{AccountList, ListName, Storage, StorageHealth, age};

use crate::{agent::decided, assemble::Product, error::CliError, json_flag::Json};

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
    let health = health(product)?;
    let notes = way_back(product, health);
    let storage = Storage { path: product.layout.accounts().into_string(), health };
    // What was remembered is an extra: a cache that cannot be used is shown by `files`, and made anew by `check`.
    let cache = StateFile::<QuotaCache>::under(product.layout.base()).read().map(|found| found.document);
    let cache = cache.unwrap_or_default();
    // A list is shown whatever the agent does; why-selected says what is wrong with it.
    let decision = decided(product, &pool).map_or_else(|_| product.decide(&pool), |(_, decision)| decision);
    let list = AccountList::new(name, &pool, &decision, storage, product.clock.now())
        .quotas(&pool, |record| cache.find(&pool, record)?.snapshot());
    let (parked, flaw) = match product.store.parked() {
        Ok(parked) => (Some(parked.len()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let list = list.in_scope(product.scope_view()).noting(product.notes()).noting(notes);
    let list = list.beside_parked(parked).noting(flaw);
    product.ui.show(&list, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}

/// What is found where the pool is kept.
fn health(product: &Product) -> Result<StorageHealth, CliError> {
    Ok(match product.store.emptiness()? {
        Emptiness::Filled => StorageHealth::Healthy,
        Emptiness::Empty => StorageHealth::Empty,
        Emptiness::Cleared => StorageHealth::IntentionalReset,
        Emptiness::Removed => StorageHealth::Recoverable,
        Emptiness::Unusable => StorageHealth::Corrupt,
    })
}

/// How accounts that were taken away can come back.
fn way_back(product: &Product, health: StorageHealth) -> Option<String> {
    let why = match health {
        StorageHealth::Recoverable => "The accounts file is gone, which counts as a reset.",
        StorageHealth::IntentionalReset => "The pool was emptied on purpose.",
        StorageHealth::Healthy | StorageHealth::Empty | StorageHealth::Corrupt => return None,
    };
    let newest = product.store.earlier().into_iter().next()?;
    Some(format!(
        "{why} `codex-multi-auth restore` brings {} back, from {} ago.",
        if newest.accounts == 1 { "1 account".to_owned() } else { format!("{} accounts", newest.accounts) },
        age(newest.at, product.clock.now())
    ))
}
