//! The demo's world: a directory, an environment, and the programs that run in it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use codex_auth_core::{Kind, SavedPool, StateDir};
use codex_auth_proxy::AgentRecord;
use codex_auth_store::{FileStore, Layout, LayoutInputs, PrivateDir};
use codex_auth_testkit::{Egress, FakeOpenAi};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{browser, client, failed};
use crate::{
    assemble::{BACKEND_VARIABLE, ISSUER_VARIABLE, Product},
    error::CliError,
    official_binary::{self, REAL_BINARY},
};

/// The client's quiet configuration: with its defaults a healthy client looks for updates, plugins and metrics.
const QUIET: &str =
    "check_for_update_on_startup = false\n[analytics]\nenabled = false\n[features]\nplugins = false\napps = false\n";

/// The demo's world.
pub(super) struct Stage<'a> {
    product: &'a Product,
    directory: tempfile::TempDir,
    environment: BTreeMap<&'static str, OsString>,
    layout: Layout,
    egress: Egress,
    is_official: bool,
}

/// A turn of the client under way.
pub(super) struct Running(Child);

impl<'a> Stage<'a> {
    /// Builds the world around a running fake.
    pub(super) fn set(product: &'a Product, fake: &FakeOpenAi) -> Result<Self, CliError> {
        let directory = tempfile::Builder::new()
            .prefix("codex-auth-demo-")
            .tempdir()
            .map_err(|error| failed(&error.to_string()))?;
        let home = directory.path().to_owned();
        let place = |name: &str| {
            let path = home.join(name);
            std::fs::create_dir(&path).map(|()| path).map_err(|error| failed(&error.to_string()))
        };
        let (codex_home, temporary, work) = (place(".codex")?, place("tmp")?, place("work")?);
        let bin = place("bin")?;
        write(&codex_home.join("config.toml"), QUIET)?;
        let inputs = LayoutInputs {
            home: text(&home),
            codex_home: Some(text(&codex_home)),
            multi_auth_dir: None,
            xdg_state_home: Some(text(&home.join("state"))),
            ..LayoutInputs::default()
        };
        let layout = Layout::resolve(&inputs);
        PrivateDir::new(layout.root())
            .replace("settings.json", b"{\"version\":1,\"pluginConfig\":{\"schedulingStrategy\":\"sequential\"}}\n")?;
        let egress = Egress::start(0, None).map_err(|error| failed(&error.to_string()))?;
        let (real, is_official) = client_of(product, &bin)?;
        let refused = egress.url();
        let environment = BTreeMap::from([
            ("HOME", home.clone().into()),
            ("CODEX_HOME", codex_home.into()),
            ("XDG_STATE_HOME", home.join("state").into()),
            ("XDG_CONFIG_HOME", home.join("config").into()),
            ("XDG_DATA_HOME", home.join("data").into()),
            ("XDG_CACHE_HOME", home.join("cache").into()),
            ("TMPDIR", temporary.into()),
            ("PWD", work.into()),
            ("PATH", product.environment.raw("PATH").unwrap_or_default().to_owned()),
            ("LANG", "C.UTF-8".into()),
            ("HTTPS_PROXY", refused.clone().into()),
            ("HTTP_PROXY", refused.into()),
            ("NO_PROXY", "127.0.0.1,localhost,::1".into()),
            ("CODEX_MULTI_AUTH_STATUSLINE", "0".into()),
            (ISSUER_VARIABLE, fake.url().into()),
            (BACKEND_VARIABLE, fake.backend_url().into()),
            (REAL_BINARY, real.into()),
        ]);
        Ok(Self { product, directory, environment, layout, egress, is_official })
    }

