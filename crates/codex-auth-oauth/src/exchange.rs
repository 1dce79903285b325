//! What a code buys, and whom it lets in: the last step of every sign-in (protocol 2.4, domain 3.4).

use codex_auth_core::{Claims, Clock, Credential, Granted};

use crate::{
    authorize::{AuthorizationCode, Wishes},
    endpoints::Endpoints,
    error::LoginError,
    grant,
    http::{HttpClient, HttpError},
};

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

impl SignedIn {
    /// Whether the issuer granted an id token. Without one the sign-in is whole for us, but the official client cannot
    /// load it: it fails with `missing field id_token`.
    pub fn has_id_token(&self) -> bool {
        self.credential.id.is_some()
    }
}

/// Where a code is redeemed, and for whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub endpoints: &'a Endpoints,
    pub wishes: &'a Wishes,
    pub http: &'a dyn HttpClient,
    pub clock: &'a dyn Clock,
}

impl Exchange<'_> {
    /// Redeems `code`, which was granted for `redirect_uri` to whoever knows `verifier`. It is presented once.
    pub(crate) async fn redeem(
        self,
        code: &AuthorizationCode,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<SignedIn, LoginError> {
        let request = grant::code_request(self.endpoints, code, redirect_uri, verifier);
        let answer = self.http.send(request).await.map_err(|error| match error {
            HttpError::Unsent { why } | HttpError::BrokeOff { why } => LoginError::ExchangeUnanswered { why },
        })?;
        if !answer.status().is_success() {
            let status = || format!("http_{}", answer.status().as_u16());
            let code = grant::exchange_detail(answer.body()).unwrap_or_else(status);
            return Err(LoginError::ExchangeRefused { code });
        }
        let now = self.clock.now();
        let granted = grant::granted(answer.body(), now).ok_or(LoginError::NoTokens)?;
        let Granted { access: Some(access), refresh: Some(refresh), id, expires_at, claims } = granted else {
            return Err(LoginError::NoTokens);
        };
        let allowed = &self.wishes.workspaces;
        if !allowed.is_empty() && !claims.workspace.as_ref().is_some_and(|workspace| allowed.contains(workspace)) {
            return Err(LoginError::OtherWorkspace { found: claims.workspace.map(|workspace| workspace.to_string()) });
        }
        let credential =
            Credential { access: Some(access), refresh, id, expires_at, obtained_at: Some(now), generation: 0 };
        Ok(SignedIn { credential, claims, issuer: self.endpoints.issuer().to_owned() })
    }
}
