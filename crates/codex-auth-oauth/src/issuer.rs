//! Renewing a credential at the issuer, and what each of its answers means for the token that was shown.
//!
//! The classes are decided on the answer as it came, before anything of it is redacted (domain 3.5).

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, Response, StatusCode};

use codex_auth_core::{
    Account, Clock, Granted, RefreshError, RefreshReason, RefreshToken, Timestamp, TokenIssuer, WaitFields, wait_of,
};

use crate::{
    endpoints::Endpoints,
    grant,
    http::{HttpClient, HttpError},
};

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
    async fn refresh(
        &self,
        account: &Account,
        token: &RefreshToken,
        why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        if !self.endpoints.may_see_tokens_of(account.issuer.as_deref()) {
            return Err(self.other_issuer(account));
        }
        let request = grant::refresh_request(&self.endpoints, token, why);
        match self.http.send(request).await {
            Ok(answer) => read(&answer, self.clock.now()),
            Err(HttpError::Unsent { why }) => Err(RefreshError::Unsent { why }),
            Err(HttpError::BrokeOff { why }) => Err(RefreshError::Lost { why }),
        }
    }
}

/// What a whole answer means, row by row of domain 3.5.
///
/// | Answer | Here | The token |
/// |---|---|---|
/// | one of the permanent codes, or words that say it was revoked | refused: needs a sign-in, unless a newer pair lies on disk | spent |
/// | 401 whatever it says | refused, likewise | spent |
/// | any other 400 or 403 | declined: rests, no mark | unspent: a refusal grants nothing |
/// | 429 | throttled, as long as it asks | unspent |
/// | 2xx without usable tokens, 408, 5xx, anything else | lost: the old tokens stay while they live | may be spent |
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
    let number = status.as_u16();
    let named = |code: Option<String>| code.unwrap_or_else(|| format!("http_{number}"));
    match status {
        StatusCode::UNAUTHORIZED => Err(RefreshError::Refused { code: named(code) }),
        _ if status.is_client_error() && is_permanent => Err(RefreshError::Refused { code: named(code) }),
        StatusCode::BAD_REQUEST if grant::tells_revocation(answer.body()) => {
            Err(RefreshError::Refused { code: code.unwrap_or_else(|| "token_revoked".to_owned()) })
        }
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Err(RefreshError::Declined { code: named(code) }),
        _ => Err(RefreshError::Lost { why: format!("HTTP {number}") }),
    }
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
