//! The official client's own sign-in and sign-out, made harmless for the pool: both would revoke the login they find.

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;
use codex_auth_core::{Kind, LoginState, OfficialLogins};
use codex_auth_store::remove_login;
use codex_auth_view::{LoginMirror, Named};

use crate::{
    accounts::{Chosen, chosen, no_accounts},
    assemble::Product,
    command_line::subcommand_index,
    commands::{
        login::{self, Joined, LoginArguments, is_in_pool},
        switch::{Pin, select},
    },
    error::CliError,
    misuse::misuse,
};

/// `codex login` as it is answered here.
#[derive(Debug, Parser)]
#[command(name = "codex login", about = "Sign in to ChatGPT: the account joins the pool and becomes codex's own login")]
struct OfficialLogin {
    #[command(flatten)]
    ours: LoginArguments,
    /// Settings for codex's own sign-in
    #[arg(short = 'c', long = "config", hide = true)]
    config: Vec<String>,
}

/// `codex login`: our sign-in, whose account becomes the client's login.
pub(crate) fn login(product: &Product, arguments: &[OsString]) -> Result<ExitCode, CliError> {
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or("\u{fffd}")).collect();
    let at = subcommand_index(&words).unwrap_or(0);
    let asked = match OfficialLogin::try_parse_from(&arguments[at..]) {
        Ok(asked) => asked,
        Err(error) => return Err(misuse(&error, "login")),
    };
    // Found out before anybody signs in: a login that is in no pool would be lost.
    refuse_to_lose(product)?;
    let person = login::Person::at(product.ui);
    let Some(joined) = login::signed_in(product, &asked.ours, &person, &asked.config)? else {
        login::cancelled(product, asked.ours.json);
        return Ok(ExitCode::SUCCESS);
    };
    let Joined { pool, record, .. } = &joined;
    let named = Named::of(pool, record).expect("it was just put there");
    let held = pool.find(record).expect("it was just put there").clone();
    let mirror = Chosen { named, held }.mirrored(product);
    login::show(product, "login", joined, asked.ours.json);
    match mirror {
        LoginMirror::Written { path, drift } => {
            product.ui.say(&format!("{path} holds this login now."));
            if let Some(drift) = drift {
                product.ui.say(&drift);
            }
        }
        LoginMirror::Off => {}
        LoginMirror::Failed { why } => {
            return Err(CliError::new(Kind::Storage, "login_not_written", why));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A login of somebody who is not in the pool is never written over.
fn refuse_to_lose(product: &Product) -> Result<(), CliError> {
    let login = match product.official.login(product.layout.codex_home().as_str())? {
        LoginState::Usable(login) => login,
        LoginState::Absent | LoginState::Unusable { .. } => return Ok(()),
    };
    if is_in_pool(&product.store.read_now()?, &login) {
        return Ok(());
    }
    let (path, who) = (product.layout.auth_json(), login.owner.email.as_deref().unwrap_or("somebody"));
    Err(CliError::new(
        Kind::Usage,
        "login_not_in_pool",
        format!("{path} holds a login of {who} that is not in the pool and would be lost."),
    )
    .hint("Run `codex-multi-auth import-current` to keep it, or `codex logout` to remove it, then sign in."))
}

/// `codex logout`: the login file is removed, and nothing is revoked.
pub(crate) fn logout(product: &Product) -> Result<ExitCode, CliError> {
    let (path, home) = (product.layout.auth_json(), product.layout.codex_home());
    let removed = match product.store.remove_login(home) {
        // A login outside the pool is removed all the same: that is what was asked for.
        Err(codex_auth_store::LoginError::NotInPool { .. }) => remove_login(&product.layout.client_files(home))?,
        result => result?,
    };
    product.ui.line(&if removed {
        format!("Removed {path}. Nothing was revoked; the accounts of the pool stay signed in.")
    } else {
        "Not logged in.".to_owned()
    });
    Ok(ExitCode::SUCCESS)
}

/// A screen needs a login. On a terminal one of the pool's is offered; elsewhere the command is named.
pub(crate) fn offer_login(product: &Product) -> Result<(), CliError> {
    let pool = product.store.read_now()?;
    let offered = product.decide(&pool).choice.and_then(|(record, _)| Named::of(&pool, &record));
    let Some(offered) = offered.or_else(|| Named::all(&pool).into_iter().next()) else { return Err(no_accounts()) };
    let Named { number, label, .. } = &offered;
    let path = product.layout.auth_json();
    let needed = "Codex's interactive screen needs a login, and there is none here.";
    let refused = CliError::new(Kind::NeedsLogin, "no_login", needed).hint(format!(
        "Run `codex-multi-auth switch {number}` to write account {number} to {path}, then start codex again."
    ));
    if !product.ui.can_ask {
        return Err(refused);
    }
    product.ui.say(&format!("{needed}\n`switch {number}` would write {label} to {path}."));
    let asked = format!("Write it now? [Y/n, or the number of another account, 1-{}] ", pool.accounts.len());
    let answer = product.ui.ask(&asked).map(|answer| answer.to_lowercase());
    let selector = match answer.as_deref() {
        Some("" | "y" | "yes") => number.to_string(),
        None | Some("n" | "no" | "q") => return Err(refused),
        Some(other) => other.to_owned(),
    };
    let target = chosen(&pool, &selector)?;
    target.refuse_dead(product)?;
    let (target, warning) = target.freshened(product)?;
    if let Some(warning) = warning {
        product.ui.say(&warning);
    }
    // Not pinned: the login is only whom codex believes to be; routing goes on choosing.
    match select(product, &target, Pin::Keep)? {
        LoginMirror::Written { path, drift } => {
            product.ui.say(&format!("{path} holds {} now; routing still chooses who serves.", target.named.label));
            if let Some(drift) = drift {
                product.ui.say(&drift);
            }
            Ok(())
        }
        LoginMirror::Off => Err(CliError::usage("CODEX_MULTI_AUTH_SYNC_CODEX_CLI=0 forbids writing codex's login.")
            .hint("Unset it, then start codex again.")),
        LoginMirror::Failed { why } => Err(CliError::new(Kind::Storage, "login_not_written", why)),
    }
}
