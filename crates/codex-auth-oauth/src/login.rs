//! One sign-in by browser, from the address a person opens to the tokens that come of it.

use std::{fmt::Debug, time::Duration};

use tokio::time::timeout;

use codex_auth_core::{Claims, Clock, Credential, Entropy, Granted};

use crate::{
    authorize::{Attempt, AuthorizationCode, AuthorizeProfile, Wishes, authorize_url},
    callback::{CallbackListener, Page, Return},
    endpoints::Endpoints,
    error::LoginError,
    grant,
    http::{HttpClient, HttpError},
    pkce::{State, Verifier},
};

/// Ports the official client is registered for, in the order they are tried (protocol 2.1).
pub const CALLBACK_PORTS: [u16; 2] = [1455, 1457];
/// How long a person may take in the browser.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// What a sign-in tells the person, and the one thing it asks of the desktop.
pub trait LoginUi: Debug + Send + Sync {
    /// Shows the address to open; called first, and always.
    fn show_url(&self, url: &str);

    /// Opens the address in a browser without waiting for it; says whether one could be started.
    fn open_browser(&self, url: &str) -> bool;

    /// The sign-in now waits for the browser to come back to `port`.
    fn waiting(&self, port: u16);
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
    /// Ports to wait on, in order; 0 = any free one, which only an issuer of one's own accepts.
    pub callback_ports: Vec<u16>,
    /// How long to wait for the browser.
    pub patience: Duration,
}

/// What a sign-in came to. Nothing of it is saved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The tokens, as generation 0.
    pub credential: Credential,
    /// Whom they name.
    pub claims: Claims,
    /// Who granted them, to be recorded with them: their refresh token goes nowhere else.
    pub issuer: String,
}

impl BrowserLogin {
    /// A sign-in at `endpoints` as the official client does it.
    pub fn at(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            profile: AuthorizeProfile::CODEX,
            wishes: Wishes::default(),
            callback_ports: CALLBACK_PORTS.to_vec(),
            patience: PATIENCE,
        }
    }
}

/// Signs somebody in. Dropping the future ends the attempt and frees the port.
pub async fn sign_in(login: &BrowserLogin, ports: LoginPorts<'_>) -> Result<SignedIn, LoginError> {
    let listener = CallbackListener::bind(&login.callback_ports).await?;
    let port = listener.port();
    let attempt = Attempt {
        redirect_uri: login.profile.redirect_uri(port),
        verifier: Verifier::new(ports.entropy),
        state: State::new(ports.entropy),
    };
    let url = authorize_url(&login.endpoints, &login.profile, &attempt, &login.wishes);
    ports.ui.show_url(&url);
    let browser_opened = ports.ui.open_browser(&url);
    ports.ui.waiting(port);
    let timed_out = LoginError::TimedOut { port, waited: login.patience, browser_opened };
    let Return { result, browser } =
        timeout(login.patience, listener.wait(&attempt.state)).await.map_err(|_| timed_out)?;
    // The browser waits with us, so that its page tells the truth.
    let signed_in = match result {
        Ok(code) => redeem(login, ports, &attempt, &code).await,
        Err(error) => Err(error),
    };
    browser.show(signed_in.as_ref().map_or_else(Page::of, |_| Page::SIGNED_IN)).await;
    signed_in
}

async fn redeem(
    login: &BrowserLogin,
    ports: LoginPorts<'_>,
    attempt: &Attempt,
    code: &AuthorizationCode,
) -> Result<SignedIn, LoginError> {
    let request = grant::code_request(&login.endpoints, attempt, code);
    let answer = ports.http.send(request).await.map_err(|error| match error {
        HttpError::Unsent { why } | HttpError::BrokeOff { why } => LoginError::ExchangeUnanswered { why },
    })?;
    if !answer.status().is_success() {
        let code = grant::error_code(answer.body()).unwrap_or_else(|| format!("http_{}", answer.status().as_u16()));
        return Err(LoginError::ExchangeRefused { code });
    }
    let now = ports.clock.now();
    let granted = grant::granted(answer.body(), now).ok_or(LoginError::NoTokens)?;
    let Granted { access: Some(access), refresh: Some(refresh), id, expires_at, claims } = granted else {
        return Err(LoginError::NoTokens);
    };
    let allowed = &login.wishes.workspaces;
    if !allowed.is_empty() && !claims.workspace.as_ref().is_some_and(|workspace| allowed.contains(workspace)) {
        return Err(LoginError::OtherWorkspace { found: claims.workspace.map(|workspace| workspace.to_string()) });
    }
    let credential =
        Credential { access: Some(access), refresh, id, expires_at, obtained_at: Some(now), generation: 0 };
    Ok(SignedIn { credential, claims, issuer: login.endpoints.issuer().to_owned() })
}
