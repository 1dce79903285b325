//! `run -- …` and everything typed at the wrapper: the official client, routed through the agent.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
};

use codex_auth_core::{Kind, LoginState, OfficialLogins};
use codex_auth_proxy::{AgentClient, Attached, LeaseRequest, attach, hold};
use codex_auth_store::Scope;

use crate::{
    accounts::low_quotas,
    assemble::{PER_PROJECT, Product, WORKING_IN},
    child,
    client_version::ClientVersion,
    command_line::{Purpose, purpose},
    commands::official,
    error::CliError,
    launch::{Face, Launch, NoShape, Situation, routed},
    official_binary, version_cache,
};

/// The agent's log is begun anew when it is larger than this, in bytes.
const LARGEST_LOG: u64 = 1024 * 1024;

/// Runs the official client with these arguments.
pub(crate) fn run(product: &Product, arguments: &[OsString]) -> Result<ExitCode, CliError> {
    let binary = official_binary::find(&product.environment, &product.own_path)?;
    match purpose(arguments) {
        Purpose::Plain => plain(&binary, arguments),
        Purpose::Login => official::login(product, arguments),
        Purpose::Logout => official::logout(product),
        Purpose::Exec | Purpose::Screen | Purpose::AppServer if !product.settings()?.enabled => {
            product
                .ui
                .say("codex-multi-auth: routing is off (`rotation enable` turns it on); codex uses its own login.");
            plain(&binary, arguments)
        }
        asked @ (Purpose::Exec | Purpose::Screen | Purpose::AppServer) => {
            through_agent(product, &binary, arguments, asked)
        }
    }
}

/// The official client as it is.
pub(crate) fn plain(binary: &Path, arguments: &[OsString]) -> Result<ExitCode, CliError> {
    let mut command = Command::new(binary);
    command.args(arguments);
    end_of(command, binary)
}

fn through_agent(
    product: &Product,
    binary: &Path,
    arguments: &[OsString],
    purpose: Purpose,
) -> Result<ExitCode, CliError> {
    let pool = product.store.read_now()?;
    if pool.accounts.is_empty() {
        return Err(CliError::new(Kind::NeedsLogin, "needs_login", "No accounts configured.").hint(
            "Run `codex-multi-auth login` to sign in, or `codex-multi-auth import-current` to add codex's own login.",
        ));
    }
    let version = version_cache::of_client(product, binary)?;
    let login = product.official.login(product.layout.codex_home().as_str())?;
    let face_is_login = face(product, &login, purpose)?;
    if let LoginState::Usable(login) = &login
        && !pool.accounts.iter().any(|held| held.account.owner.agrees_with(&login.owner))
    {
        product.ui.say(
            "codex-multi-auth: codex's own login is not in the pool, so it serves nothing here; \
             `codex-multi-auth import-current` adds it.",
        );
    }
    let client = AgentClient::at(product.socket());
    let request = LeaseRequest {
        pid: std::process::id(),
        cwd: Product::working_directory(),
        codex_home: Some(product.layout.codex_home().to_string()),
    };
    let start = starter(product);
    let runtime = Product::runtime()?;
    let attached = runtime.block_on(attach(&client, &request, start.as_ref())).map_err(|error| {
        CliError::new(Kind::Internal, "agent_unavailable", crate::error::capitalised(&error.to_string()))
            .hint("Run `codex-multi-auth serve` to see why the agent does not start.")
    })?;
    let launch = shape(product, arguments, purpose, version, &attached, face_is_login)?;
    status_line(product, &attached);
    let began = product.clock.now();
    // The lease is held beside the child, on a thread of its own, and ends with this process.
    std::thread::spawn(move || runtime.block_on(hold(client, request, start, attached)));
    let ended = end_of(command_of(binary, &launch), binary);
    for told in low_quotas(product, &pool, Some(began)) {
        product.ui.say(&format!("codex-multi-auth: {told}"));
    }
    ended
}

