//! No secret leaves its store: every command, in every weather, at every level of talk, with secrets planted
//! everywhere, and a search of everything that others could see.
//!
//! Searched are both output streams, every file outside the stores (`leaks::STORES`, each with its reason), and the
//! command lines and environments of all processes (`leaks::ENVIRONMENT` names the exceptions). Each secret is looked
//! for in every disguise of `leaks::Secrets`. The address `login` prints is to be opened by a person: it alone may show
//! the `state` and the challenge; code and verifier stand nowhere.
//!
//! A new command needs one line in `rows.rs`, a new kind of trouble one in `weather.rs`. `CODEX_AUTH_LONG=1` runs every
//! command in every weather at both levels; where nobody answers, those that ask somebody, at the louder one.

mod rows;
mod weather;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use codex_auth_e2e::leaks::{Secrets, Watch, leaks_in_files};
use codex_auth_e2e::namespace::Process;
use codex_auth_e2e::probe::Request;
use codex_auth_e2e::{Finished, Running, Scene, Who, World, codex, wait};
use rows::{ASKING, How, ROWS, Row};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use weather::Weather;

/// No command outlives this, in any weather.
const LIMIT: Duration = Duration::from_mins(2);

/// Everything that makes the program and its libraries talk.
const TALK: [(&str, &str); 4] =
    [("RUST_LOG", "trace"), ("CODEX_AUTH_DEBUG", "1"), ("CODEX_MULTI_AUTH_DEBUG", "1"), ("RUST_BACKTRACE", "full")];

/// What the person put into the environment.
const PASSWORD: &str = "p/CANARY-90210aadfee04512aa77+1";
const OWN_KEY: &str = "sk-own-CANARY-4a44aadfee04512aa7";
/// What callers of the agent send along.
const SENT: [(&str, &str); 4] = [
    ("a request's body", "CANARY-b0d1e5aadfee04512aa77aa"),
    ("a request's header", "CANARY-4ead3aadfee04512aa77bb"),
    ("a request's address", "CANARY-add3e55adfee04512aa7cc"),
    ("a stranger's bearer", "CANARY-57a46e3dfee04512aa77dd"),
];

fn is_long() -> bool {
    std::env::var("CODEX_AUTH_LONG").is_ok_and(|long| long == "1")
}

/// One world in one weather, and everything known to be secret in it.
struct Search {
    world: World,
    watch: Watch,
    secrets: Secrets,
    outside: TempDir,
    /// Whether a backend repeats secrets in answers that are relayed as they come.
    is_echoing: bool,
}

impl Search {
    fn begins() -> Self {
        let world = World::of(&Scene { tolerated: OUTSIDE.to_vec(), ..Scene::accounts(3) });
        let outside = tempfile::tempdir().unwrap();
        weather::leave_exports(&world);
        leave_client(&world, outside.path());
        let mut secrets = Secrets::default();
        secrets.add("proxy password", PASSWORD);
        secrets.add("proxy password as the proxy gets it", &format!("me:{PASSWORD}"));
        secrets.add("the person's own key", OWN_KEY);
        for (what, text) in SENT {
            secrets.add(what, text);
        }
        Self { watch: world.watch(), world, secrets, outside, is_echoing: false }
    }

