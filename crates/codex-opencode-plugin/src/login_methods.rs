//! The two ways in that the plugin offers its host, and what the host is told of each (plugin 4.2, 5.3, 5.7).

use std::{fmt, sync::Arc, time::Duration};

use codex_auth_core::{AccessToken, Clock, Entropy, Granted, RefreshToken};
use codex_auth_oauth::{
    AuthorizeProfile, DeviceLogin, DevicePorts, DeviceRhythm, DeviceUi, Endpoints, HttpClient, LoginEvents, Timing,
    opencode::{CallbackServer, HostLoginError, Look, TokenEndpoint, device_tokens},
};
use codex_auth_store::opencode::{Domain, OpenCodeFile};
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    identified::Identified,
    login_store::{keep, said_by},
};

/// Key the host sends along instead of a real one; the loader puts the account's token in its place.
pub const PLACEHOLDER_KEY: &str = "oauth_dummy_key";

/// Everything a sign-in needs.
#[derive(Debug, Clone)]
pub struct LoginMethods {
    /// The issuer.
    pub endpoints: Endpoints,
    /// Carries requests to it.
    pub http: Arc<dyn HttpClient>,
    /// Dates what it grants.
    pub clock: Arc<dyn Clock>,
    /// Makes the secrets of an attempt.
    pub entropy: Arc<dyn Entropy>,
    /// Hears what happens.
    pub events: Arc<dyn LoginEvents>,
    /// How long each part may take.
    pub timing: Timing,
    /// Where the browser comes back to; one for all sign-ins.
    pub server: Arc<CallbackServer>,
    /// Where accounts are kept.
    pub file: OpenCodeFile,
}

/// A sign-in as the host is told of it. Dropping it without asking for its end gives the sign-in up.
#[derive(Debug)]
pub struct HostLogin {
    /// The address to open; blank when there is none.
    pub url: String,
    /// What the host shows beside it.
    pub instructions: String,
    ended: Ending,
}

/// How a sign-in ended, in the host's words.
#[derive(Clone, PartialEq, Eq)]
pub enum HostAnswer {
    /// Somebody is signed in, and kept in the store.
    Success {
        /// The refresh token; the host keeps a copy.
        refresh: RefreshToken,
        /// The access token.
        access: AccessToken,
        /// When that one ends, in milliseconds.
        expires: i64,
        /// The workspace.
        account_id: Option<String>,
    },
    /// Nobody is.
    Failed,
}

/// Ends the sign-in's task when nobody waits for it any more.
#[derive(Debug)]
struct Ending(Option<JoinHandle<HostAnswer>>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl HostLogin {
    /// How the host waits: by itself, nothing is typed.
    pub const METHOD: &'static str = "auto";

    fn failed(why: &HostLoginError) -> Self {
        let instructions = format!("Failed to start authorization: {why}");
        Self { url: String::new(), instructions, ended: Ending(None) }
    }

    /// Waits for the end.
    pub async fn callback(mut self) -> HostAnswer {
        match self.ended.0.as_mut() {
            Some(task) => task.await.unwrap_or(HostAnswer::Failed),
            None => HostAnswer::Failed,
        }
    }
}

impl HostAnswer {
    /// As the host reads it.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Success { refresh, access, expires, account_id } => {
                let mut answer = json!({
                    "type": "success", "refresh": refresh.expose(), "access": access.expose(), "expires": expires,
                });
                if let Some(id) = account_id {
                    answer["accountId"] = json!(id);
                }
                answer
            }
            Self::Failed => json!({ "type": "failed" }),
        }
    }
}

impl fmt::Debug for HostAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success { expires, account_id, .. } => out
                .debug_struct("Success")
                .field("expires", expires)
                .field("account_id", account_id)
                .finish_non_exhaustive(),
            Self::Failed => out.write_str("Failed"),
        }
    }
}