/// Whether the client will use the login of its home. A screen without one cannot be started.
fn face(product: &Product, login: &LoginState, purpose: Purpose) -> Result<bool, CliError> {
    if let LoginState::Unusable { why } = login {
        product
            .ui
            .say(&format!("codex-multi-auth: {} is not a login codex can use ({why}).", product.layout.auth_json()));
    }
    match (login, purpose) {
        (LoginState::Usable(_), _) => Ok(true),
        (LoginState::Absent | LoginState::Unusable { .. }, Purpose::Exec) => Ok(false),
        (LoginState::Absent | LoginState::Unusable { .. }, _) => {
            official::offer_login(product)?;
            Ok(true)
        }
    }
}

fn shape(
    product: &Product,
    arguments: &[OsString],
    purpose: Purpose,
    version: ClientVersion,
    attached: &Attached,
    face_is_login: bool,
) -> Result<Launch, CliError> {
    let situation = Situation {
        port: attached.port,
        version,
        purpose,
        face: if face_is_login { Face::Login } else { Face::Lease(&attached.token) },
        no_proxy: product.environment.raw("NO_PROXY").or_else(|| product.environment.raw("no_proxy")),
        has_log_filter: product.environment.raw("RUST_LOG").is_some(),
    };
    routed(arguments, situation).map_err(|error: NoShape| {
        CliError::new(Kind::Usage, "client_not_routable", crate::error::capitalised(&error.to_string()))
            .hint("Update it with `npm install -g @openai/codex`, or set CODEX_MULTI_AUTH_BYPASS=1 to run it on its own login.")
    })
}

fn command_of(binary: &Path, launch: &Launch) -> Command {
    let mut command = Command::new(binary);
    command.args(&launch.arguments);
    for name in &launch.remove {
        command.env_remove(name);
    }
    command.envs(launch.set.iter().map(|(name, value)| (name, value)));
    command
}

fn end_of(command: Command, binary: &Path) -> Result<ExitCode, CliError> {
    match child::run(command) {
        Ok(ended) => Ok(ended.repeat()),
        Err(error) => Err(CliError::new(
            Kind::Internal,
            "launch_failed",
            format!("Failed to launch the official Codex CLI ({}): {error}", binary.display()),
        )),
    }
}

/// Starts an agent of this very program, away from this terminal and its signals.
pub(crate) fn starter(product: &Product) -> Arc<dyn Fn() -> io::Result<()> + Send + Sync> {
    let (own, base): (PathBuf, String) = (product.own_path.clone(), product.layout.base().to_string());
    let project = match &product.scope {
        Scope::Global { .. } => None,
        Scope::Project(project) => Some(project.root.clone()),
    };
    let log = product.agent_dir.path().join("agent.log");
    Arc::new(move || {
        let mut command = Command::new(&own);
        command.args(["serve", "--agent"]).env("CODEX_MULTI_AUTH_DIR", &base);
        // The pool is decided here, not once more by whatever the settings say when the agent reads them.
        command.env(PER_PROJECT, if project.is_some() { "1" } else { "0" });
        command.envs(project.iter().map(|root| (WORKING_IN, root)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
        command.stderr(log_file(log.as_std_path()).map_or_else(|_| Stdio::null(), Stdio::from));
        let mut child = command.process_group(0).spawn()?;
        // Reaped when it ends before us; when it outlives us, the system takes it over.
        std::thread::spawn(move || child.wait());
        Ok(())
    })
}

/// The agent's log, private from creation; begun anew when it has grown large.
fn log_file(path: &Path) -> io::Result<File> {
    let is_large = std::fs::metadata(path).is_ok_and(|log| log.len() > LARGEST_LOG);
    let mut open = OpenOptions::new();
    open.create(true).mode(0o600);
    if is_large { open.write(true).truncate(true).open(path) } else { open.append(true).open(path) }
}

fn status_line(product: &Product, attached: &Attached) {
    let wanted = product.environment.switch("CODEX_MULTI_AUTH_STATUSLINE").unwrap_or(product.ui.talks_to_a_person);
    if !wanted {
        return;
    }
    let Ok(pool) = product.store.read_now() else { return };
    let decision = product.decide(&pool);
    let account = decision.choice.and_then(|(record, _)| pool.number_of(&record));
    let account = account.map_or_else(|| "no account can serve".to_owned(), |number| format!("Account {number}"));
    product.ui.say(&format!(
        "codex-multi-auth | {account} | {} of {} ready | port {}",
        decision.standings.iter().filter(|standing| standing.is_ready()).count(),
        decision.standings.len(),
        attached.port,
    ));
}
