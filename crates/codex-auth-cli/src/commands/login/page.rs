//! A sign-in on the issuer's page: what stands on the screen while the browser, or a paste of what it shows at the end,
//! is waited for.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use codex_auth_oauth::{ComesBack, LoginError, LoginUi, Pastes};
use tokio::sync::Notify;

use super::{choice::Way, person::Person, port_holder};

/// What the predecessor prints before a line is pasted.
const PROMPT: &str = "Paste callback URL or code here (Q to cancel):";
/// What the line begins with.
const MARK: &str = "\u{25c6}  ";

/// The screen of one sign-in.
#[derive(Debug)]
pub(super) struct PageScreen<'a> {
    person: &'a Person,
    way: Way,
    ports: &'a [u16],
    in_wsl: bool,
    /// Why only a paste is waited for.
    only_paste: Mutex<Option<LoginError>>,
    no_port: Notify,
    /// Whether the line of the prompt is still open.
    is_prompted: AtomicBool,
}

impl<'a> PageScreen<'a> {
    pub(super) fn new(person: &'a Person, way: Way, ports: &'a [u16], in_wsl: bool) -> Self {
        Self {
            person,
            way,
            ports,
            in_wsl,
            only_paste: Mutex::default(),
            no_port: Notify::new(),
            is_prompted: AtomicBool::new(false),
        }
    }

    /// How the answer may come back in this way of signing in.
    pub(super) fn comes_back(&self) -> ComesBack {
        let pastes = if self.person.can_type() { Pastes::UntilAnswer } else { Pastes::One };
        match self.way {
            Way::Browser | Way::Address | Way::Device => ComesBack::ByPortOrPaste(pastes),
            Way::Paste => ComesBack::ByPaste(pastes),
        }
    }

    /// Ends the prompt's line, when something else than a typed line was the answer.
    pub(super) fn end(&self) {
        if self.is_prompted.swap(false, Ordering::Relaxed) {
            self.person.ui.prompt("\n");
        }
    }

    /// Why the sign-in really ended: where nobody can paste, a port that is lost is no cancellation.
    pub(super) fn cause(&self, error: LoginError) -> LoginError {
        let lost = self.only_paste.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (error, lost) {
            (LoginError::Cancelled, Some(lost)) if !self.person.can_type() => lost,
            (error, _) => error,
        }
    }
}

#[async_trait]
impl LoginUi for PageScreen<'_> {
    fn show_url(&self, url: &str) {
        // What is pasted may come from anywhere.
        let place = if self.way == Way::Paste { "any browser" } else { "a browser on this machine" };
        self.person.ui.say(&format!("Open this address in {place} to sign in:\n\n  {url}\n"));
        if self.way == Way::Paste {
            self.person.ui.say("Manual mode active. Paste the callback URL manually.");
        }
    }

    fn open_browser(&self, url: &str) -> bool {
        if self.way != Way::Browser {
            return false;
        }
        let opened = webbrowser::open(url).is_ok();
        self.person.ui.say(if opened { "Browser opened." } else { "Could not open browser. Use the link above." });
        opened
    }

    fn waiting(&self, port: u16) {
        self.person.ui.say(&format!("Waiting for login callback on localhost:{port}... (Ctrl-C ends the wait)"));
        if self.way != Way::Browser {
            self.person.ui.say(&format!(
                "Is the browser on another machine? Let its port lead here first: ssh -L {port}:127.0.0.1:{port} <this \
                 machine>"
            ));
        }
    }

    async fn pasted(&self) -> Option<String> {
        if self.person.can_type() {
            self.person.ui.prompt(&format!("{PROMPT}\n{MARK}"));
            self.is_prompted.store(true, Ordering::Relaxed);
        }
        let line = self.person.line().await;
        self.is_prompted.store(false, Ordering::Relaxed);
        if line.is_none() && self.way != Way::Paste {
            // An input that is closed says nothing as long as the browser may come back.
            self.no_port.notified().await;
        }
        line
    }

    fn goes_on(&self, after: &LoginError) {
        let ui = self.person.ui;
        match after {
            LoginError::PortBusy { .. } | LoginError::Listen { .. } | LoginError::TimedOut { .. } => {
                *self.only_paste.lock().unwrap_or_else(PoisonError::into_inner) = Some(after.clone());
                self.no_port.notify_one();
                if self.person.can_type() {
                    self.end();
                    for line in port_holder::guidance(after, self.ports, self.in_wsl) {
                        ui.say(&line);
                    }
                    let timed_out = matches!(after, LoginError::TimedOut { .. });
                    ui.say(if timed_out {
                        "No callback received. Paste manually."
                    } else {
                        "Callback listener unavailable. Paste the callback URL manually."
                    });
                }
            }
            LoginError::Paste(error) => ui.say(&error.to_string()),
            // These end a sign-in.
            LoginError::Cancelled
            | LoginError::Denied { .. }
            | LoginError::NotEntitled
            | LoginError::MissingCode
            | LoginError::Device(_)
            | LoginError::ExchangeRefused { .. }
            | LoginError::ExchangeUnanswered { .. }
            | LoginError::NoTokens
            | LoginError::OtherWorkspace { .. }
            | LoginError::NotKept(_) => {}
        }
    }
}