impl LoginMethods {
    /// A sign-in with the browser, for an account of `domain`; the host opens the address.
    pub async fn browser(&self, domain: Domain, profile: &AuthorizeProfile) -> HostLogin {
        let look = match domain {
            Domain::Native => Look::Native,
            Domain::Codex => Look::Codex,
        };
        let begun = self.server.begin(&self.endpoints, profile, look, self.entropy.as_ref()).await;
        let pending = match begun {
            Ok(pending) => pending,
            Err(why) => return HostLogin::failed(&why),
        };
        let url = pending.url().to_owned();
        let (methods, endpoint) = (self.clone(), self.endpoint());
        let task = tokio::spawn(async move {
            let Timing { callback, grace, error_grace, .. } = methods.timing;
            let granted = pending.tokens(&endpoint, callback).await;
            let answer = methods.kept(domain, granted);
            // A page that says why it failed can be loaded again for a while.
            match &answer {
                HostAnswer::Success { .. } => methods.server.stop_after(grace, "success").await,
                HostAnswer::Failed => methods.server.stop_after(error_grace, "error").await,
            }
            answer
        });
        let instructions = "Finish the sign-in in your browser. If you closed its tab too early, press Ctrl+C and \
                            start again.";
        HostLogin { url, instructions: instructions.to_owned(), ended: Ending(Some(task)) }
    }

    /// A sign-in with a code that is typed on any device, for an account of `domain`. `user_agent` is what we call
    /// ourselves there.
    pub async fn device(&self, domain: Domain, user_agent: &str) -> Result<HostLogin, HostLoginError> {
        let (show, mut shown) = mpsc::channel(1);
        let methods = self.clone();
        let http = Identified::new(Arc::clone(&self.http), user_agent);
        let (tell, told) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let rhythm = DeviceRhythm { limit: methods.timing.device, ..DeviceRhythm::OPENCODE };
            let login = DeviceLogin { rhythm, ..DeviceLogin::at(methods.endpoints.clone()) };
            let ui = Shown(show);
            let ports =
                DevicePorts { http: &http, entropy: methods.entropy.as_ref(), clock: methods.clock.as_ref(), ui: &ui };
            match device_tokens(&login, ports, &methods.endpoint()).await {
                Ok(granted) => methods.kept(domain, Ok(granted)),
                Err(why) => {
                    // Heard only by who still waits for the code.
                    let _ = tell.send(why);
                    HostAnswer::Failed
                }
            }
        });
        let mut ended = Ending(Some(task));
        if let Some((url, code)) = shown.recv().await {
            return Ok(HostLogin { url, instructions: format!("Enter code: {code}"), ended });
        }
        // Nobody will show a code any more: the sign-in has ended.
        ended.0 = None;
        Err(told.await.unwrap_or(HostLoginError::Cancelled))
    }

    fn endpoint(&self) -> TokenEndpoint {
        let (http, clock) = (Arc::clone(&self.http), Arc::clone(&self.clock));
        TokenEndpoint::new(self.endpoints.clone(), http, clock, self.timing.http)
    }

    /// Keeps what was granted; the host hears of a success only once it is kept.
    fn kept(&self, domain: Domain, granted: Result<Granted, HostLoginError>) -> HostAnswer {
        let now = self.clock.now();
        let Ok(granted) = granted else { return HostAnswer::Failed };
        if keep(&self.file, domain, &granted, now).is_err() {
            return HostAnswer::Failed;
        }
        let said = said_by(&granted, now);
        let Granted { access: Some(access), refresh: Some(refresh), .. } = granted else {
            return HostAnswer::Failed;
        };
        HostAnswer::Success { refresh, access, expires: said.expires.as_millis(), account_id: said.claims.account_id }
    }
}

/// Hands page and code over to whoever tells the host.
#[derive(Debug)]
struct Shown(mpsc::Sender<(String, String)>);

impl DeviceUi for Shown {
    fn may_be_disabled(&self) {
        // The host shows one line; the refusal names the setting.
    }

    fn show_code(&self, page: &str, code: &str, _lifetime: Duration) {
        // There is one code, and the host may have left.
        let _ = self.0.try_send((page.to_owned(), code.to_owned()));
    }

    fn waiting(&self, _left: Duration) {
        // The host shows no countdown.
    }
}
