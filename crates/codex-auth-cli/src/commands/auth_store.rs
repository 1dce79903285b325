//! `auth-store`: where codex keeps its login, and making it keep it where `switch` can write it.

use std::process::ExitCode;

use codex_auth_core::{Kind, LoginState, OfficialLogins as _};
use codex_auth_store::ClientStore;
use codex_auth_view::AuthStore;

use crate::{assemble::Product, error::CliError};

/// Forbids touching the key.
const VARIABLE: &str = "CODEX_MULTI_AUTH_ENFORCE_CLI_FILE_AUTH_STORE";

/// How it was asked for.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct AuthStoreArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Make codex keep its login in auth.json; sets one key of its config.toml, everything else stays
    File,
}

impl AuthStoreArguments {
    /// Whether a document is wanted.
    pub(crate) fn wants_json(self) -> bool {
        self.json
    }
}

/// Shows or sets it.
pub(crate) fn auth_store(product: &Product, arguments: AuthStoreArguments) -> Result<ExitCode, CliError> {
    let change = match arguments.what {
        None => None,
        Some(What::File) => {
            refuse_if_forbidden(product)?;
            product.store.keep_login_in_file()?
        }
    };
    let store = product.store.client_store()?;
    let login = match product.official.login(product.layout.codex_home().as_str())? {
        LoginState::Usable(login) => Some(login.owner.email.unwrap_or_else(|| "an unnamed account".to_owned())),
        LoginState::Absent | LoginState::Unusable { .. } => None,
    };
    let view = AuthStore {
        config_path: product.layout.config_toml().into_string(),
        reads_auth_json: store.as_ref().is_none_or(ClientStore::reads_auth_json),
        store: store.map(|store| store.as_str().to_owned()),
        auth_path: product.layout.auth_json().into_string(),
        login,
        changed: change.is_some(),
        copy_path: change.and_then(|change| change.copy).map(camino::Utf8PathBuf::into_string),
    };
    product.ui.show(&view, arguments.json);
    Ok(ExitCode::SUCCESS)
}

fn refuse_if_forbidden(product: &Product) -> Result<(), CliError> {
    if product.environment.switch(VARIABLE) != Some(false) {
        return Ok(());
    }
    let why = format!("{VARIABLE}=0 forbids setting cli_auth_credentials_store. Nothing was changed.");
    Err(CliError::new(Kind::Usage, "forbidden_by_environment", why).hint("Unset it, then run the command again."))
}