    /// Which client plays.
    pub(super) fn client_line(&self) -> &'static str {
        if self.is_official {
            "the official codex"
        } else {
            "a small built-in one (install codex, or run `cargo xtask clients`, to see the official one)"
        }
    }

    /// Prints a line of the story.
    pub(super) fn say(&self, line: &str) {
        self.product.ui.line(line);
    }

    /// One sign-in with our own command; the demo's browser opens the address it prints.
    pub(super) fn sign_in(&self) -> Result<(), CliError> {
        let broke = |error: std::io::Error| failed(&error.to_string());
        let (printed, print) = std::io::pipe().map_err(broke)?;
        let mut command = self.ours(&["login", "--no-browser"]);
        command.stdout(print.try_clone().map_err(broke)?).stderr(print);
        let mut child = command.spawn().map_err(broke)?;
        // The command holds the writing end too; without this the reading would never end.
        drop(command);
        let mut seen = String::new();
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            if let Some(url) = line.split_whitespace().find(|word| word.contains("/oauth/authorize?")) {
                browser::open(url).map_err(broke)?;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        if child.wait().map_err(broke)?.success() {
            return Ok(());
        }
        Err(failed(&format!("a sign-in ended with: {}", seen.trim())))
    }

    /// Starts a turn of the client through the agent.
    pub(super) fn client(&self) -> Result<Running, CliError> {
        let child = self
            .ours(&["run", "--", "exec", "--skip-git-repo-check", "say hi"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        child.map(Running).map_err(|error| failed(&error.to_string()))
    }

    /// The pool as it is on disk.
    pub(super) fn pool(&self) -> Result<SavedPool, CliError> {
        Ok(FileStore::new(self.layout.clone(), self.product.clock.clone()).read_now()?)
    }

    /// Kills the agent, without a chance to say good-bye.
    pub(super) fn kill_agent(&self) -> Result<u32, CliError> {
        let pid = self.agent()?.ok_or_else(|| failed("no agent is running"))?;
        kill_process(pid, Signal::KILL).map_err(|error| failed(&error.to_string()))?;
        Ok(pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// Takes everything down and says what tried to leave the machine.
    pub(super) fn strike(self) -> Result<Vec<String>, CliError> {
        if let Some(pid) = self.agent()? {
            // It may have gone by itself meanwhile.
            let _gone = kill_process(pid, Signal::TERM);
            wait_for_end(pid);
        }
        let attempts = self.egress.attempts().into_iter().map(|attempt| attempt.target).collect();
        self.directory.close().map_err(|error| failed(&error.to_string()))?;
        Ok(attempts)
    }

    fn agent(&self) -> Result<Option<Pid>, CliError> {
        let record = AgentRecord::read(&PrivateDir::new(self.layout.root().join("agent")))?;
        Ok(record.and_then(|record| Pid::from_raw(i32::try_from(record.pid).ok()?)))
    }

    fn ours(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.product.own_path);
        command.args(words).env_clear().envs(&self.environment).stdin(Stdio::null());
        command.current_dir(self.directory.path().join("work"));
        command
    }
}

impl Running {
    /// Waits for the end; what the client printed.
    pub(super) fn wait(self) -> Result<String, CliError> {
        let output = self.0.wait_with_output().map_err(|error| failed(&error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(failed(&format!("codex ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
    }
}

/// The official client where there is one: named, on `PATH`, or provisioned beside this build. Otherwise a copy of this
/// program under the built-in client's name.
fn client_of(product: &Product, bin: &Path) -> Result<(PathBuf, bool), CliError> {
    if let Ok(found) = official_binary::find(&product.environment, &product.own_path) {
        return Ok((found, true));
    }
    let cache = product.environment.raw("CODEX_AUTH_CACHE").map(PathBuf::from);
    let caches = cache.into_iter().chain(product.own_path.ancestors().map(|above| above.join("cache")));
    let provisioned = caches.map(|cache| cache.join("clients/node_modules/.bin/codex")).find(|path| path.exists());
    if let Some(found) = provisioned {
        return Ok((found, true));
    }
    let copy = bin.join(client::NAME);
    std::fs::copy(&product.own_path, &copy).map_err(|error| failed(&error.to_string()))?;
    Ok((copy, false))
}

/// Waits, bounded, until a process is gone.
fn wait_for_end(pid: Pid) {
    let (gone, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while test_kill_process(pid).is_ok() {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        gone.send(())
    });
    // An agent that does not end in time is the system's to reap; its directory goes all the same.
    let _too_late = waiting.recv_timeout(Duration::from_secs(4));
}

#[expect(clippy::disallowed_methods, reason = "the demo's world is thrown away; nothing in it must survive a crash")]
fn write(path: &Path, words: &str) -> Result<(), CliError> {
    std::fs::write(path, words).map_err(|error| CliError::new(Kind::Storage, "demo_failed", error.to_string()))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
