//! The one sign-in that is waited for: its secrets, how the browser hands its answer over, and how it ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use codex_auth_core::{Entropy, Granted};

use super::{
    error::HostLoginError,
    success::success_address,
    token_endpoint::{TokenEndpoint, TokenError},
};
use crate::{
    authorize::{Attempt, AuthorizationCode, AuthorizeProfile, Wishes, authorize_url, state_tail},
    callback::{Page, Reply},
    endpoints::Endpoints,
    error::LoginError,
    events::{LoginEvent, LoginEvents},
    pkce::State,
};

/// How a sign-in that went well looks in the browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A page of its own, at once.
    Native,
    /// As the Codex command line: the browser is sent to the last page.
    Codex,
}

/// What the server's callers and the sign-in that waits have in common.
#[derive(Debug, Default)]
pub(super) struct Desk(Mutex<Slip>);

#[derive(Debug, Default)]
struct Slip {
    expected: Option<Expected>,
    /// The last attempt the issuer refused, and the page it was shown: a browser that loads it again sees it again.
    failed: Option<(State, Page)>,
}

#[derive(Debug)]
struct Expected {
    state: State,
    hand_over: oneshot::Sender<HandedOver>,
}

/// What the browser brought, and how it is answered.
#[derive(Debug)]
pub(super) struct HandedOver {
    pub(super) result: Result<AuthorizationCode, LoginError>,
    pub(super) show: oneshot::Sender<Reply>,
}

impl Desk {
    /// The sign-in with this state, if it is the one that is waited for. It is waited for no more.
    pub(super) fn take(&self, is_meant: impl FnOnce(&State) -> bool) -> Option<(State, oneshot::Sender<HandedOver>)> {
        let mut slip = self.lock();
        let is_meant = slip.expected.as_ref().is_some_and(|expected| is_meant(&expected.state));
        let Expected { state, hand_over } = slip.expected.take_if(|_| is_meant)?;
        Some((state, hand_over))
    }

    /// Keeps the page of an attempt that the issuer refused.
    pub(super) fn remember(&self, state: State, page: Page) {
        self.lock().failed = Some((state, page));
    }

    /// The page of the last attempt that the issuer refused, for whoever knows its state.
    pub(super) fn remembered(&self, is_meant: impl FnOnce(&State) -> bool) -> Option<Page> {
        self.lock().failed.as_ref().filter(|(state, _)| is_meant(state)).map(|(_, page)| page.clone())
    }

    /// Nobody is waited for any more.
    pub(super) fn clear(&self) {
        self.lock().expected = None;
    }

    fn lock(&self) -> MutexGuard<'_, Slip> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sign-in that has begun. Dropping it ends it, and makes room for another.
#[derive(Debug)]
pub struct PendingLogin {
    attempt: Attempt,
    url: String,
    port: u16,
    look: Look,
    handed_over: oneshot::Receiver<HandedOver>,
    desk: Arc<Desk>,
    events: Arc<dyn LoginEvents>,
}

impl PendingLogin {
    pub(super) fn begin(
        (desk, events): (Arc<Desk>, Arc<dyn LoginEvents>),
        port: u16,
        (endpoints, profile, look): (&Endpoints, &AuthorizeProfile, Look),
        entropy: &dyn Entropy,
    ) -> Result<Self, HostLoginError> {
        let attempt = Attempt::new(entropy, profile.redirect_uri(port));
        let url = authorize_url(endpoints, profile, &attempt, &Wishes::default());
        let (hand_over, handed_over) = oneshot::channel();
        {
            let mut slip = desk.lock();
            if slip.expected.is_some() {
                return Err(HostLoginError::InProgress);
            }
            slip.expected = Some(Expected { state: attempt.state.clone(), hand_over });
        }
        let tail = state_tail(attempt.state.expose());
        events.happened(LoginEvent::CallbackWaitStart, json!({ "stateTail": tail, "port": port }));
        Ok(Self { attempt, url, port, look, handed_over, desk, events })
    }

    /// The address to open: whole, so that it can be opened by hand (defect 3). For a person's eyes, not for a log.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the browser, at most so long, and buys the tokens. The browser is shown how it went.
    pub async fn tokens(mut self, endpoint: &TokenEndpoint, patience: Duration) -> Result<Granted, HostLoginError> {
        let ended = self.ended(endpoint, patience).await;
        let tail = state_tail(self.attempt.state.expose());
        match &ended {
            Ok(_) => self.events.happened(LoginEvent::CallbackWaitResolved, json!({ "stateTail": tail })),
            Err(HostLoginError::TimedOut) => {
                let meta = json!({ "stateTail": tail, "afterMs": patience.as_secs() * 1000 });
                self.events.happened(LoginEvent::CallbackWaitTimeout, meta);
            }
            Err(error) => {
                let meta = json!({ "stateTail": tail, "error": error.to_string() });
                self.events.happened(LoginEvent::CallbackWaitRejected, meta);
            }
        }
        ended
    }

    async fn ended(&mut self, endpoint: &TokenEndpoint, patience: Duration) -> Result<Granted, HostLoginError> {
        let handed_over = timeout(patience, &mut self.handed_over).await.map_err(|_| HostLoginError::TimedOut)?;
        // Whoever would hand something over is gone with the server.
        let HandedOver { result, show } = handed_over.map_err(|_| HostLoginError::Cancelled)?;
        let bought = self.bought(endpoint, &result?).await;
        let reply = match &bought {
            Ok(granted) => self.success(endpoint, granted),
            Err(error) => {
                let error = LoginError::ExchangeRefused { code: word_of(error) };
                let sentence = Some("OAuth token exchange failed");
                Reply::Page(Page::of_host(&error, StatusCode::INTERNAL_SERVER_ERROR, sentence))
            }
        };
        // A browser that left is no error.
        let _ = show.send(reply);
        Ok(bought?)
    }

    async fn bought(&self, endpoint: &TokenEndpoint, code: &AuthorizationCode) -> Result<Granted, TokenError> {
        self.events.happened(LoginEvent::TokenExchangeStart, json!({}));
        let Attempt { redirect_uri, verifier, .. } = &self.attempt;
        let bought = endpoint.exchange(code.expose(), redirect_uri, verifier.expose()).await;
        match &bought {
            Ok(_) => self.events.happened(LoginEvent::TokenExchangeSuccess, json!({})),
            Err(error) => {
                self.events.happened(LoginEvent::TokenExchangeError, json!({ "error": error.to_string() }));
            }
        }
        bought
    }

    fn success(&self, endpoint: &TokenEndpoint, granted: &Granted) -> Reply {
        match self.look {
            Look::Native => Reply::Page(Page::of_success(None)),
            Look::Codex => {
                let (id, access) = (granted.id.as_ref(), granted.access.as_ref());
                Reply::Elsewhere(success_address(self.port, endpoint.endpoints(), id, access))
            }
        }
    }
}

impl Drop for PendingLogin {
    fn drop(&mut self) {
        self.desk.take(|state| state.is(self.attempt.state.expose()));
    }
}

/// The shortest true word for a failed exchange.
fn word_of(error: &TokenError) -> String {
    match error.refused() {
        Some(refused) => refused.code.clone().unwrap_or_else(|| format!("http_{}", refused.status)),
        None => "no_answer".to_owned(),
    }
}
