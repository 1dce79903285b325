//! `rotation`: which sessions are routed and by whom; routing on and off.

use std::process::ExitCode;

use codex_auth_view::{EnvOverride, RotationChanged, RotationStatus};
use http::Method;
use serde_json::{Value, json};

use crate::{
    agent::{ask, decided, status_of},
    assemble::Product,
    error::{CliError, capitalised},
};

/// Turns routing on or off for one invocation.
const VARIABLE: &str = "CODEX_MULTI_AUTH_RUNTIME_ROTATION_PROXY";

/// The setting that says so.
const KEY: &str = "codexRuntimeRotationProxy";

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RotationArguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Show the agent, its sessions and the accounts (default)
    Status,
    /// Route new sessions through the agent
    Enable,
    /// Let new sessions use codex's own login
    Disable,
}

impl RotationArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None | Some(What::Status) => "rotation status",
            Some(What::Enable) => "rotation enable",
            Some(What::Disable) => "rotation disable",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Shows or sets routing.
pub(crate) fn rotation(product: &Product, arguments: &RotationArguments) -> Result<ExitCode, CliError> {
    match arguments.what {
        None | Some(What::Status) => status(product, arguments.json)?,
        Some(What::Enable) => set(product, true, arguments.json)?,
        Some(What::Disable) => set(product, false, arguments.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn status(product: &Product, as_json: bool) -> Result<(), CliError> {
    let pool = product.store.read_now()?;
    let settings = product.settings()?;
    product.say_overrides();
    let path = product.layout.accounts().into_string();
    let status = RotationStatus::new(path, &pool, &decided(product, &pool)?.1, product.clock.now()).settings(
        (settings.enabled, settings.strategy),
        product.settings_file().read()?.document.stored(KEY).and_then(Value::as_bool),
        env_override(product),
    );
    let status = match ask(product, Method::GET, "/v1/status")? {
        Some(document) => {
            let (agent, sessions) = status_of(&document);
            status.agent(agent, sessions)
        }
        None => status,
    };
    product.ui.show(&status, as_json);
    Ok(())
}

fn set(product: &Product, enabled: bool, as_json: bool) -> Result<(), CliError> {
    let edited = product.settings_file().edit(product.clock.now(), |all| all.set(KEY, Some(json!(enabled))))?;
    edited.answer.map_err(|error| CliError::usage(capitalised(&error.to_string())))?;
    let changed = RotationChanged::new(enabled, product.settings()?.enabled, env_override(product));
    product.ui.show(&changed, as_json);
    Ok(())
}

fn env_override(product: &Product) -> EnvOverride {
    match product.environment.text(VARIABLE).map(|raw| (raw.to_lowercase(), raw)) {
        None => EnvOverride::None,
        Some((word, raw)) => match word.as_str() {
            "1" | "true" | "yes" => EnvOverride::Enabled,
            "0" | "false" | "no" => EnvOverride::Disabled,
            _ => EnvOverride::Invalid(raw.to_owned()),
        },
    }
}
