//! One world for each test: own home, own network, own fake OpenAI, and at its end no leak, no stray process and no
//! outside traffic.

mod files;
mod start;

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_auth_testkit::{Act, Fault, LoginKnobs, Route, Who};
use serde_json::json;
use tempfile::TempDir;

use crate::codex;
use crate::fake::Fake;
use crate::namespace::{Namespace, Process};
use crate::process::{Record, describe};
use crate::scan::{self, CommandLines};
use crate::upstream::Upstream;

/// What a world is like before its first command.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Size of the pool.
    pub accounts: usize,
    /// Further flags of `fake-openai`.
    pub fake: Vec<String>,
    /// Whose ChatGPT login stands in `auth.json`.
    pub login: Option<Who>,
    /// Hosts a client may try to reach and not get to; the terminal client insists on one.
    pub tolerated: Vec<&'static str>,
    /// `schedulingStrategy` in our settings; the default when `None`.
    pub strategy: Option<&'static str>,
}

impl Scene {
    /// A healthy pool of this size; no login; strategy `sequential`, so that account 1 serves.
    #[must_use]
    pub fn accounts(accounts: usize) -> Self {
        Self { accounts, fake: Vec::new(), login: None, tolerated: Vec::new(), strategy: Some("sequential") }
    }

    /// With a login in `auth.json`.
    #[must_use]
    pub fn login(self, who: Who) -> Self {
        Self { login: Some(who), ..self }
    }

    /// With another strategy.
    #[must_use]
    pub fn strategy(self, strategy: &'static str) -> Self {
        Self { strategy: Some(strategy), ..self }
    }

    /// With these accounts used up from the start.
    #[must_use]
    pub fn exhausted(self, numbers: &[usize]) -> Self {
        numbers.iter().fold(self, |scene, number| scene.fake(&["--exhaust", &number.to_string()]))
    }

    /// With a terminal client, which fetches one announcement file whatever its configuration says.
    #[must_use]
    pub fn terminal(self) -> Self {
        Self { tolerated: vec!["raw.githubusercontent.com:443"], ..self }
    }

    /// With further flags of `fake-openai`.
    #[must_use]
    pub fn fake(mut self, flags: &[&str]) -> Self {
        self.fake.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }
}

/// A running world.
#[derive(Debug)]
pub struct World {
    // Dropped in this order: processes before their network, and the directories last.
    fake: Fake,
    command_lines: CommandLines,
    namespace: Arc<Namespace>,
    records: RefCell<Vec<Record>>,
    tolerated: Vec<&'static str>,
    closed: bool,
    dir: TempDir,
}

