//! Giving a grant back to the issuer that made it (protocol 1.8).

use std::time::Duration;

use http::Request;
use serde_json::json;
use tokio::time::timeout;

use codex_auth_core::{Credential, Kind};

use crate::{
    endpoints::Endpoints,
    grant::{error_code, post_json},
    http::{HttpClient, HttpError},
};

/// How long it may take altogether; the official client waits as long.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a grant may still be alive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokeError {
    /// The tokens came from another issuer, or nobody knows from which: they are shown to no other.
    #[error("the account was signed in at {recorded}, but the configured issuer is {configured}; nothing was sent")]
    OtherIssuer {
        /// Who granted them, as far as that is recorded.
        recorded: String,
        /// Who would have been asked.
        configured: String,
    },
    /// There is no token to give back.
    #[error("the account holds no token to revoke")]
    NoToken,
    /// The issuer said no.
    #[error("the issuer refused to revoke the token: {code}")]
    Refused {
        /// OAuth error code, or `http_<status>` where the answer had none.
        code: String,
    },
    /// No whole answer came in time; the token may be revoked or not.
    #[error("the issuer did not confirm the revocation: {why}")]
    Unanswered {
        /// What failed, without URL or body.
        why: String,
    },
}

impl RevokeError {
    /// What the caller may do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::OtherIssuer { .. } | Self::NoToken => Kind::Usage,
            Self::Refused { .. } | Self::Unanswered { .. } => Kind::Network,
        }
    }

    /// The next thing to do, with the exact command as far as it does not depend on the account's number.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::OtherIssuer { .. } => {
                "set CODEX_MULTI_AUTH_ISSUER_URL to the issuer the account was signed in at, or remove the account \
                 without --revoke"
            }
            Self::NoToken => "remove the account without --revoke",
            Self::Refused { .. } => {
                "end the session in ChatGPT's security settings, then remove the account without --revoke"
            }
            Self::Unanswered { .. } => {
                "check the connection and run the command again, or end the session in ChatGPT's security settings"
            }
        }
    }
}

/// Revokes what `credential` holds at the issuer that granted it, which is `recorded`: the refresh token, and the
/// access token only where there is no other. Takes ten seconds at most.
pub async fn revoke(
    endpoints: &Endpoints,
    http: &dyn HttpClient,
    recorded: Option<&str>,
    credential: &Credential,
) -> Result<(), RevokeError> {
    if !endpoints.may_see_tokens_of(recorded) {
        let recorded = recorded.unwrap_or("an issuer that was not recorded").to_owned();
        return Err(RevokeError::OtherIssuer { recorded, configured: endpoints.issuer().to_owned() });
    }
    let request = request(endpoints, credential).ok_or(RevokeError::NoToken)?;
    let unanswered = |why: String| RevokeError::Unanswered { why };
    let in_time = timeout(LIMIT, http.send(request)).await;
    let answered = in_time.map_err(|_| unanswered(format!("no answer within {} s", LIMIT.as_secs())))?;
    let answer = answered.map_err(|error| match error {
        HttpError::Unsent { why } | HttpError::BrokeOff { why } => unanswered(why),
    })?;
    if answer.status().is_success() {
        return Ok(());
    }
    let status = || format!("http_{}", answer.status().as_u16());
    Err(RevokeError::Refused { code: error_code(answer.body()).unwrap_or_else(status) })
}

fn request(endpoints: &Endpoints, credential: &Credential) -> Option<Request<Vec<u8>>> {
    let body = if credential.refresh.is_blank() {
        let access = credential.access.as_ref().filter(|token| !token.is_blank())?;
        json!({ "token": access.expose(), "token_type_hint": "access_token" })
    } else {
        json!({
            "token": credential.refresh.expose(), "token_type_hint": "refresh_token",
            "client_id": endpoints.client_id(),
        })
    };
    Some(post_json(endpoints.revoke_url(), &body))
}
