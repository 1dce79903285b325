//! `switch`: an account is selected and pinned, and becomes the official client's login.

use std::process::ExitCode;

use codex_auth_core::{SavedPool, StoreError};
use codex_auth_store::Operation;
use codex_auth_view::{LoginMirror, Switched, wait};

use crate::{
    accounts::{Chosen, chosen, keeps_away, mirror},
    assemble::Product,
    error::CliError,
    json_flag::Json,
};

mod neighbours;

use neighbours::Neighbours;

/// How a switch was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SwitchArguments {
    /// Number, alias or e-mail address of the account
    #[arg(value_name = "index")]
    account: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Selects and pins an account.
pub(crate) fn switch(product: &Product, arguments: &SwitchArguments) -> Result<ExitCode, CliError> {
    let selector = arguments
        .account
        .as_deref()
        .ok_or_else(|| CliError::usage("Missing index. Usage: codex-multi-auth switch <index>"))?;
    let target = chosen(&product.store.read_now()?, selector)?;
    target.refuse_dead(product)?;
    let (target, warning) = target.freshened(product)?;
    let was_disabled = !target.held.account.enabled;
    let neighbours = Neighbours::of(product, &product.store.read_now()?, &target);
    let not_renewed = match &neighbours {
        Some(neighbours) => neighbours.renew_ahead(product, product.clock.now())?,
        None => None,
    };
    let login = select(product, &target, Pin::Set)?;
    let told = neighbours.filter(|_| matches!(login, LoginMirror::Written { .. })).map(|neighbours| neighbours.told());
    let warnings = warning.into_iter().chain(rests(product, &target)).chain(not_renewed);
    let warnings: Vec<_> = warnings.chain(told.into_iter().flatten()).collect();
    let switched = Switched::new(target.named.clone(), was_disabled, &login, warnings);
    product.ui.show(&switched, arguments.json.is_wanted());
    if !arguments.json.is_wanted() {
        for note in switched.notes() {
            product.ui.say(note);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A pin never spills: what that means while the account rests.
fn rests(product: &Product, target: &Chosen) -> Option<String> {
    let now = product.clock.now();
    let rest = target.held.account.longest_rest(now)?;
    let (number, left) = (target.named.number, wait(rest.until.since(now)));
    Some(format!(
        "Account {number} rests {left} more ({}). While it is pinned, requests are refused until then; \
         `codex-multi-auth unpin` lets the others serve.",
        rest.reason.as_str()
    ))
}

/// What becomes of the pin when an account is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pin {
    /// The account is pinned.
    Set,
    /// It stays as it is.
    Keep,
    /// It is cleared.
    Clear,
}

/// Makes an account the selected one, in service, and pinned or not, and makes it the official client's login, as one.
/// Every session lets go of its account.
pub(crate) fn select(product: &Product, target: &Chosen, pin: Pin) -> Result<LoginMirror, CliError> {
    let record = &target.held.account.record;
    let now = product.clock.now();
    let what = format!("selected{} account {}", if pin == Pin::Set { " and pinned" } else { "" }, target.named.number);
    let change = |pool: &mut SavedPool| {
        let Some(held) = pool.find_mut(record) else { return };
        held.account.enabled = true;
        held.account.seen.last_used_at = now;
        pool.active = Some(record.clone());
        match pin {
            Pin::Set => pool.pin = Some(record.clone()),
            Pin::Keep => {}
            Pin::Clear => pool.pin = None,
        }
        pool.affinity_generation += 1;
    };
    let (after, login) = if keeps_away(product) {
        (product.change("switch", &what, change)?, LoginMirror::Off)
    } else {
        let home = product.layout.codex_home();
        let done = product.store.operate_with_login(Operation::new("switch", &what), change, home, Some(record))?;
        product.tell_the_agent();
        (done.operated.after, mirror(product, &target.named, done.login))
    };
    // Somebody may have removed it since it was chosen.
    after.find(record).ok_or_else(|| StoreError::NoSuchAccount(record.clone()))?;
    Ok(login)
}
