//! `token --raw`: an account's own access token, after a yes, with its true end, and noted in the log.

use std::process::ExitCode;

use codex_auth_core::{Held, KeepError, Kind, RefreshPlan, Timestamp, plan, reason_ahead};
use codex_auth_store::{Aside, Operation};
use codex_auth_view::{Named, RawToken, wait};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    error::CliError,
};

/// Prints it.
pub(super) fn raw(product: &Product, selector: Option<&str>, yes: bool, as_json: bool) -> Result<ExitCode, CliError> {
    let selector = selector.ok_or_else(|| {
        CliError::usage("A raw token is one account's. Usage: codex-multi-auth token --raw --account <n>")
            .hint("Run `codex-multi-auth list` to see the accounts, or leave --raw out for a capability.")
    })?;
    let target = chosen(&product.store.read_now()?, selector)?;
    target.refuse_dead(product)?;
    let Named { number, label, .. } = target.named.clone();
    if !yes && !confirmed(product, number, &label)? {
        product.ui.say("Nothing was handed out.");
        return Ok(ExitCode::FAILURE);
    }
    let held = renewed(product, target)?;
    let Some(access) = &held.credential.access else {
        return Err(CliError::new(Kind::NeedsLogin, "needs_login", format!("{label} has no access token."))
            .hint(format!("Run `codex-multi-auth login --account {number}`."))
            .account(number));
    };
    let record = held.account.record.clone();
    let what = format!("handed out the access token of account {number}");
    let operation = Operation { aside: Some(&Aside::Handed { record }), ..Operation::new("token --raw", &what) };
    product.store.operate(operation, |_| ())?;
    product.ui.say(&format!(
        "codex-multi-auth: the access token of account {number} {}. It cannot be shortened or revoked by us, and it \
         opens everything the account may do.",
        until(held.credential.expires_at, product.clock.now())
    ));
    product.ui.show(&RawToken::new(access.expose(), number, held.credential.expires_at), as_json);
    Ok(ExitCode::SUCCESS)
}

fn confirmed(product: &Product, number: usize, label: &str) -> Result<bool, CliError> {
    let question = format!(
        "Print the access token of {label}? It lives for days and nobody can take it back; \
         `codex-multi-auth token` gives a limited one. [y/N] "
    );
    let answer = if product.ui.can_ask { product.ui.ask(&question) } else { None };
    match answer.map(|answer| answer.to_lowercase()).as_deref() {
        Some("y" | "yes") => Ok(true),
        Some(_) => Ok(false),
        None => {
            Err(CliError::usage(format!("Handing out the token of {label} needs a yes, and nobody is here to ask."))
                .hint(format!("Run `codex-multi-auth token --raw --account {number} --yes`."))
                .account(number))
        }
    }
}

/// Renews a token that is about to end. One that still serves is handed out even where that fails.
fn renewed(product: &Product, target: Chosen) -> Result<Held, CliError> {
    let planned = plan(&target.held, product.clock.now());
    if planned == RefreshPlan::Use {
        return Ok(target.held);
    }
    product.say_overrides();
    let keeper = product.keeper()?;
    let (record, number) = (target.held.account.record.clone(), target.named.number);
    match Product::runtime()?.block_on(keeper.renew(
        &record,
        &target.held.credential,
        reason_ahead(&target.held.credential),
    )) {
        Ok(held) => {
            product.tell_the_agent();
            Ok(held)
        }
        Err(KeepError::NeedsLogin { code }) => {
            let message = format!("{} needs a new sign-in ({code}).", target.named.label);
            Err(CliError::new(Kind::NeedsLogin, "needs_login", message)
                .hint(format!("Run `codex-multi-auth login --account {number}`."))
                .account(number))
        }
        Err(error) if planned == RefreshPlan::RefreshBehind => {
            product.ui.say(&format!("codex-multi-auth: account {number} could not be renewed: {error}."));
            Ok(target.held)
        }
        Err(error) => Err(error.into()),
    }
}

fn until(end: Option<Timestamp>, now: Timestamp) -> String {
    let Some(end) = end else { return "has an end that no file tells".to_owned() };
    let clock = jiff::Timestamp::from_millisecond(end.as_millis()).map(|end| end.to_string()).unwrap_or_default();
    format!("is valid for {} more, until {clock}", wait(end.since(now)))
}
