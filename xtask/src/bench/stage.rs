//! The programs of one run, all up together: a backend, and the ways to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::workspace::Workspace;

use super::nginx;
use super::running::Running;

/// Accounts of the pool that is measured unless said otherwise.
const ACCOUNTS: usize = 5;
/// Accounts of the large pool.
const MANY: usize = 500;
/// Accounts of the pool that `list` shows.
const LISTED: usize = 50;
/// Bytes of an access token, as the vendor's are.
const TOKEN: usize = 1800;

/// A way to the backend.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// The file with the token to present, where one is asked for.
    pub(crate) token_file: Option<PathBuf>,
}

/// Everything that is up, and where it is.
pub(crate) struct Stage {
    dir: PathBuf,
    programs: PathBuf,
    backend: u16,
    nginx_version: Option<String>,
    pub(crate) ways: Vec<Way>,
    pub(crate) many_accounts: Way,
    running: Vec<Running>,
}

impl Stage {
    /// Starts all of them in a directory of their own.
    pub(crate) fn set(workspace: &Workspace) -> Result<Self, String> {
        let dir = workspace.target.join(format!("bench-{}", std::process::id()));
        let programs = workspace.target.join("release");
        let backend_program = Running::start(&mut Command::new(programs.join("bench-backend")))?;
        let backend = backend_program.port()?;
        let mut stage = Self {
            dir,
            programs,
            backend,
            nginx_version: nginx::version(),
            ways: vec![Way { name: "direct", port: backend, token_file: None }],
            many_accounts: Way { name: "many", port: 0, token_file: None },
            running: vec![backend_program],
        };
        let ours = stage.agent("ours", ACCOUNTS)?;
        stage.ways.push(ours);
        let mut passthrough = Command::new(stage.program("bench-passthrough"));
        let passthrough = Running::start(passthrough.arg(backend.to_string()))?;
        stage.ways.push(Way { name: "hyper", port: passthrough.port()?, token_file: None });
        stage.running.push(passthrough);
        if stage.nginx_version.is_some() {
            let (running, port) = nginx::start(&stage.dir.join("nginx"), backend)?;
            stage.ways.push(Way { name: "nginx", port, token_file: None });
            stage.running.push(running);
        }
        stage.many_accounts = stage.agent("many", MANY)?;
        Ok(stage)
    }

    /// What stands beside us, for the page.
    pub(crate) fn neighbours(&self) -> String {
        self.nginx_version.as_ref().map_or_else(|| "no nginx".to_owned(), |version| format!("nginx {version}"))
    }

    /// The way called `ours`.
    pub(crate) fn ours(&self) -> &Way {
        self.ways.iter().find(|way| way.name == "ours").expect("it is started with the stage")
    }

    /// A place for files of this run.
    pub(crate) fn room(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A program of this build.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The product, in a world of its own whose pool has `accounts` accounts.
    pub(crate) fn product(&self, world: &str, accounts: usize) -> Result<Command, String> {
        let root = self.root(world);
        if !root.exists() {
            write_pool(&root, accounts).map_err(|e| format!("write a pool into {}: {e}", root.display()))?;
        }
        let home = self.dir.join(world).join("home");
        let mut command = Command::new(self.program("codex-multi-auth"));
        command.env_clear().env("HOME", &home).env("CODEX_MULTI_AUTH_DIR", root);
        command.env("CODEX_HOME", home.join(".codex")).env("XDG_STATE_HOME", home.join("state"));
        command.env("CODEX_MULTI_AUTH_BACKEND_URL", format!("http://127.0.0.1:{}", self.backend));
        Ok(command)
    }

    /// The product over the pool that `list` shows.
    pub(crate) fn listing(&self, args: &[&str]) -> Result<Command, String> {
        let mut command = self.product("listed", LISTED)?;
        command.args(args);
        Ok(command)
    }

    /// The agent in the foreground, over the usual pool.
    pub(crate) fn fresh_agent(&self, world: &str) -> Result<(Running, Way), String> {
        let running = Running::start(self.product(world, ACCOUNTS)?.args(["serve", "--json"]))?;
        let ready: Value = serde_json::from_str(&running.said).map_err(|e| format!("the ready line: {e}"))?;
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no port when ready")?;
        let token_file = Some(self.root(world).join("agent/agent.json"));
        Ok((running, Way { name: "ours", port, token_file }))
    }

    fn agent(&mut self, world: &'static str, accounts: usize) -> Result<Way, String> {
        // The first to ask for a world decides how many accounts its pool has.
        drop(self.product(world, accounts)?);
        let (running, way) = self.fresh_agent(world)?;
        self.running.push(running);
        Ok(Way { name: world, ..way })
    }

    fn root(&self, world: &str) -> PathBuf {
        self.dir.join(world).join("root")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.running.clear();
        // What is left over lies in the build directory, where nobody minds.
        let _left = fs::remove_dir_all(&self.dir);
    }
}

fn write_pool(root: &Path, accounts: usize) -> std::io::Result<()> {
    fs::create_dir_all(root)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = |at: Duration| u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    let tomorrow = millis(now + Duration::from_hours(24));
    let rows: Vec<Value> = (1..=accounts).map(|number| account(number, millis(now), tomorrow)).collect();
    let pool = json!({ "version": 3, "accounts": rows, "activeIndex": 0, "activeIndexByFamily": {} });
    let file = root.join("openai-codex-accounts.json");
    fs::write(&file, serde_json::to_vec(&pool)?)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}

/// An account as the pool's file holds it, with tokens of the usual size that mean nothing.
fn account(number: usize, now: u64, tomorrow: u64) -> Value {
    json!({
        "recordId": format!("record:{number:064x}"), "accountId": format!("workspace-{number}"),
        "accountIdSource": "token", "email": format!("person{number}@example.test"),
        "refreshToken": format!("rt_{number}_{}", "r".repeat(80)),
        "accessToken": format!("e30.{}.{number}", "a".repeat(TOKEN)),
        "expiresAt": tomorrow, "addedAt": now, "lastUsed": now,
    })
}
