//! `rotation`: which sessions are routed and by whom; routing on and off.

use std::process::ExitCode;

use codex_auth_core::Strategy;
use codex_auth_view::{EnvOverride, RotationChanged, RotationStatus, RotationStrategy};
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

/// The setting that says how accounts are chosen.
const STRATEGY: &str = "schedulingStrategy";

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum What {
    /// Show the agent, its sessions and the accounts (default)
    Status,
    /// Route new sessions through the agent
    Enable,
    /// Let new sessions use codex's own login
    Disable,
    /// Show or set how accounts are chosen
    Strategy {
        /// hybrid, sequential, `round_robin`, sticky, `drain_first` or manual
        name: Option<Strategy>,
    },
}

impl RotationArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None | Some(What::Status) => "rotation status",
            Some(What::Enable) => "rotation enable",
            Some(What::Disable) => "rotation disable",
            Some(What::Strategy { .. }) => "rotation strategy",
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
        Some(What::Strategy { name }) => strategy(product, name, arguments.json)?,
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
    let status = status.fallback(&settings.fallback);
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

fn strategy(product: &Product, name: Option<Strategy>, as_json: bool) -> Result<(), CliError> {
    if let Some(name) = name {
        let edited =
            product.settings_file().edit(product.clock.now(), |all| all.set(STRATEGY, Some(json!(name.as_str()))))?;
        edited.answer.map_err(|error| CliError::usage(capitalised(&error.to_string())))?;
    }
    let stored = product.settings_file().read()?.document.stored(STRATEGY).and_then(Value::as_str).map(str::to_owned);
    product.ui.show(&RotationStrategy::new(product.settings()?.strategy, stored), as_json);
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
