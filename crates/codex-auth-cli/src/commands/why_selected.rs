//! `why-selected`: the agent's own decision where one runs, else the same evaluator over the files; and the last
//! decision that was made, made once more from its record.

use std::process::ExitCode;

use codex_auth_core::Kind;
use codex_auth_view::{Named, WhySelected};

use crate::{agent::decided, assemble::Product, decided::last, error::CliError, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct WhyArguments {
    /// The selection a request would meet now (default)
    #[arg(long, short)]
    now: bool,
    /// The last selection the agent made, made once more from its record
    #[arg(long, short)]
    last: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Explains the selection.
pub(crate) fn why_selected(product: &Product, arguments: &WhyArguments) -> Result<ExitCode, CliError> {
    let why = match (arguments.now, arguments.last) {
        (true, true) => return Err(CliError::usage("Cannot combine --now with --last")),
        (_, false) => of_now(product)?,
        (false, true) => of_last(product)?,
    };
    product.ui.show(&why, arguments.json.is_wanted());
    Ok(if why.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn of_now(product: &Product) -> Result<WhySelected, CliError> {
    let pool = product.store.read_now()?;
    let (by, decision) = decided(product, &pool)?;
    Ok(WhySelected::new((by, product.settings()?.strategy), &pool, &decision, product.clock.now()))
}

fn of_last(product: &Product) -> Result<WhySelected, CliError> {
    let pool = product.store.read_now()?;
    let Some(mut last) = last(&product.decisions())? else {
        let none = "No decision is recorded: no request came through the agent yet.";
        return Err(CliError::new(Kind::Usage, "no_decision", none)
            .hint("`codex-multi-auth why-selected` shows the selection a request would meet now."));
    };
    if let (false, Some((record, reason))) = (last.recalled.same_again, last.choice) {
        let label = Named::of(&pool, &record).map_or_else(|| record.to_string(), |named| named.label);
        last.recalled.chosen_then = Some(format!("{label}, {}", reason.as_str()));
    }
    Ok(WhySelected::last(last.recalled, last.strategy, (&pool, &last.decision), product.clock.now()))
}
