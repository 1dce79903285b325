//! `best`: the account that the forecast names is selected, and a pin is cleared.

use std::process::ExitCode;

use codex_auth_core::{Recommendation, RecordId, SavedPool};
use codex_auth_view::{Best, Named, recommendation_text};

use super::{
    forecast::{know, look},
    switch::{Pin, select},
};
use crate::{accounts::Chosen, assemble::Product, error::CliError, json_flag::Json};

/// How it was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BestArguments {
    /// Ask the backend how much is left first; no model is asked
    #[arg(long, short)]
    live: bool,
    /// The model the request will be for; with --live
    #[arg(long, short)]
    model: Option<String>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Selects the best account.
pub(crate) fn best(product: &Product, arguments: &BestArguments) -> Result<ExitCode, CliError> {
    if arguments.model.is_some() && !arguments.live {
        return Err(CliError::usage("--model requires --live for codex-multi-auth best")
            .hint("Usage: codex-multi-auth best [--live] [--json] [--model <model>]"));
    }
    let findings = if arguments.live { look(product)? } else { Vec::new() };
    let pool = product.store.read_now()?;
    if pool.accounts.is_empty() {
        return Ok(shown(product, &Best::no_accounts(), arguments));
    }
    // The pin goes with the choice, so it has no say in it.
    let free = SavedPool { pin: None, ..pool.clone() };
    let known = know(product, &free, arguments.model.as_deref(), None, findings);
    let recommended = Recommendation::of(&known.decision, &known.prospects);
    let reason = recommendation_text(&recommended, &known.prospects, product.clock.now());
    let errors = known.probe_errors(&pool);
    let Some(record) = recommended.record() else {
        return Ok(shown(product, &Best::nobody(reason, errors), arguments));
    };
    let best = take(product, &pool, record, reason, errors)?;
    Ok(shown(product, &best, arguments))
}

/// Takes the account, as `switch` does, without pinning it.
fn take(
    product: &Product,
    pool: &SavedPool,
    record: &RecordId,
    reason: String,
    errors: Vec<String>,
) -> Result<Best, CliError> {
    let held = pool.find(record).cloned().ok_or_else(|| codex_auth_core::StoreError::NoSuchAccount(record.clone()))?;
    let named = Named::of(pool, record).expect("the pool just named it");
    let has_pin = pool.pin.is_some();
    if pool.active.as_ref() == Some(record) {
        if has_pin {
            product.change("best", "cleared the pin", |pool| {
                pool.pin = None;
                pool.affinity_generation += 1;
            })?;
        }
        return Ok(Best::already(named, has_pin, reason, errors));
    }
    let target = Chosen { named, held };
    target.refuse_dead(product)?;
    let (target, warning) = target.freshened(product)?;
    let was_disabled = !target.held.account.enabled;
    let login = select(product, &target, Pin::Clear)?;
    let notes = warning.into_iter().collect();
    Ok(Best::switched(target.named, &login, (was_disabled, has_pin), reason, (errors, notes)))
}

fn shown(product: &Product, best: &Best, arguments: &BestArguments) -> ExitCode {
    product.ui.show(best, arguments.json.is_wanted());
    if !arguments.json.is_wanted() {
        for note in best.notes() {
            product.ui.say(note);
        }
    }
    if best.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
