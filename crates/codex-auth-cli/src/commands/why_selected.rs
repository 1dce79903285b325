//! `why-selected`: the agent's own decision where one runs, else the same evaluator over the files.

use std::process::ExitCode;

use codex_auth_view::{DecidedBy, WhyMode, WhySelected};
use http::Method;

use crate::{
    agent::{ask, decision_of},
    assemble::Product,
    error::CliError,
    json_flag::Json,
};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WhyArguments {
    /// The selection a request would meet now (default)
    #[arg(long, short)]
    now: bool,
    /// The last selection
    #[arg(long, short)]
    last: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Explains the selection.
pub(crate) fn why_selected(product: &Product, arguments: &WhyArguments) -> Result<ExitCode, CliError> {
    let mode = match (arguments.now, arguments.last) {
        (true, true) => return Err(CliError::usage("Cannot combine --now with --last")),
        (_, false) => WhyMode::Now,
        (false, true) => WhyMode::Last,
    };
    let pool = product.store.read_now()?;
    let told = ask(product, Method::POST, "/v1/decide")?.and_then(|document| decision_of(&document, &pool));
    let (by, decision) = match told {
        Some(decision) => (DecidedBy::Agent, decision),
        None => (DecidedBy::Files, product.decide(&pool)),
    };
    let asked = (mode, by, product.settings()?.strategy);
    let why = WhySelected::new(asked, &pool, &decision, product.clock.now());
    product.ui.show(&why, arguments.json.is_wanted());
    Ok(if why.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
