//! `serve`: the agent in the foreground, for service managers and for embedding; in the background it is started by
//! the wrapper.

use std::process::ExitCode;

use codex_auth_core::Kind;
use codex_auth_proxy::{AgentError, AgentReady, run_agent};
use serde_json::json;
use tokio::sync::watch;

use crate::{assemble::Product, error::CliError};

/// How `serve` was asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServeArguments {
    /// Port to listen on; by default the one used last
    #[arg(long)]
    port: Option<u16>,
    /// Print one JSON line when ready
    #[arg(long, short)]
    json: bool,
    /// Run as the background agent: end when the last session has ended
    #[arg(long, hide = true)]
    agent: bool,
}

/// Runs the agent until it is told to stop.
pub(crate) fn serve(product: &Product, arguments: &ServeArguments) -> Result<ExitCode, CliError> {
    if arguments.agent {
        // A session of its own, so that no terminal's end or key reaches it; failing means it has one already.
        let _has_one = rustix::process::setsid();
    } else {
        product.say_overrides();
    }
    log_to_stderr(product);
    let setup = product.agent_setup(arguments.port, !arguments.agent)?;
    let (stop, stopped) = watch::channel(false);
    let ui = product.ui;
    let (as_json, is_agent) = (arguments.json, arguments.agent);
    let ready = move |ready: &AgentReady| {
        let AgentReady { record, url } = ready;
        if as_json {
            let line = json!({
                "ready": true, "url": url, "port": record.port, "pid": record.pid, "version": record.binary_version,
            });
            ui.line(&line.to_string());
        } else if !is_agent {
            ui.say(&format!("codex-multi-auth serves on {url}; end it with Ctrl-C."));
        }
    };
    Product::runtime()?.block_on(async {
        tokio::spawn(async move {
            told_to_stop().await;
            stop.send_replace(true);
        });
        run_agent(setup, stopped, ready).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Tells what happens on stderr, which is `agent.log` for the background agent. Lines name accounts by record id and
/// errors by their words; no token has a type that can be printed.
fn log_to_stderr(product: &Product) {
    let is_debugging = product.environment.switch("CODEX_MULTI_AUTH_DEBUG") == Some(true);
    let level = if is_debugging { tracing::Level::DEBUG } else { tracing::Level::INFO };
    tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(std::io::stderr).init();
}

/// Returns at the first signal that asks a service to end.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut end), Ok(mut key)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        // Without handlers the signals end the process at once, which loses nothing either.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = end.recv() => {}
        _ = key.recv() => {}
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        let message = crate::error::capitalised(&error.to_string());
        match error {
            AgentError::AlreadyServed => Self::new(Kind::Conflict, "already_served", message)
                .hint("Use that agent (`codex-multi-auth rotation status` shows it), or stop it first."),
            AgentError::PortTaken { .. } => Self::new(Kind::Conflict, "port_in_use", message)
                .hint("Give another one with `codex-multi-auth serve --port <n>`, or leave --port out."),
            AgentError::Store(error) => error.into(),
            AgentError::Socket { .. } => Self::new(Kind::Internal, "socket", message),
        }
    }
}
