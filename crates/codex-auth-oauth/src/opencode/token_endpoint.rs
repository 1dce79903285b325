//! The token endpoint as OpenCode's plugin asks it (plugin 5.6): forms, no header but the type of the content, a time
//! limit of its own, and refusals in the words the host knows.

use std::{sync::Arc, time::Duration};

use http::{Request, StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;
use url::form_urlencoded;

use codex_auth_core::{Clock, Granted, Kind, RefreshToken};

use crate::{
    authorize::harmless,
    endpoints::Endpoints,
    grant::{self, as_code},
    http::{HttpClient, HttpError},
};

/// The token endpoint of one issuer.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    endpoints: Endpoints,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    within: Duration,
}

/// Why the endpoint gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It refused a code.
    #[error("Token exchange failed: {}", .0.status)]
    ExchangeRefused(Refused),
    /// It refused a refresh token.
    #[error("Token refresh failed ({})", .0.code.clone().unwrap_or_else(|| format!("status {}", .0.status)))]
    RefreshRefused(Refused),
    /// It did not answer in time; a token that was shown may be spent.
    #[error("OAuth request timed out after {}ms", after.as_millis())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// There was no connection, or no whole answer.
    #[error("OAuth request failed: {why}")]
    Unanswered {
        /// What failed, without URL or body.
        why: String,
    },
    /// The answer lacks the tokens that were asked for.
    #[error("OAuth answer lacks a token")]
    NoTokens,
}

/// What a refusal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Status of the answer.
    pub status: u16,
    /// OAuth error code.
    pub code: Option<String>,
    /// The issuer's explanation, printable and short.
    pub message: Option<String>,
}

impl TokenError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::ExchangeRefused(_) | Self::RefreshRefused(_) => Kind::NeedsLogin,
            Self::TimedOut { .. } | Self::Unanswered { .. } | Self::NoTokens => Kind::Network,
        }
    }

    /// What the refusal says, if it is one.
    pub fn refused(&self) -> Option<&Refused> {
        match self {
            Self::ExchangeRefused(refused) | Self::RefreshRefused(refused) => Some(refused),
            Self::TimedOut { .. } | Self::Unanswered { .. } | Self::NoTokens => None,
        }
    }
}

impl TokenEndpoint {
    /// The endpoint of `endpoints`, asked through `http`, each time for at most `within`.
    pub fn new(endpoints: Endpoints, http: Arc<dyn HttpClient>, clock: Arc<dyn Clock>, within: Duration) -> Self {
        Self { endpoints, http, clock, within }
    }

    /// Whose it is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Redeems a code; both tokens have to come of it.
    pub async fn exchange(&self, code: &str, redirect_uri: &str, verifier: &str) -> Result<Granted, TokenError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("client_id", self.endpoints.client_id())
            .append_pair("code_verifier", verifier)
            .finish();
        let granted = self.ask(body, TokenError::ExchangeRefused).await?;
        if granted.refresh.is_some() { Ok(granted) } else { Err(TokenError::NoTokens) }
    }

    /// Presents a refresh token; an answer without a new one leaves the old one standing (defect 6).
    pub async fn refresh(&self, token: &RefreshToken) -> Result<Granted, TokenError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", token.expose())
            .append_pair("client_id", self.endpoints.client_id())
            .finish();
        self.ask(body, TokenError::RefreshRefused).await
    }

    async fn ask(&self, body: String, refused: fn(Refused) -> TokenError) -> Result<Granted, TokenError> {
        let request = Request::post(self.endpoints.token_url())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .expect("an issuer that was parsed makes a URL");
        let answer = timeout(self.within, self.http.send(request)).await;
        let answer = answer.map_err(|_| TokenError::TimedOut { after: self.within })?.map_err(|error| match error {
            HttpError::Unsent { why } | HttpError::BrokeOff { why } => TokenError::Unanswered { why },
        })?;
        if !answer.status().is_success() {
            return Err(refused(Refused::read(answer.status(), answer.body())));
        }
        let granted = grant::granted(answer.body(), self.clock.now());
        granted.filter(|granted| granted.access.is_some()).ok_or(TokenError::NoTokens)
    }
}

impl Refused {
    /// The code is the text `error`, or `error.code`; the explanation `error_description`, or `error.message`.
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
        let message = text("/error/message").or_else(|| text("/error_description"));
        Self {
            status: status.as_u16(),
            code: text("/error").or_else(|| text("/error/code")).and_then(as_code),
            message: message.map(harmless).filter(|message| !message.is_empty()),
        }
    }
}
