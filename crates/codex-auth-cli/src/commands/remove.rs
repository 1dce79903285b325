//! `remove`: an account leaves the pool; its sign-in stays valid at the issuer.

use std::process::ExitCode;

use codex_auth_core::{LoginState, OfficialLogins};
use codex_auth_view::Removed;

use crate::{accounts::chosen, assemble::Product, error::CliError, json_flag::Json};

/// How a removal was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RemoveArguments {
    /// Number, alias or e-mail address of the account
    #[arg(value_name = "index")]
    account: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Removes an account.
pub(crate) fn remove(product: &Product, arguments: &RemoveArguments) -> Result<ExitCode, CliError> {
    let selector = arguments
        .account
        .as_deref()
        .ok_or_else(|| CliError::usage("Missing index. Usage: codex-multi-auth remove <index>"))?;
    let target = chosen(&product.store.read_now()?, selector)?;
    let (label, number) = (&target.named.label, target.named.number);
    if !arguments.yes {
        let question = format!("Remove {label}? `codex-multi-auth undo` brings it back. [y/N] ");
        let answer = if product.ui.can_ask { product.ui.ask(&question) } else { None };
        match answer.map(|answer| answer.to_lowercase()).as_deref() {
            Some("y" | "yes") => {}
            Some(_) => {
                product.ui.say("Nothing was removed.");
                return Ok(ExitCode::FAILURE);
            }
            None => {
                return Err(CliError::usage(format!("Removing {label} needs a yes, and nobody is here to ask."))
                    .hint(format!("Run `codex-multi-auth remove {number} --yes`."))
                    .account(number));
            }
        }
    }
    let record = &target.held.account.record;
    let after = product.change("remove", &format!("removed account {number}"), |pool| {
        pool.accounts.retain(|held| held.account.record != *record);
        pool.pin.take_if(|pin| pin == record);
        if pool.active.as_ref() == Some(record) {
            pool.active = pool.accounts.first().map(|held| held.account.record.clone());
        }
        pool.affinity_generation += 1;
    })?;
    let login = product.official.login(product.layout.codex_home().as_str());
    let is_still_there =
        matches!(login, Ok(LoginState::Usable(login)) if target.held.account.owner.agrees_with(&login.owner));
    let removed = Removed::new(target.named, after.accounts.len(), is_still_there);
    product.ui.show(&removed, arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}
