//! The agent as this command needs it: up, asked over its socket, and told in our words what it refuses.

use codex_auth_core::Kind;
use codex_auth_proxy::{AgentClient, Attached, ControlError, LeaseRequest, attach};
use codex_auth_view::CapabilityRow;
use http::Method;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{
    assemble::Product,
    commands::run::starter,
    error::{CliError, capitalised},
};

/// An agent that stays up while we ask.
pub(super) struct Agent {
    client: AgentClient,
    lease: Attached,
    runtime: Runtime,
}

impl Agent {
    /// Finds the agent or starts one.
    pub(super) fn attach(product: &Product) -> Result<Self, CliError> {
        let client = AgentClient::at(product.socket());
        let request = LeaseRequest { pid: std::process::id(), cwd: Product::working_directory(), codex_home: None };
        let runtime = Product::runtime()?;
        let lease = runtime.block_on(attach(&client, &request, starter(product).as_ref())).map_err(failed)?;
        Ok(Self { client, lease, runtime })
    }

    /// Where model requests go.
    pub(super) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.lease.port)
    }

    /// Asks for something to be done.
    pub(super) fn ask(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.runtime.block_on(self.client.ask(Method::POST, path, body)).map_err(failed)
    }
}

/// A capability, as the agent tells of it.
pub(super) fn row(told: &Value) -> CapabilityRow {
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    let models = told["models"].as_array().into_iter().flatten();
    CapabilityRow {
        id: text("id").unwrap_or_default(),
        name: text("name"),
        account: told["number"].as_u64().and_then(|number| usize::try_from(number).ok()),
        bound: told["account"].is_string(),
        models: models.filter_map(Value::as_str).map(str::to_owned).collect(),
        requests: told["requests"].as_u64(),
        used: told["used"].as_u64().unwrap_or(0),
        expires_at: told["expiresAt"].as_i64().unwrap_or(0),
        last_used_at: told["lastUsedAt"].as_i64(),
    }
}

fn failed(error: ControlError) -> CliError {
    let message = capitalised(&error.to_string());
    let ControlError::Refused { code, .. } = error else {
        return CliError::new(Kind::Internal, "agent_unavailable", message)
            .hint("Run `codex-multi-auth serve` to see why the agent does not start.");
    };
    match code.as_str() {
        "capability_revoked" => CliError::new(Kind::Conflict, "capability_revoked", message),
        "capability_refused" => CliError::new(Kind::Usage, "capability_refused", message)
            .hint("Run `codex-multi-auth token list`, and revoke what is not needed any more."),
        "no_such_account" => CliError::new(Kind::Conflict, "no_such_account", message)
            .hint("Run `codex-multi-auth list` to see the accounts."),
        "storage" => CliError::new(Kind::Storage, "storage", message)
            .hint("Mend the cause and run the command again; until then no capability is accepted."),
        "not_found" => CliError::new(Kind::Conflict, "agent_too_old", "The running agent is of an older version.")
            .hint("End its sessions (`codex-multi-auth rotation status` shows them), then run the command again."),
        _ => CliError::new(Kind::Internal, "agent_refused", message),
    }
}