impl World {
    /// Builds the scene: directories, network, fake, pool, settings, quiet config, login.
    #[must_use]
    pub fn of(scene: &Scene) -> Self {
        let dir = tempfile::Builder::new().prefix("e2e-").tempdir().expect("the temporary directory is writable");
        for (name, mode) in DIRS {
            let path = dir.path().join(name);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).expect("our own directory is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own directory is ours");
        }
        refuse_real_home(&dir.path().join(CODEX_HOME));
        let namespace = Arc::new(Namespace::open());
        let mut flags = vec!["--accounts".to_owned(), scene.accounts.to_string()];
        flags.extend(["--write-pool".to_owned(), dir.path().join(ROOT).display().to_string()]);
        flags.extend(scene.fake.iter().cloned());
        let fake = Fake::start(&namespace, &dir.path().join("fake"), &flags);
        let command_lines = CommandLines::watch(Arc::clone(&namespace));
        let tolerated = scene.tolerated.clone();
        let world = Self { dir, namespace, fake, command_lines, records: RefCell::default(), tolerated, closed: false };
        fs::write(world.codex_home().join("config.toml"), codex::quiet_config(&world.work()))
            .expect("our own home is writable");
        if let Some(strategy) = scene.strategy {
            world.settings(&json!({ "schedulingStrategy": strategy }));
        }
        if let Some(who) = scene.login {
            world.log_in(who, &LoginKnobs::default());
        }
        world
    }

    /// The fake OpenAI and its control API.
    #[must_use]
    pub fn fake(&self) -> &Fake {
        &self.fake
    }

    /// Makes the next turns stop after their first event until [`Fake::release`].
    #[track_caller]
    pub fn hold_turns(&self, times: u32) {
        let held = Fault::once(Route::Responses, Act::Hold { after_events: 1 });
        self.fake.fault(&Fault { times, ..held });
    }

    /// Waits until the fake was asked for this many turns.
    #[track_caller]
    pub fn await_turns(&self, count: usize, limit: Duration) {
        let asked = crate::wait::until(limit, || (self.upstream().turns().count() >= count).then_some(()));
        assert!(asked.is_some(), "fewer than {count} turns within {limit:?}\n{}", self.story());
    }

    /// Waits until nothing runs any more, for as long as that may take: the agent goes two seconds after its last
    /// lease, everything else ends with its command.
    pub fn await_quiet(&self) {
        let _ = crate::wait::until(Duration::from_secs(4), || self.processes().is_empty().then_some(()));
    }

    /// The network all processes of this world share.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// What reached the fake so far.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        self.fake.upstream()
    }

    /// The processes alive in this world, without the fake.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let mut processes = self.namespace.processes();
        processes.retain(|process| process.pid != self.fake.pid());
        processes
    }

    /// Whether a secret was seen in a command line so far.
    #[must_use]
    pub fn saw_secret_in_command_line(&self) -> bool {
        !self.command_lines.leaks().is_empty()
    }

    /// Ends the world and judges it: nothing went outside, no secret lies about, nothing of ours is left running.
    #[track_caller]
    pub fn close(mut self) {
        self.closed = true;
        let faults = self.faults();
        assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), self.story());
    }

    /// Ends the world like [`World::close`] and returns what it would complain about.
    #[must_use]
    pub fn judge(mut self) -> Vec<String> {
        self.closed = true;
        self.faults()
    }

    fn faults(&mut self) -> Vec<String> {
        self.await_quiet();
        let mut faults = self.command_lines.stop();
        faults.extend(self.processes().into_iter().map(|process| format!("left running: {}", process.line)));
        let outside = self.fake.egress().into_iter().filter(|target| !self.tolerated.contains(&target.as_str()));
        faults.extend(outside.map(|target| format!("outside traffic: {target}")));
        faults.extend(scan::leaks_in_files(self.dir.path()));
        faults.extend(scan::leaks_in_output(&self.records.borrow()));
        faults
    }

    /// Everything that happened, for failure messages.
    #[must_use]
    pub fn story(&self) -> String {
        let children: Vec<String> = self.records.borrow().iter().map(|record| describe(record, "so far")).collect();
        format!("{}\n--- upstream\n{}", children.join("\n"), self.upstream().story())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
            return;
        }
        assert!(self.closed, "every test ends with World::close, which judges the world");
    }
}

const CODEX_HOME: &str = "home/.codex";
const ROOT: &str = "home/.codex/multi-auth";

const DIRS: [(&str, u32); 6] =
    [("home", 0o755), (CODEX_HOME, 0o700), (ROOT, 0o700), ("work", 0o755), ("tmp", 0o700), ("run", 0o700)];

/// A test that could reach a person's own login must not start.
fn refuse_real_home(codex_home: &Path) {
    let own = std::env::var_os("CODEX_HOME").map(PathBuf::from);
    let usual = std::env::var_os("HOME").map(|home| Path::new(&home).join(".codex"));
    let is_real =
        own.into_iter().chain(usual).any(|real| codex_home.starts_with(&real) || real.starts_with(codex_home));
    assert!(!is_real, "{} is a person's own CODEX_HOME", codex_home.display());
}
