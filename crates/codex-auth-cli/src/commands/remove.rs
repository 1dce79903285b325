//! `remove`: an account leaves the pool. Its sign-in stays valid at the issuer, unless its end is asked for.

use std::process::ExitCode;

use codex_auth_core::{AccountStore as _, Held, LoginState, NeedsLogin, OfficialLogins, RecordId, SavedPool};
use codex_auth_oauth::revoke;
use codex_auth_view::{Removed, Revocation};

use crate::{
    accounts::{Chosen, chosen},
    assemble::Product,
    error::{CliError, capitalised},
    json_flag::Json,
};

/// Stands in an account that was removed together with its sign-in, for the case that it comes back.
pub(crate) const REVOKED: &str = "removed_with_revoke";

/// How a removal was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RemoveArguments {
    /// Number, alias or e-mail address of the account
    #[arg(value_name = "index")]
    account: Option<String>,
    /// End its sign-in at the issuer, too; nothing brings that back
    #[arg(long)]
    revoke: bool,
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
    if !arguments.yes && !is_agreed(product, &target, arguments.revoke)? {
        product.ui.say("Nothing was removed.");
        return Ok(ExitCode::FAILURE);
    }
    let record = &target.held.account.record;
    // A renewal under way would bring a token that nobody revokes: it ends first, and none begins.
    let claim = arguments.revoke.then(|| Ok::<_, CliError>(Product::runtime()?.block_on(product.store.claim(record))?));
    let claim = claim.transpose()?;
    if arguments.revoke {
        // Before anything else, so that no way back ever takes its tokens for good ones.
        let needs = NeedsLogin { code: REVOKED.to_owned(), at: product.clock.now() };
        product.store.edit_now(|pool| {
            if let Some(held) = pool.find_mut(record) {
                held.account.needs_login = Some(needs);
            }
        })?;
    }
    let mut gone = None;
    let removal = product.change("remove", &format!("removed account {}", target.named.number), |pool| {
        gone = pool.find(record).cloned();
        take_out(pool, record);
    });
    if removal.is_err() && arguments.revoke {
        // It stays, and so does its sign-in. Where this cannot be written either, a new sign-in mends it.
        let before = target.held.account.needs_login.clone();
        let _ = product.store.edit_now(|pool| {
            if let Some(held) = pool.find_mut(record) {
                held.account.needs_login = before;
            }
        });
    }
    let after = removal?;
    drop(claim);
    // Only now: whoever still served with these tokens has heard of the removal, and takes their end for no alarm.
    let revocation = match gone.filter(|_| arguments.revoke) {
        Some(held) => {
            if held.account.provenance.as_ref().is_some_and(|from| from.shared) {
                let label = &target.named.label;
                product.ui.say(&format!("{label} was imported: the program it came from is signed out, too."));
            }
            revoked(product, &held)
        }
        None => Revocation::NotAsked,
    };
    let login = product.official.login(product.layout.codex_home().as_str());
    let is_still_there =
        matches!(login, Ok(LoginState::Usable(login)) if target.held.account.owner.agrees_with(&login.owner));
    let failed = matches!(revocation, Revocation::Failed { .. });
    let removed = Removed::new(target.named, after.accounts.len(), revocation, is_still_there);
    product.ui.show(&removed, arguments.json.is_wanted());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks, where somebody can answer.
fn is_agreed(product: &Product, target: &Chosen, revokes: bool) -> Result<bool, CliError> {
    let (label, number) = (&target.named.label, target.named.number);
    let (question, flag) = if revokes {
        (format!("Remove {label} and end its sign-in? No command brings its tokens back. [y/N] "), " --revoke")
    } else {
        (format!("Remove {label}? `codex-multi-auth undo` brings it back. [y/N] "), "")
    };
    let answer = if product.ui.can_ask { product.ui.ask(&question) } else { None };
    match answer.map(|answer| answer.to_lowercase()).as_deref() {
        Some("y" | "yes") => Ok(true),
        Some(_) => Ok(false),
        None => Err(CliError::usage(format!("Removing {label} needs a yes, and nobody is here to ask."))
            .hint(format!("Run `codex-multi-auth remove {number}{flag} --yes`."))
            .account(number)),
    }
}

fn take_out(pool: &mut SavedPool, record: &RecordId) {
    pool.accounts.retain(|held| held.account.record != *record);
    pool.pin.take_if(|pin| pin == record);
    if pool.active.as_ref() == Some(record) {
        pool.active = pool.accounts.first().map(|held| held.account.record.clone());
    }
    pool.affinity_generation += 1;
}

/// Ends a sign-in at the issuer that granted it. Bounded: the removal stands, whatever comes of this.
fn revoked(product: &Product, held: &Held) -> Revocation {
    product.say_overrides();
    let asked = || -> Result<_, CliError> {
        let (endpoints, http) = (product.endpoints()?, product.http());
        let ending = revoke(&endpoints, &http, held.account.issuer.as_deref(), &held.credential);
        Ok(Product::runtime()?.block_on(ending))
    };
    match asked() {
        Ok(Ok(())) => Revocation::Done,
        Ok(Err(error)) => Revocation::Failed { why: capitalised(&error.to_string()) },
        Err(error) => Revocation::Failed { why: error.message },
    }
}
