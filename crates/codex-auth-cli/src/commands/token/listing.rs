//! `token list` and `token revoke`.

use std::process::ExitCode;

use codex_auth_core::{Kind, Permit};
use codex_auth_proxy::Permits;
use codex_auth_view::{Capabilities, CapabilityRow, Revoked};
use http::Method;
use serde_json::{Value, json};

use super::asking::{Agent, row};
use crate::{agent, assemble::Product, error::CliError};

/// Shows the valid ones: from the agent, or from its file where none runs.
pub(super) fn list(product: &Product, as_json: bool) -> Result<ExitCode, CliError> {
    let now = product.clock.now();
    let rows = if let Some(told) = agent::ask(product, Method::GET, "/v1/permits")? {
        told["permits"].as_array().into_iter().flatten().map(row).collect()
    } else {
        let pool = product.store.read_now()?;
        let permits = Permits::listed_in(product.agent_dir.as_ref())?.into_iter();
        let valid = permits.filter(|permit| now < permit.expires_at);
        valid.map(|permit| kept(permit, |record| pool.number_of(record))).collect()
    };
    product.ui.show(&Capabilities::new(rows, now), as_json);
    Ok(ExitCode::SUCCESS)
}

fn kept(permit: Permit, number: impl Fn(&codex_auth_core::RecordId) -> Option<usize>) -> CapabilityRow {
    let Permit { id, terms, expires_at, last_used_at, used, .. } = permit;
    CapabilityRow {
        id,
        name: terms.name,
        account: terms.account.as_ref().and_then(number),
        bound: terms.account.is_some(),
        models: terms.models,
        requests: terms.requests,
        used,
        expires_at: expires_at.as_millis(),
        last_used_at: last_used_at.map(codex_auth_core::Timestamp::as_millis),
    }
}

/// Ends one, or all without a name. The agent has it on disk when this returns.
pub(super) fn revoke(product: &Product, which: Option<&str>, as_json: bool) -> Result<ExitCode, CliError> {
    let asked = which.map_or_else(|| json!({ "all": true }), |which| json!({ "which": which }));
    let told = Agent::attach(product)?.ask("/v1/permits/revoke", &asked)?;
    let ids = told["revoked"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let ids: Vec<String> = ids.map(str::to_owned).collect();
    if let (Some(which), true) = (which, ids.is_empty()) {
        return Err(CliError::new(
            Kind::Usage,
            "no_such_capability",
            format!("No valid capability is called {which}."),
        )
        .hint("Run `codex-multi-auth token list` to see them."));
    }
    product.ui.show(&Revoked::new(ids), as_json);
    Ok(ExitCode::SUCCESS)
}
