//! `what-if`: recorded decisions made anew under another strategy, with another pin, or without an account.

use std::process::ExitCode;

use codex_auth_core::{
    Strategy,
    record::{self, Supposition},
};
use codex_auth_view::WhatIf;

use crate::{accounts::chosen, assemble::Product, decided::count, error::CliError, json_flag::Json, span::instant};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "supposed", required = true, multiple = true, args = ["strategy", "pin", "without"])]
pub(crate) struct WhatIfArguments {
    /// Suppose this strategy
    #[arg(long)]
    strategy: Option<Strategy>,
    /// Suppose that only this account may serve (number, alias or e-mail address)
    #[arg(long)]
    pin: Option<String>,
    /// Suppose that this account were not there
    #[arg(long, conflicts_with = "pin")]
    without: Option<String>,
    /// Only decisions since then: 30m, 8h, 7d, 2026-09-21 or 2026-09-21T14:13:20Z
    #[arg(long)]
    since: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Counts the choices that would have been others.
pub(crate) fn what_if(product: &Product, arguments: &WhatIfArguments) -> Result<ExitCode, CliError> {
    let now = product.clock.now();
    let since = arguments.since.as_deref().map(|text| {
        instant(text, now).ok_or_else(|| {
            CliError::usage(format!("--since cannot be \"{text}\"."))
                .hint("Use a span such as 30m, 8h or 7d, a day such as 2026-09-21, or 2026-09-21T14:13:20Z.")
        })
    });
    let (since, pool) = (since.transpose()?, product.store.read_now()?);
    let account = |selector: &Option<String>| selector.as_deref().map(|text| chosen(&pool, text)).transpose();
    let (pin, without) = (account(&arguments.pin)?, account(&arguments.without)?);
    let words = [
        arguments.strategy.map(|strategy| format!("strategy {strategy}")),
        pin.as_ref().map(|only| format!("only {}", only.named.label)),
        without.as_ref().map(|but| format!("without {}", but.named.label)),
    ];
    let supposed = Supposition {
        strategy: arguments.strategy,
        pin: pin.map(|only| only.held.account.record),
        without: without.map(|but| but.held.account.record),
    };
    let counted = count(&product.decisions(), since, record::WhatIf::supposing(supposed))?;
    let words = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
    product.ui.show(&WhatIf::new(words, &counted, &pool, now), arguments.json.is_wanted());
    Ok(ExitCode::SUCCESS)
}
