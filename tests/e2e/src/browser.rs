//! A person's browser: Debian's Chromium inside a world's network, driven through its debugging pipe.
//!
//! Its profile lies outside the world: what a browser remembers of an address is its own, no file of ours.

mod page;

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::wait;
use crate::world::World;

pub use page::{Looks, Page, Scheme};

/// How long one order may take: the first one waits until the browser stands.
const LIMIT: Duration = Duration::from_secs(30);

/// The browser answers on descriptors 3 and 4; its standard streams are free for its own talk.
const PIPES: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >&2";

/// Quiet, and confined to this machine: what Chromium asks its maker for by itself, whatever it is told, finds no
/// address and goes past the proxy whose log is judged. A container's root has no sandbox to enter.
const FLAGS: [&str; 16] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-breakpad",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-client-side-phishing-detection",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// A running browser with one tab.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    orders: RefCell<ChildStdin>,
    heard: Receiver<Value>,
    events: RefCell<Vec<Value>>,
    last_order: Cell<u64>,
    tab: String,
    profile: TempDir,
}

impl Browser {
    /// Starts it inside the world. A machine without it fails the test; `cargo xtask tools` installs it.
    #[track_caller]
    #[must_use]
    pub fn open(world: &World) -> Self {
        let profile = tempfile::Builder::new().prefix("browser-").tempdir().expect("the temporary directory is ours");
        let mut command = world.command("sh");
        command.args(["-c", PIPES, "sh", "chromium"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "TMPDIR"] {
            command.env(home, profile.path());
        }
        let talk = fs::File::create(profile.path().join(TALK)).expect("our own directory is writable");
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(talk).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start chromium: {error}"));
        let orders = RefCell::new(child.stdin.take().expect("standard input was piped at spawn"));
        let heard = listen(child.stdout.take().expect("standard output was piped at spawn"));
        let (events, last_order) = (RefCell::default(), Cell::new(0));
        let mut browser = Self { child, orders, heard, events, last_order, tab: String::new(), profile };
        browser.tab = browser.open_tab();
        browser.watch();
        browser
    }

    fn open_tab(&self) -> String {
        let target = self.order("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.order("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        attached["sessionId"].as_str().expect("a tab has a session").to_owned()
    }

    /// Starts to write down what pages fetch and what the browser forbids them.
    fn watch(&self) {
        for room in ["Page", "Network", "Log", "Audits", "Accessibility"] {
            self.order(&format!("{room}.enable"), &json!({}));
        }
    }

    /// Opens an address as if it were typed, and waits until its page stands.
    #[track_caller]
    pub fn go(&self, address: &str) {
        let error = self.order("Page.navigate", &json!({ "url": address }))["errorText"].clone();
        assert!(error.is_null(), "the browser cannot open the page: {error}");
        self.await_true("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Clicks with the mouse on the first element a selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let middle = "(({x, y, width, height}) => [x + width / 2, y + height / 2])";
        let at = self.value(&format!("{middle}(document.querySelector('{selector}').getBoundingClientRect())"));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.order("Input.dispatchMouseEvent", &event);
        }
    }

    /// Waits until an expression holds on the page.
    #[track_caller]
    pub fn await_true(&self, expression: &str) {
        let held = wait::until(LIMIT, || (self.value(expression) == true).then_some(()));
        assert!(
            held.is_some(),
            "`{expression}` did not come true on {}",
            self.value("document.documentElement.outerHTML")
        );
    }

    /// What an expression is worth on the page; `null` while the page changes.
    #[track_caller]
    #[must_use]
    pub fn value(&self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        self.order("Runtime.evaluate", &asked)["result"]["value"].clone()
    }

    /// Every address a page asked for so far, the page's own among them.
    #[must_use]
    pub fn fetched(&self) -> Vec<String> {
        let sent = |event: &Value| event["params"]["request"]["url"].as_str().map(str::to_owned);
        self.heard("Network.requestWillBeSent").iter().filter_map(sent).collect()
    }

    /// What the browser complained about: violated policies, broken pages. The status of an answer is no complaint.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let names = ["Log.entryAdded", "Audits.issueAdded"];
        let events = names.iter().flat_map(|name| self.heard(name)).map(|event| event["params"].clone());
        events.filter(|told| told["entry"]["source"] != "network").map(|told| told.to_string()).collect()
    }

    fn heard(&self, name: &str) -> Vec<Value> {
        while let Ok(event) = self.heard.try_recv() {
            self.events.borrow_mut().push(event);
        }
        self.events.borrow().iter().filter(|event| event["method"] == name).cloned().collect()
    }

    /// Gives one order and waits for its answer; what happens meanwhile is kept.
    #[track_caller]
    fn order(&self, method: &str, params: &Value) -> Value {
        let id = self.last_order.get() + 1;
        self.last_order.set(id);
        let mut order = json!({ "id": id, "method": method, "params": params });
        if !self.tab.is_empty() {
            order["sessionId"] = self.tab.as_str().into();
        }
        let sent = write!(self.orders.borrow_mut(), "{order}\0");
        sent.unwrap_or_else(|error| panic!("chromium does not listen: {error}\n{}", self.talk()));
        loop {
            let Ok(message) = self.heard.recv_timeout(LIMIT) else {
                panic!("chromium does not answer {method}\n{}", self.talk());
            };
            if message["id"] == id {
                // A page that is just being replaced has no answer; whoever waits asks again.
                return message["result"].clone();
            }
            self.events.borrow_mut().push(message);
        }
    }

    /// What the browser wrote to its standard error.
    fn talk(&self) -> String {
        fs::read_to_string(self.profile.path().join(TALK)).unwrap_or_default()
    }

    fn close(&mut self) -> bool {
        let asked = write!(self.orders.borrow_mut(), "{}\0", json!({ "id": 0, "method": "Browser.close" }));
        asked.is_ok() && wait::until(Duration::from_secs(5), || self.child.try_wait().ok().flatten()).is_some()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.close() {
            // It leads a group of its own.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

const TALK: &str = "talk.log";

/// Messages end with a zero byte.
fn listen(from: ChildStdout) -> Receiver<Value> {
    let (send, heard) = mpsc::channel();
    thread::spawn(move || {
        for message in BufReader::new(from).split(0).map_while(Result::ok) {
            // The browser may still talk when nobody listens any more.
            let _ = serde_json::from_slice(&message).map(|message| send.send(message));
        }
    });
    heard
}

/// What `BROWSER` names on a person's desk: a program that takes an address and hands it on.
#[derive(Debug)]
pub struct Desk {
    program: PathBuf,
    address: PathBuf,
}

impl Desk {
    /// Puts the program into a world.
    #[must_use]
    pub fn of(world: &World) -> Self {
        let (program, address) = (world.path("tmp/open-address"), world.path("tmp/address"));
        let script = format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.part' && mv '{0}.part' '{0}'\n", address.display());
        fs::write(&program, script).expect("our own directory is writable");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("our own file is ours");
        Self { program, address }
    }

    /// A command whose user sits at this desk, with a terminal and a browser.
    pub fn seat(&self, command: &mut Command) {
        command.env("BROWSER", &self.program).env("CODEX_AUTH_NO_BROWSER", "0").env("FORCE_INTERACTIVE_MODE", "1");
    }

    /// Waits for the next address that is to be opened.
    #[track_caller]
    #[must_use]
    pub fn address(&self) -> String {
        let taken = |path: &Path| fs::read_to_string(path).ok().inspect(|_| drop(fs::remove_file(path)));
        wait::until(LIMIT, || taken(&self.address)).expect("the program asks for an address to be opened")
    }
}
