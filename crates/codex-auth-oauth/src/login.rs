//! One sign-in by browser, from the address a person opens to the tokens that come of it. The answer comes back to a
//! port of this machine, or a person pastes it, or whichever is first.

use std::{fmt::Debug, future::pending, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

use codex_auth_core::{Clock, Entropy};

use crate::{
    authorize::{Attempt, AuthorizationCode, AuthorizeProfile, Wishes, authorize_url},
    callback::{CallbackListener, Page, Return, Waiting},
    endpoints::Endpoints,
    error::{LoginError, PasteError},
    exchange::{Exchange, SignedIn},
    http::HttpClient,
    paste::answer_in,
    pkce::{State, Verifier},
};

/// Ports the official client is registered for, in the order they are tried (protocol 2.1).
pub const CALLBACK_PORTS: [u16; 2] = [1455, 1457];
/// How long a person may take in the browser.
pub const PATIENCE: Duration = Duration::from_mins(5);
/// How long somebody may take to paste the answer, who may have to carry it here from another machine.
pub const PASTE_PATIENCE: Duration = Duration::from_mins(15);

/// What a sign-in tells the person, and what it asks: a browser, and the lines that are pasted.
#[async_trait]
pub trait LoginUi: Debug + Send + Sync {
    /// Shows the address to open; called first unless no port can be had, and always.
    fn show_url(&self, url: &str);

    /// Opens the address in a browser without waiting for it; says whether one could be started.
    fn open_browser(&self, url: &str) -> bool;

    /// The sign-in now waits for the browser to come back to `port`. Not called where only a paste is waited for.
    fn waiting(&self, port: u16);

    /// The next line the person pastes; `None` once the input is closed. Asked again after a line that was no answer.
    /// The future is dropped when the browser comes back first. Where nobody can paste, it never comes.
    async fn pasted(&self) -> Option<String> {
        pending().await
    }

    /// Something failed that does not end the sign-in: no port could be had, the browser did not come back, a line was
    /// no answer. A paste is waited for from here on.
    fn goes_on(&self, _after: &LoginError) {}
}

/// How the answer of the sign-in page may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComesBack {
    /// To the port only: without one, or when nobody comes, the sign-in fails.
    ByPort,
    /// To the port or by a paste, whichever is first. Without a port, and when nobody comes, only by a paste.
    ByPortOrPaste(Pastes),
    /// By a paste only: no port is bound.
    ByPaste(Pastes),
}

/// How many lines are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pastes {
    /// One, whatever it is: the input is no terminal, and nobody can be asked again.
    One,
    /// Until one is an answer, of the issuer's or the person's.
    UntilAnswer,
}

/// What a sign-in needs of the outside.
#[derive(Debug, Clone, Copy)]
pub struct LoginPorts<'a> {
    /// Carries the code to the issuer.
    pub http: &'a dyn HttpClient,
    /// Makes verifier and state.
    pub entropy: &'a dyn Entropy,
    /// Dates the tokens.
    pub clock: &'a dyn Clock,
    /// Talks to the person.
    pub ui: &'a dyn LoginUi,
}

/// Where and how somebody is to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserLogin {
    /// The issuer.
    pub endpoints: Endpoints,
    /// As which client.
    pub profile: AuthorizeProfile,
    /// What the person is asked.
    pub wishes: Wishes,
    /// How the answer may come back.
    pub comes_back: ComesBack,
    /// Ports to wait on, in order; 0 = any free one, which only an issuer of one's own accepts.
    pub callback_ports: Vec<u16>,
    /// How long to wait for the browser.
    pub patience: Duration,
    /// How long to wait for a paste, from the beginning.
    pub paste_patience: Duration,
}

impl BrowserLogin {
    /// A sign-in at `endpoints` as the official client does it.
    pub fn at(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            profile: AuthorizeProfile::CODEX,
            wishes: Wishes::default(),
            comes_back: ComesBack::ByPort,
            callback_ports: CALLBACK_PORTS.to_vec(),
            patience: PATIENCE,
            paste_patience: PASTE_PATIENCE,
        }
    }
}

