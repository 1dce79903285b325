//! `reset`: the pool is emptied on purpose, and stays so. Nothing is revoked, and nothing is lost.

use std::process::ExitCode;

use codex_auth_view::WasReset;

use crate::{assemble::Product, error::CliError, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ResetArguments {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Empties the pool.
pub(crate) fn reset(product: &Product, arguments: &ResetArguments) -> Result<ExitCode, CliError> {
    // A pool that cannot be read is the best reason to begin anew.
    let count = product.store.read_now().map_or(0, |pool| pool.accounts.len());
    if !arguments.yes {
        let accounts = if count == 1 { "1 account".to_owned() } else { format!("{count} accounts") };
        let question = format!("Empty the pool of {accounts}? `codex-multi-auth undo` takes that back. [y/N] ");
        let answer = if product.ui.can_ask { product.ui.ask(&question) } else { None };
        match answer.map(|answer| answer.to_lowercase()).as_deref() {
            Some("y" | "yes") => {}
            Some(_) => {
                product.ui.say("Nothing was changed.");
                return Ok(ExitCode::FAILURE);
            }
            None => {
                return Err(CliError::usage("Emptying the pool needs a yes, and nobody is here to ask.")
                    .hint("Run `codex-multi-auth reset --yes`."));
            }
        }
    }
    let aside = product.store.reset()?;
    product.tell_the_agent();
    product.ui.show(&WasReset::new(count, aside.map(camino::Utf8PathBuf::into_string)), arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}
