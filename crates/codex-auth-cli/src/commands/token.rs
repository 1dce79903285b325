//! `token`: a capability to the agent for other programs; all of them; and, asked for twice, an account's own token.

use std::{process::ExitCode, time::Duration};

use codex_auth_core::{Kind, LONGEST_PERMIT};
use codex_auth_view::{CapabilityMade, ProviderBlock};
use serde_json::json;

use crate::{
    accounts::{chosen, no_accounts},
    assemble::Product,
    commands::token::asking::{Agent, row},
    error::CliError,
    span::{span, typed},
};

mod asking;
mod listing;
mod raw;

/// The name in a provider block when the user gives none.
const IN_CONFIG: &str = "codex";

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct TokenArguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    limits: Limits,
    /// Print a block for codex's config.toml that asks for such a capability by itself
    #[arg(long, conflicts_with = "raw")]
    config: bool,
    #[command(flatten)]
    raw: Raw,
    /// Print one JSON document
    #[arg(long, short, global = true)]
    json: bool,
}

/// The way past all limits.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Raw {
    /// Print the account's own access token instead: it lives for days and cannot be revoked here
    #[arg(long = "raw", conflicts_with_all = ["models", "requests", "expires", "name", "reopen"])]
    raw: bool,
    /// Do not ask
    #[arg(long, short, requires = "raw")]
    yes: bool,
}

/// How long a capability may live.
fn life(text: &str) -> Result<Duration, String> {
    let found = span(text).filter(|span| !span.is_zero() && *span <= LONGEST_PERMIT);
    found.ok_or_else(|| "use a number and a unit, such as 30m, 8h or 7d; at most 30d".to_owned())
}

/// What a capability is limited to.
#[derive(Debug, Clone, clap::Args)]
struct Limits {
    /// The only account that serves it: number, alias or e-mail address
    #[arg(long, value_name = "n|alias")]
    account: Option<String>,
    /// A model it may ask; may be given several times
    #[arg(long = "model", value_name = "slug", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    models: Vec<String>,
    /// How many model requests it is good for
    #[arg(long, value_name = "n", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// How long it lives, such as 30m, 8h or 7d; at most 30d
    #[arg(long, value_name = "duration", default_value = "1h", value_parser = life)]
    expires: Duration,
    /// A name for it; asked for again under its name and with the same limits, it is the same one
    #[arg(long, value_name = "text", value_parser = name)]
    name: Option<String>,
    /// Make one under a name that was revoked
    #[arg(long, requires = "name")]
    reopen: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum What {
    /// Show the valid ones, without their secrets
    List,
    /// End one at once, and close its name
    Revoke {
        /// Its id or name
        #[arg(value_name = "id|name", required_unless_present = "all", conflicts_with = "all")]
        which: Option<String>,
        /// End them all
        #[arg(long)]
        all: bool,
    },
}

impl TokenArguments {
    /// The command's name in documents.
    pub(crate) fn name(&self) -> &'static str {
        match self.what {
            None => "token",
            Some(What::List) => "token list",
            Some(What::Revoke { .. }) => "token revoke",
        }
    }

    /// Whether a document is wanted.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Does what was asked.
pub(crate) fn token(product: &Product, arguments: &TokenArguments) -> Result<ExitCode, CliError> {
    let TokenArguments { what, limits, config, raw: Raw { raw, yes }, json } = arguments;
    match what {
        Some(What::List) => listing::list(product, *json),
        Some(What::Revoke { which, .. }) => listing::revoke(product, which.as_deref(), *json),
        None if *raw => raw::raw(product, limits.account.as_deref(), *yes, *json),
        None if *config => block(product, limits, *json),
        None => make(product, limits, *json),
    }
}

fn make(product: &Product, limits: &Limits, as_json: bool) -> Result<ExitCode, CliError> {
    let account = account(product, limits)?;
    let agent = Agent::attach(product)?;
    let made = agent.ask(
        "/v1/permits",
        &json!({
            "name": limits.name, "account": account, "models": limits.models, "requests": limits.requests,
            "lastsMs": u64::try_from(limits.expires.as_millis()).unwrap_or(u64::MAX), "reopens": limits.reopen,
        }),
    );
    let made = made.map_err(|error| match (error.code, &limits.name) {
        ("capability_revoked", Some(name)) => {
            error.hint(format!("Run `codex-multi-auth token --name {name} --reopen` to make one under it again."))
        }
        (_, _) => error,
    })?;
    let secret = made["token"].as_str().unwrap_or_default();
    let made = CapabilityMade::new(secret, agent.base_url(), row(&made));
    product.ui.show(&made, as_json);
    if product.ui.talks_to_a_person {
        product.ui.say(&made.note(product.clock.now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The record of the account that was named.
fn account(product: &Product, limits: &Limits) -> Result<Option<String>, CliError> {
    let pool = product.store.read_now()?;
    if pool.accounts.is_empty() {
        return Err(no_accounts());
    }
    let Some(selector) = &limits.account else { return Ok(None) };
    let target = chosen(&pool, selector)?;
    target.refuse_dead(product)?;
    Ok(Some(target.held.account.record.to_string()))
}

/// Nothing is made: the client asks for it whenever it needs one.
fn block(product: &Product, limits: &Limits, as_json: bool) -> Result<ExitCode, CliError> {
    account(product, limits)?;
    let mut words = vec!["token".to_owned()];
    let name = limits.name.as_deref().unwrap_or(IN_CONFIG);
    words.extend(["--name".to_owned(), name.to_owned()]);
    if let Some(account) = &limits.account {
        words.extend(["--account".to_owned(), account.clone()]);
    }
    words.extend(limits.models.iter().flat_map(|model| ["--model".to_owned(), model.clone()]));
    if let Some(requests) = limits.requests {
        words.extend(["--requests".to_owned(), requests.to_string()]);
    }
    words.extend(["--expires".to_owned(), typed(limits.expires)]);
    let agent = Agent::attach(product)?;
    let program = product.own_path.to_str().ok_or_else(|| {
        CliError::new(Kind::Usage, "own_path", "The path of this program is no text, so no configuration can name it.")
    })?;
    product.ui.show(&ProviderBlock::new(agent.base_url(), program, &words), as_json);
    Ok(ExitCode::SUCCESS)
}

/// Short, and nothing that a shell or a screen would take for something else.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let is_fine = (1..=64).contains(&text.len()) && text.chars().all(is_plain) && !text.starts_with('-');
    if is_fine { Ok(text.to_owned()) } else { Err("use up to 64 letters, digits, `-`, `_` and `.`".to_owned()) }
}