impl ComesBack {
    fn pastes(self) -> Option<Pastes> {
        match self {
            Self::ByPort => None,
            Self::ByPortOrPaste(pastes) | Self::ByPaste(pastes) => Some(pastes),
        }
    }
}

/// Signs somebody in. Dropping the future ends the attempt and frees the port.
pub async fn sign_in(login: &BrowserLogin, ports: LoginPorts<'_>) -> Result<SignedIn, LoginError> {
    let listener = listener(login, ports.ui).await?;
    // A pasted answer comes from an address that nobody listens on; the issuer knows the registered one.
    let port = listener.as_ref().map_or(CALLBACK_PORTS[0], CallbackListener::port);
    let attempt = Attempt {
        redirect_uri: login.profile.redirect_uri(port),
        verifier: Verifier::new(ports.entropy),
        state: State::new(ports.entropy),
    };
    let url = authorize_url(&login.endpoints, &login.profile, &attempt, &login.wishes);
    ports.ui.show_url(&url);
    let browser_opened = ports.ui.open_browser(&url);
    let Heard { result, browser } = tokio::select! {
        biased;
        heard = by_port(login, ports.ui, listener, &attempt.state, browser_opened) => heard,
        result = by_paste(login, ports.ui, &attempt.state) => Heard { result, browser: None },
    };
    // The browser waits with us, so that its page tells the truth.
    let exchange =
        Exchange { endpoints: &login.endpoints, wishes: &login.wishes, http: ports.http, clock: ports.clock };
    let signed_in = match result {
        Ok(code) => exchange.redeem(&code, &attempt.redirect_uri, attempt.verifier.expose()).await,
        Err(error) => Err(error),
    };
    if let Some(browser) = browser {
        browser.show(signed_in.as_ref().map_or_else(Page::of, |_| Page::SIGNED_IN)).await;
    }
    signed_in
}

/// The end of an attempt.
struct Heard {
    result: Result<AuthorizationCode, LoginError>,
    /// The browser that brought it.
    browser: Option<Waiting>,
}

/// The port the browser comes back to, unless none is wanted or a paste can do without.
async fn listener(login: &BrowserLogin, ui: &dyn LoginUi) -> Result<Option<CallbackListener>, LoginError> {
    match login.comes_back {
        ComesBack::ByPaste(_) => Ok(None),
        ComesBack::ByPort => CallbackListener::bind(&login.callback_ports).await.map(Some),
        ComesBack::ByPortOrPaste(_) => match CallbackListener::bind(&login.callback_ports).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                ui.goes_on(&error);
                Ok(None)
            }
        },
    }
}

/// Waits for the browser; for ever once a paste is all that may come.
async fn by_port(
    login: &BrowserLogin,
    ui: &dyn LoginUi,
    listener: Option<CallbackListener>,
    state: &State,
    browser_opened: bool,
) -> Heard {
    let Some(listener) = listener else { return pending().await };
    let port = listener.port();
    ui.waiting(port);
    if let Ok(Return { result, browser }) = timeout(login.patience, listener.wait(state)).await {
        return Heard { result, browser: Some(browser) };
    }
    let timed_out = LoginError::TimedOut { port, waited: login.patience, browser_opened };
    if login.comes_back.pastes().is_none() {
        return Heard { result: Err(timed_out), browser: None };
    }
    ui.goes_on(&timed_out);
    pending().await
}

/// Waits for a line that is an answer; for ever where nobody may paste.
async fn by_paste(login: &BrowserLogin, ui: &dyn LoginUi, state: &State) -> Result<AuthorizationCode, LoginError> {
    let Some(pastes) = login.comes_back.pastes() else { return pending().await };
    let answer = async {
        loop {
            match answer_in(ui.pasted().await.as_deref(), state) {
                Err(error @ LoginError::Paste(_)) if pastes == Pastes::UntilAnswer => ui.goes_on(&error),
                result => return result,
            }
        }
    };
    let nothing = PasteError::Nothing { waited: login.paste_patience };
    timeout(login.paste_patience, answer).await.unwrap_or(Err(nothing.into()))
}