    /// Calls a command and searches everything it could have left.
    fn tries(&mut self, row: &Row, weather: &Weather, talk: &[(&str, &str)]) {
        weather::clear_up(&self.world);
        if row.how == How::WithoutLogin {
            fs::remove_file(self.world.login_file()).unwrap();
        }
        if row.how == How::Serves {
            // The agent of the sessions before goes by itself, two seconds after the last.
            self.world.await_quiet();
        }
        (weather.comes)(&self.world);
        let is_fine = weather.name == weather::FINE.name;
        let mut command = self.command(row.words, talk);
        if !is_fine {
            // Many answers mean "not yet" to whoever waits for a device code.
            command.env("CODEX_DEVICE_AUTH_TIMEOUT_MS", "1500");
        }
        (weather.variables)(&mut command);
        if row.how == How::Alone {
            command.env("CODEX_MULTI_AUTH_REAL_CODEX_BIN", codex::native());
        }
        if row.how == How::BesideAClient {
            // It says whom that client goes on with.
            self.world.log_in(Who::Account(1), &codex_auth_testkit::LoginKnobs::default());
        }
        if row.how == How::Denied {
            weather::deny(&self.world);
        }
        let client = (row.how == How::BesideAClient).then(|| plain_client(&self.world));
        let mut done = match row.how {
            How::Pastes => self.pastes(command, ""),
            How::PastesAnother => self.pastes(command, "x"),
            How::SignsIn | How::SignsInAsAnother => self.signs_in(self.world.start(command, b"")),
            How::Serves => self.serves(self.world.start(command, b"")),
            How::Runs
            | How::MayFail
            | How::WithoutLogin
            | How::Alone
            | How::Denied
            | How::HandsOut
            | How::BesideAClient => self.world.start(command, b"").wait(LIMIT),
        };
        let fails = matches!(row.how, How::MayFail | How::SignsInAsAnother | How::Denied | How::PastesAnother);
        assert!(!is_fine || fails || done.code == Some(0), "{}", done.story());
        if let Some(client) = client {
            let is_told = done.said().contains(&format!("codex (pid {}) still uses", client.pid()));
            assert!(!is_fine || is_told, "{}", done.story());
        }
        if row.how == How::HandsOut {
            self.takes(&mut done, is_fine);
        }
        let leaks = self.leaks(&done);
        let story = if leaks.is_empty() { String::new() } else { done.story() };
        assert!(leaks.is_empty(), "{}: `{}` leaks:\n{leaks:#?}\n{story}", weather.name, row.words.join(" "));
    }

    fn command(&self, words: &[&str], talk: &[(&str, &str)]) -> Command {
        let mut command = self.world.our_command();
        let proxy = format!("http://me:{}@127.0.0.1:{}", encoded(PASSWORD), self.world.fake().egress_port());
        command.args(words).envs(talk.iter().copied()).env("HTTPS_PROXY", proxy).env("OPENAI_API_KEY", OWN_KEY);
        command.env("CODEX_MULTI_AUTH_REAL_CODEX_BIN", self.world.work().join("codex"));
        command
    }

    fn leaks(&mut self, done: &Finished) -> BTreeSet<String> {
        self.secrets.extend(self.world.fake().secrets());
        let agent = fs::read_to_string(self.world.root().join("agent/agent.json")).unwrap_or_default();
        let agent: Value = serde_json::from_str(&agent).unwrap_or_default();
        self.secrets.add("client token", agent["clientToken"].as_str().unwrap_or_default());
        self.note_client();
        let mut leaks: BTreeSet<String> = self.watch.leaks(&self.secrets);
        let streams = [("standard output", &done.stdout), ("standard error", &done.stderr)];
        for (stream, text) in streams {
            let said: String = text.lines().filter(|line| !is_printed_address(line)).collect::<Vec<_>>().join("\n");
            let place = |what: String| format!("{what}, stands on {stream}");
            leaks.extend(self.secrets.hits(said.as_bytes()).into_iter().map(place));
        }
        let everything = self.world.path("");
        leaks.extend(leaks_in_files(&self.secrets, &everything, &[&self.world.path("fake")]));
        leaks
    }

    /// What the client of the last session was given; a lease's token is a secret from then on.
    fn note_client(&mut self) {
        let read = |name: &str| fs::read(self.outside.path().join(name)).unwrap_or_default();
        let environment = read("environment");
        for variable in String::from_utf8_lossy(&environment).split('\0') {
            if let Some(token) = variable.strip_prefix("CODEX_API_KEY=") {
                self.secrets.add("lease token", token);
            }
        }
        self.watch.note(&read("line"), &environment);
    }

    /// Takes what was handed out from standard output; it is a secret everywhere else.
    fn takes(&mut self, done: &mut Finished, must_be_there: bool) {
        let document: Value = serde_json::from_str(&done.stdout).unwrap_or_default();
        let token = document["token"].as_str().unwrap_or(done.stdout.trim()).to_owned();
        let is_token = token.starts_with("cma_cap_") || token.starts_with("eyJ");
        assert!(is_token || !must_be_there, "{}", done.story());
        if is_token {
            self.secrets.add("capability", &token);
            done.stdout = done.stdout.replacen(&token, "", 1);
        }
    }

