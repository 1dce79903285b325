//! `unpin`: routing chooses again.

use std::process::ExitCode;

use codex_auth_view::{Named, Unpinned};

use crate::{accounts::no_accounts, assemble::Product, error::CliError, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UnpinArguments {
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Removes the pin.
pub(crate) fn unpin(product: &Product, arguments: &UnpinArguments) -> Result<ExitCode, CliError> {
    let pool = product.store.read_now()?;
    if pool.accounts.is_empty() {
        return Err(no_accounts());
    }
    let was_pinned = pool.pin.as_ref().and_then(|record| Named::of(&pool, record));
    if let Some(Named { number, .. }) = &was_pinned {
        product.change("unpin", &format!("cleared the pin on account {number}"), |pool| {
            pool.pin = None;
            pool.affinity_generation += 1;
        })?;
    }
    let strategy = product.settings()?.strategy;
    product.ui.show(&Unpinned::new(was_pinned, strategy), arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}
