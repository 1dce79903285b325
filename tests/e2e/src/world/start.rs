//! How a world starts programs: the official client straight at the fake, through us, our own commands, anything.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

use codex_auth_testkit::Who;

use super::{CODEX_HOME, World};
use crate::codex;
use crate::leaks::Watch;
use crate::process::{Finished, LIMIT, Running};

impl World {
    /// The official client pointed straight at the fake, with the login in `auth.json`.
    #[track_caller]
    pub fn codex_direct(&self, args: &[&str]) -> Finished {
        self.start_codex_direct(args).wait(LIMIT)
    }

    /// Starts the official client pointed straight at the fake: by its login, or by an API key when there is none.
    #[track_caller]
    pub fn start_codex_direct(&self, args: &[&str]) -> Running {
        let port = self.fake.port();
        let logged_in = self.codex_home().join("auth.json").exists();
        let keys = if logged_in { codex::login_keys(port) } else { codex::api_key_keys(port) };
        let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
        let mut command = self.command(codex::native());
        command.args(&keys).args(args).env(codex::QUIET_UPGRADE.0, codex::QUIET_UPGRADE.1);
        command.env("CODEX_REFRESH_TOKEN_URL_OVERRIDE", url("/oauth/token"));
        command.env("CODEX_REVOKE_TOKEN_URL_OVERRIDE", url("/oauth/revoke"));
        if !logged_in {
            command.env("CODEX_API_KEY", self.fake.api_key(Who::Outsider));
        }
        self.start(command, b"")
    }

    /// The official client through us: `codex-multi-auth run -- <args>`.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        self.start_run(args).wait(LIMIT)
    }

    /// Starts the official client through us.
    #[track_caller]
    pub fn start_run(&self, args: &[&str]) -> Running {
        self.start_ours(&[&["run", "--"], args].concat())
    }

    /// A command of ours: `codex-multi-auth <args>`.
    #[track_caller]
    pub fn ours(&self, args: &[&str]) -> Finished {
        self.start_ours(args).wait(LIMIT)
    }

    /// Starts a command of ours.
    #[track_caller]
    pub fn start_ours(&self, args: &[&str]) -> Running {
        let mut command = self.our_command();
        command.args(args);
        self.start(command, b"")
    }

    /// Starts a command made by [`World::command`] with a whole standard input, and remembers what it says.
    #[track_caller]
    pub fn start(&self, command: Command, input: &[u8]) -> Running {
        let line = line_of(&command);
        let running = Running::start(command, line, input);
        self.records.borrow_mut().push(running.record().clone());
        running
    }

    /// The same, with an input that comes later by [`Running::types`].
    #[track_caller]
    pub fn start_open(&self, command: Command) -> Running {
        let line = line_of(&command);
        let running = Running::start_open(command, line);
        self.records.borrow_mut().push(running.record().clone());
        running
    }

    /// Our program, to be given words and variables.
    #[must_use]
    pub fn our_command(&self) -> Command {
        self.command(codex::program("codex-multi-auth"))
    }

    /// A command inside the world's network, with the world's environment and nothing of ours.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        command.env_clear().envs(self.environment()).current_dir(self.work());
        command
    }

    /// Begins to look at what the processes of this world show to others.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::over(Arc::clone(&self.namespace), self.fake.pid())
    }

    /// The whole environment of every child.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let at = |below: &str| self.dir.path().join(below).display().to_string();
        let fake = format!("http://127.0.0.1:{}", self.fake.port());
        let egress = format!("http://127.0.0.1:{}", self.fake.egress_port());
        let codex = codex::native().display().to_string();
        let pairs = [
            ("HOME", at("home")),
            ("CODEX_HOME", at(CODEX_HOME)),
            ("XDG_CONFIG_HOME", at("home/.config")),
            ("XDG_DATA_HOME", at("home/.local/share")),
            ("XDG_STATE_HOME", at("home/.local/state")),
            ("XDG_CACHE_HOME", at("home/.cache")),
            ("XDG_RUNTIME_DIR", at("run")),
            ("TMPDIR", at("tmp")),
            ("PATH", "/usr/bin:/bin:/usr/sbin:/sbin".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
            ("HTTPS_PROXY", egress.clone()),
            ("HTTP_PROXY", egress),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("CODEX_AUTH_NO_BROWSER", "1".to_owned()),
            ("CODEX_MULTI_AUTH_ISSUER_URL", fake.clone()),
            ("CODEX_MULTI_AUTH_BACKEND_URL", format!("{fake}/backend-api")),
            ("CODEX_MULTI_AUTH_REAL_CODEX_BIN", codex),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// The command as a person would type it: without the prefix that leads into the network.
fn line_of(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let typed = words.windows(2).position(|pair| pair[0] == "KILL" && pair[1] == "--").map_or(0, |at| at + 2);
    let mut words = words[typed..].iter();
    let program = words.next().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default();
    words.fold(program, |line, word| format!("{line} {word}"))
}