    /// Somebody opens the printed address, agrees, and comes back.
    fn signs_in(&mut self, running: Running) -> Finished {
        let Some(back) = self.opens(&running) else { return running.wait(LIMIT) };
        let location = back.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once('/'));
        let (port, back) = location.expect("the issuer sends the browser to this machine");
        Request::new("GET", port.parse().unwrap(), &format!("/{back}")).send(self.world.namespace());
        running.wait(LIMIT)
    }

    /// Somebody opens the printed address, agrees, and pastes where the browser ended, with something behind it.
    fn pastes(&mut self, command: Command, behind: &str) -> Finished {
        let mut running = self.world.start_open(command);
        if let Some(back) = self.opens(&running) {
            running.types(&format!("{back}{behind}"));
        }
        running.wait(LIMIT)
    }

    /// Where the browser ends that opens the printed address; `None` where none is printed.
    fn opens(&mut self, running: &Running) -> Option<String> {
        let printed = |running: &Running| {
            running.record().stderr.text().lines().find(|line| is_printed_address(line)).map(str::to_owned)
        };
        let has_ended = |running: &Running| Process::read(running.pid()).is_none();
        let shown = wait::until(LIMIT, || printed(running).map(Some).or_else(|| has_ended(running).then_some(None)));
        let address = shown.flatten()?;
        let (_, path) = address.trim().split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
        let state = path.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap_or_default();
        self.secrets.add("state", state);
        let page = self.world.fake().browse(&format!("/{path}"));
        Some(page.headers["location"].as_str().expect("the issuer sends the browser back").to_owned())
    }

    /// Callers with and without a right to call, each with something of its own that is nobody else's business.
    fn serves(&mut self, running: Running) -> Finished {
        let ready = wait::until(LIMIT, || {
            let ready: Option<Value> = serde_json::from_str(running.record().stdout.text().trim()).ok();
            ready.map(Some).or_else(|| Process::read(running.pid()).is_none().then_some(None))
        });
        let Some(ready) = ready.flatten() else { return running.wait(LIMIT) };
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
        let token = self.world.agent()["clientToken"].as_str().unwrap_or_default().to_owned();
        let [(_, body), (_, header), (_, address), (_, stranger)] = SENT;
        let body = json!({ "model": "gpt-5", "stream": true, "input": body, "refresh_token": stranger });
        for bearer in [token.as_str(), stranger] {
            for (method, path) in [
                ("POST", "/v1/responses"),
                ("GET", "/v1/models"),
                ("POST", "/oauth/token"),
                ("POST", "/oauth/revoke"),
                ("GET", "/nowhere"),
            ] {
                let asked = Request::new(method, port, &format!("{path}?q={address}")).json(&body);
                let asked = asked.header("authorization", &format!("Bearer {bearer}")).header("x-sent", header);
                let answer = asked.send(self.world.namespace());
                self.secrets.extend(self.world.fake().secrets());
                let told = format!("{}{}", answer.headers, answer.body);
                let leaks = self.secrets.hits(told.as_bytes());
                assert!(self.is_echoing || leaks.is_empty(), "{method} {path} is answered with {leaks:?}");
            }
        }
        running.signal(Signal::TERM);
        running.wait(LIMIT)
    }

    fn ends(self) {
        assert!(self.secrets.len() > 12, "only {} secrets were planted", self.secrets.len());
        assert!(self.watch.count() > 3, "only {} processes were seen", self.watch.count());
        let leaks = self.watch.leaks_at_any_time(&self.secrets);
        assert!(leaks.is_empty(), "processes showed:\n{leaks:#?}");
        drop(self.watch);
        self.world.close();
    }
}

/// Hosts of one weather that only its proxy knows.
const OUTSIDE: [&str; 2] = ["issuer.example.test:443", "backend.example.test:443"];

fn is_printed_address(line: &str) -> bool {
    line.trim_start().starts_with("http") && line.contains("/oauth/authorize?")
}

fn encoded(text: &str) -> String {
    text.replace('/', "%2F").replace('+', "%2B")
}

