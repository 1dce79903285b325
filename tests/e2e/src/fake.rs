//! The fake OpenAI of a world: a process inside its network, steered through its control API.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_auth_testkit::{Fault, LoginKnobs, PoolKnobs, Script, SignIn, Who};
use serde_json::{Value, json};

use crate::codex;
use crate::namespace::Namespace;
use crate::probe::{Answer, Request};
use crate::process::Running;
use crate::upstream::Upstream;

/// How long the fake may take until it answers.
const READY: Duration = Duration::from_secs(20);

/// A running `fake-openai`.
#[derive(Debug)]
pub struct Fake {
    namespace: Arc<Namespace>,
    running: Running,
    dir: PathBuf,
    port: u16,
    egress_port: u16,
}

impl Fake {
    /// Starts the fake with its log and its refusing proxy in `dir`.
    #[track_caller]
    pub(crate) fn start(namespace: &Arc<Namespace>, dir: &Path, flags: &[String]) -> Self {
        fs::create_dir_all(dir).expect("our own directory is writable");
        let mut command = namespace.command(codex::program("fake-openai"));
        command.env_clear().args(["--port", "0", "--egress-port", "0"]);
        command.arg("--log").arg(dir.join(LOG)).arg("--egress-log").arg(dir.join(EGRESS)).args(flags);
        let running = Running::start(command, format!("fake-openai {}", flags.join(" ")), b"");
        running.wait_for_stdout("\n", READY);
        let ready: Value = serde_json::from_str(running.record().stdout.text().trim()).expect("the ready line is JSON");
        let port = |key: &str| u16::try_from(ready[key].as_u64().unwrap_or(0)).expect("a port has 16 bits");
        let (port, egress_port) = (port("port"), port("egressPort"));
        Self { namespace: Arc::clone(namespace), running, dir: dir.to_path_buf(), port, egress_port }
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the proxy that refuses and writes down everything.
    #[must_use]
    pub fn egress_port(&self) -> u16 {
        self.egress_port
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What reached it so far.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream::read(&self.dir.join(LOG))
    }

    /// `host:port` of every attempt to reach somebody outside.
    #[must_use]
    pub fn egress(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join(EGRESS)).unwrap_or_default();
        let attempt = |line: &str| serde_json::from_str::<Value>(line).ok()?["target"].as_str().map(str::to_owned);
        text.lines().map(|line| attempt(line).unwrap_or_else(|| line.to_owned())).collect()
    }

    /// Uses an account's quota up, for this many seconds or for an hour.
    #[track_caller]
    pub fn exhaust(&self, who: Who, resets_in_secs: Option<u64>) {
        self.control("exhaust", &json!({ "account": who, "resets_in_secs": resets_in_secs }));
    }

    /// Gives every account its quota back.
    #[track_caller]
    pub fn restore_all(&self) {
        self.control("restore", &json!({}));
    }

    /// Queues a fault.
    #[track_caller]
    pub fn fault(&self, fault: &Fault) {
        self.control("fault", &serde_json::to_value(fault).expect("a fault is JSON"));
    }

    /// Forgets all faults that have not struck.
    #[track_caller]
    pub fn clear_faults(&self) {
        self.control("clear-faults", &json!({}));
    }

    /// Lets go what a fault holds; answers how many answers that were.
    #[track_caller]
    pub fn release(&self) -> u64 {
        self.control("release", &json!({}))["released"].as_u64().unwrap_or(0)
    }

    /// Scripts what the model says.
    #[track_caller]
    pub fn script(&self, script: &Script) {
        self.control("script", &serde_json::to_value(script).expect("a script is JSON"));
    }

    /// Decides who is at the browser at the next sign-in.
    #[track_caller]
    pub fn next_login(&self, sign_in: &SignIn) {
        self.control("next-login", &serde_json::to_value(sign_in).expect("a sign-in is JSON"));
    }

    /// Ends every access token of an account; its refresh token stays good.
    #[track_caller]
    pub fn rotate(&self, who: Who) {
        self.control("rotate", &json!({ "account": who }));
    }

    /// Revokes every sign-in of an account.
    #[track_caller]
    pub fn revoke(&self, who: Who) {
        self.control("revoke", &json!({ "account": who }));
    }

    /// A login document as the official client stores it.
    #[track_caller]
    #[must_use]
    pub fn login(&self, who: Who, knobs: &LoginKnobs) -> Value {
        self.control("login", &json!({ "account": who, "knobs": knobs }))
    }

    /// An accounts file of the pool.
    #[track_caller]
    #[must_use]
    pub fn pool(&self, knobs: &PoolKnobs) -> Value {
        self.control("pool", &serde_json::to_value(knobs).expect("knobs are JSON"))
    }

    /// An API key of somebody.
    #[track_caller]
    #[must_use]
    pub fn api_key(&self, who: Who) -> String {
        self.control("api-key", &json!({ "account": who }))["api_key"].as_str().unwrap_or_default().to_owned()
    }

    /// Every secret it minted or was shown so far, each with what it is.
    #[track_caller]
    #[must_use]
    pub fn secrets(&self) -> Vec<(String, String)> {
        let told = self.expect_ok("secrets", &Request::new("GET", self.port, "/__control/secrets"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = told.as_array().map(|all| all.iter().map(|one| (text(&one["what"]), text(&one["text"]))).collect());
        all.unwrap_or_default()
    }

    /// One account as the fake sees it now.
    #[track_caller]
    #[must_use]
    pub fn account(&self, who: Who) -> Value {
        let state = self.expect_ok("state", &Request::new("GET", self.port, "/__control/state"));
        let accounts = state["accounts"].as_array().cloned().unwrap_or_default();
        let who = serde_json::to_value(who).expect("an account is JSON");
        accounts.into_iter().find(|account| account["account"] == who || account["who"] == who).unwrap_or_default()
    }

    /// Makes a request to the fake as a browser would.
    #[track_caller]
    pub fn browse(&self, path: &str) -> Answer {
        Request::new("GET", self.port, path).send(&self.namespace)
    }

    #[track_caller]
    fn control(&self, verb: &str, told: &Value) -> Value {
        self.expect_ok(verb, &Request::new("POST", self.port, &format!("/__control/{verb}")).json(told))
    }

    #[track_caller]
    fn expect_ok(&self, verb: &str, request: &Request) -> Value {
        let answer = request.send(&self.namespace);
        assert_eq!(answer.status, 200, "control {verb}: {}", answer.body);
        answer.json()
    }
}

const LOG: &str = "requests.jsonl";
const EGRESS: &str = "egress.jsonl";
