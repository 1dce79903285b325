//! `import-current`: the login codex itself has comes into the pool; its file stays as it is.

use std::process::ExitCode;

use codex_auth_core::{Kind, LoginState, OfficialLogins};
use codex_auth_oauth::DEFAULT_ISSUER;
use codex_auth_store::import::from_login;

use crate::{
    assemble::Product,
    commands::login::{joined, show},
    error::CliError,
    json_flag::Json,
};

/// How it was asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ImportCurrentArguments {
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Adds codex's own login.
pub(crate) fn import_current(product: &Product, arguments: ImportCurrentArguments) -> Result<ExitCode, CliError> {
    let path = product.layout.auth_json();
    let missing = |message: String| {
        CliError::new(Kind::NeedsLogin, "no_login", message)
            .hint("Run `codex-multi-auth login` to sign in to an account instead.")
    };
    let login = match product.official.login(product.layout.codex_home().as_str())? {
        LoginState::Usable(login) => *login,
        LoginState::Absent => return Err(missing(format!("Codex has no login here: {path} does not exist."))),
        LoginState::Unusable { why } => {
            return Err(missing(format!("{} Nothing was imported.", crate::error::capitalised(&why))));
        }
    };
    refuse_foreign_issuer(product, path.as_str(), login.issuer.as_deref())?;
    let joined = joined(product, "import-current", from_login(login, product.clock.now()), None)?;
    product.ui.say(&format!("{path} stays as it is. Both hold one sign-in now: it is renewed for both."));
    show(product, "import-current", joined, arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// A login that was granted elsewhere would carry its refresh token to an issuer nobody chose.
pub(crate) fn refuse_foreign_issuer(product: &Product, path: &str, issuer: Option<&str>) -> Result<(), CliError> {
    let Some(issuer) = issuer else { return Ok(()) };
    let endpoints = product.endpoints()?;
    if issuer == DEFAULT_ISSUER || issuer.trim_end_matches('/') == endpoints.issuer() {
        return Ok(());
    }
    Err(CliError::usage(format!(
        "{path} names the issuer {issuer}; only sign-ins of {} are imported.",
        endpoints.issuer()
    ))
    .hint("Sign in with `codex-multi-auth login` instead."))
}