/// A client that writes down, beyond the world, what it was given.
fn leave_client(world: &World, outside: &Path) {
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'codex-cli 0.169.0' && exit\n\
         cat /proc/$$/cmdline > {0}/line; cat /proc/$$/environ > {0}/environment\n",
        outside.display()
    );
    let path: PathBuf = world.work().join("codex");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// An official client that somebody left running without us: what tells it is its name, and its home.
fn plain_client(world: &World) -> Running {
    let path = world.work().join("plain/codex");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    if !path.exists() {
        fs::copy("/bin/sh", &path).unwrap();
    }
    let mut command = world.command(&path);
    command.args(["-c", "echo ready; read -r forever"]).env_remove("CODEX_REFRESH_TOKEN_URL_OVERRIDE");
    let client = world.start_open(command);
    client.wait_for_stdout("ready", LIMIT);
    client
}

/// Where the trouble lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Echoes,
    Silences,
    Files,
}

/// Every command in some weathers; silent too where nothing is the matter, or in the long run.
fn endure(weathers: &[Weather], trouble: Trouble) {
    let mut search = Search { is_echoing: trouble == Trouble::Echoes, ..Search::begins() };
    let lies_in_the_network = matches!(trouble, Trouble::Echoes | Trouble::Silences);
    for (at, weather) in weathers.iter().enumerate() {
        let is_fine = weather.name == weather::FINE.name;
        let is_whole = is_long() && !weather.is_a_wait();
        let levels: &[&[(&str, &str)]] = if is_fine || is_whole { &[&[], &TALK] } else { &[&TALK] };
        let is_tried = |row: &&Row| is_whole || !lies_in_the_network || ASKING.contains(&row.command);
        for talk in levels {
            for row in ROWS.iter().filter(is_tried).filter(|row| is_fine || row.is_tried_at(at, is_long())) {
                search.tries(row, weather, talk);
            }
        }
    }
    search.ends();
}

#[test]
fn leaks_every_command_has_a_row() {
    let world = World::of(&Scene::accounts(1));
    let mut open = vec![String::new()];
    let mut leaves = BTreeSet::new();
    while let Some(command) = open.pop() {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.push("--help");
        let help = world.ours(&words).succeeds().stdout;
        let inner: Vec<String> = commands_of(&help).map(|name| format!("{command} {name}")).collect();
        // Some do something by themselves and have commands below them, too.
        if inner.is_empty() || help.contains(&format!("multi-auth{command} [OPTIONS]\n")) {
            leaves.insert(command.trim().to_owned());
        }
        open.extend(inner);
    }
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.command.to_owned()).collect();
    assert_eq!(leaves, rows, "each command needs a line in rows.rs, and each line a command");
    world.close();
}

/// The names under `Commands:`, without `help`.
fn commands_of(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
}

#[test]
fn leaks_none_where_nothing_is_the_matter() {
    endure(&[weather::FINE], Trouble::None);
}

#[test]
fn leaks_none_where_every_secret_is_repeated() {
    endure(weather::ECHOES, Trouble::Echoes);
}

#[test]
fn leaks_none_where_answers_are_of_no_use() {
    let waits: &[Weather] = if is_long() { weather::LONG } else { &[] };
    endure(&[weather::SILENCES, waits].concat(), Trouble::Silences);
}

#[test]
fn leaks_none_where_files_are_broken() {
    endure(weather::BROKEN_FILES, Trouble::Files);
}

#[test]
fn leaks_none_from_a_session_of_the_real_client() {
    let mut search = Search::begins();
    for login in [None, Some(Who::Account(1))] {
        weather::clear_up(&search.world);
        fs::remove_file(search.world.login_file()).unwrap();
        if let Some(who) = login {
            search.world.log_in(who, &codex_auth_testkit::LoginKnobs::default());
        }
        let words = ["run", "--", "exec", "--skip-git-repo-check", "-"];
        let mut command = search.command(&words, &TALK);
        command.env("CODEX_MULTI_AUTH_REAL_CODEX_BIN", codex::native()).env_remove("OPENAI_API_KEY");
        command.env("RUST_LOG", "error");
        let done = search.world.start(command, b"hello").wait(LIMIT).succeeds();
        let leaks = search.leaks(&done);
        assert!(leaks.is_empty(), "{leaks:#?}\n{}", done.story());
    }
    search.ends();
}
