//! Renewing a credential at the issuer, and what each of its answers means for the token that was shown.
//!
//! The classes are decided on the answer as it came, before anything of it is redacted (domain 3.5).

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Response, StatusCode};

use codex_auth_core::{
    Account, Clock, Granted, RefreshError, RefreshToken, Timestamp, TokenIssuer, WaitFields, wait_of,
};

use crate::{
    endpoints::Endpoints,
    grant,
    http::{HttpClient, HttpError},
};

/// Why we say we refresh; the port does not tell, and ahead of the end is when the keeper does.
const REFRESH_REASON: &str = "proactive_expiry";
/// Codes that end a refresh token whatever the status of their answer.
const PERMANENT: [&str; 5] =
    ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated", "token_expired", "invalid_grant"];

/// The vendor's issuer, or one that stands in for it.
#[derive(Debug, Clone)]
pub struct OpenAiIssuer {
    endpoints: Endpoints,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

impl OpenAiIssuer {
    /// The issuer at `endpoints`, asked through `http`.
    pub fn new(endpoints: Endpoints, http: Arc<dyn HttpClient>, clock: Arc<dyn Clock>) -> Self {
        Self { endpoints, http, clock }
    }

    /// Where it is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    fn other_issuer(&self, account: &Account) -> RefreshError {
        let recorded = account.issuer.clone().unwrap_or_else(|| "an issuer that was not recorded".to_owned());
        RefreshError::OtherIssuer { recorded, configured: self.endpoints.issuer().to_owned() }
    }
}

#[async_trait]
impl TokenIssuer for OpenAiIssuer {
    async fn refresh(&self, account: &Account, token: &RefreshToken) -> Result<Granted, RefreshError> {
        if !self.endpoints.may_see_tokens_of(account.issuer.as_deref()) {
            return Err(self.other_issuer(account));
        }
        let request = grant::refresh_request(&self.endpoints, token, REFRESH_REASON);
        match self.http.send(request).await {
            Ok(answer) => read(&answer, self.clock.now()),
            Err(HttpError::Unsent { why }) => Err(RefreshError::Unsent { why }),
            Err(HttpError::BrokeOff { why }) => Err(RefreshError::Lost { why }),
        }
    }
}

/// What a whole answer means. Only a 429 is known to leave the token unspent.
fn read(answer: &Response<Vec<u8>>, now: Timestamp) -> Result<Granted, RefreshError> {
    let status = answer.status();
    if status.is_success() {
        let lost = || RefreshError::Lost { why: format!("HTTP {} without tokens", status.as_u16()) };
        return grant::granted(answer.body(), now).ok_or_else(lost);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(RefreshError::Throttled { wait: asked_wait(answer.headers(), now) });
    }
    let code = grant::error_code(answer.body());
    let is_permanent = code.as_deref().is_some_and(|code| PERMANENT.contains(&code));
    let status = status.as_u16();
    if matches!(status, 400 | 401 | 403) || answer.status().is_client_error() && is_permanent {
        return Err(RefreshError::Refused { code: code.unwrap_or_else(|| format!("http_{status}")) });
    }
    Err(RefreshError::Lost { why: format!("HTTP {status}") })
}

/// How long an answer asks to be left alone.
pub(crate) fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<std::time::Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let fields = WaitFields {
        retry_after_ms: text("retry-after-ms"),
        retry_after: text("retry-after"),
        ..WaitFields::default()
    };
    wait_of(fields, now)
}
