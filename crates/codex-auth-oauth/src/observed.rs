//! A sign-in of the command line, watched from its ports: what it does to browser and issuer is told as the same events
//! that OpenCode's plugin keeps (plugin 5.9), and the flow itself knows nothing of it.

use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    error::{DeviceError, LoginError, PasteError},
    events::{LoginEvent, LoginEvents},
    http::{HttpClient, HttpError},
    login::LoginUi,
};

/// Requests that are told, each bounded.
#[derive(Debug)]
pub struct ObservedHttp<'a> {
    /// What carries them.
    pub http: &'a dyn HttpClient,
    /// Who hears of them.
    pub events: &'a dyn LoginEvents,
    /// How long one may take.
    pub within: Duration,
}

#[async_trait]
impl HttpClient for ObservedHttp<'_> {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        // Questions about a device code are many, and say nothing.
        let is_exchange = request.uri().path().ends_with("/oauth/token");
        let tell = |event: LoginEvent, meta: serde_json::Value| {
            if is_exchange {
                self.events.happened(event, meta);
            }
        };
        tell(LoginEvent::TokenExchangeStart, json!({ "host": request.uri().host() }));
        let answer = timeout(self.within, self.http.send(request)).await.unwrap_or_else(|_| {
            // Whatever was sent may have been heard.
            Err(HttpError::BrokeOff { why: format!("timed out after {} ms", self.within.as_millis()) })
        });
        match &answer {
            Ok(answer) if answer.status().is_success() => tell(LoginEvent::TokenExchangeSuccess, json!({})),
            Ok(answer) => tell(LoginEvent::TokenExchangeError, json!({ "status": answer.status().as_u16() })),
            Err(error) => tell(LoginEvent::TokenExchangeError, json!({ "error": error.to_string() })),
        }
        answer
    }
}

/// A person who is watched.
#[derive(Debug)]
pub struct ObservedUi<'a> {
    /// Who is asked.
    pub ui: &'a dyn LoginUi,
    /// Who hears of it.
    pub events: &'a dyn LoginEvents,
}

#[async_trait]
impl LoginUi for ObservedUi<'_> {
    fn show_url(&self, url: &str) {
        self.ui.show_url(url);
    }

    fn open_browser(&self, url: &str) -> bool {
        self.events.happened(LoginEvent::BrowserOpenAttempt, json!({}));
        let opened = self.ui.open_browser(url);
        let event = if opened { LoginEvent::BrowserOpenSuccess } else { LoginEvent::BrowserOpenFailure };
        self.events.happened(event, json!({}));
        opened
    }

    fn waiting(&self, port: u16) {
        self.events.happened(LoginEvent::ServerStarted, json!({ "port": port }));
        self.events.happened(LoginEvent::CallbackWaitStart, json!({ "port": port }));
        self.ui.waiting(port);
    }

    async fn pasted(&self) -> Option<String> {
        self.ui.pasted().await
    }

    fn goes_on(&self, after: &LoginError) {
        self.events.happened(end_of(after), json!({ "error": after.to_string(), "goesOn": true }));
        self.ui.goes_on(after);
    }
}

/// Tells how a sign-in ended.
pub fn tell_end<T>(events: &dyn LoginEvents, result: &Result<T, LoginError>) {
    match result {
        Ok(_) => events.happened(LoginEvent::CallbackWaitResolved, json!({})),
        Err(error) => events.happened(end_of(error), json!({ "error": error.to_string() })),
    }
    events.happened(LoginEvent::ServerStopped, json!({}));
}

fn end_of(error: &LoginError) -> LoginEvent {
    match error {
        LoginError::PortBusy { .. } | LoginError::Listen { .. } => LoginEvent::ServerStartError,
        LoginError::TimedOut { .. }
        | LoginError::Paste(PasteError::Nothing { .. })
        | LoginError::Device(DeviceError::TimedOut { .. }) => LoginEvent::CallbackWaitTimeout,
        LoginError::Cancelled => LoginEvent::CallbackCancel,
        LoginError::Denied { .. } | LoginError::NotEntitled | LoginError::MissingCode => LoginEvent::CallbackError,
        LoginError::Paste(PasteError::Incomplete | PasteError::OtherAttempt)
        | LoginError::Device(_)
        | LoginError::ExchangeRefused { .. }
        | LoginError::ExchangeUnanswered { .. }
        | LoginError::NoTokens
        | LoginError::OtherWorkspace { .. }
        | LoginError::NotKept(_) => LoginEvent::CallbackWaitRejected,
    }
}
