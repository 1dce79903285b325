//! Which issuer we talk to, checked once: https, or loopback for tests, the demo and local issuers.

use url::Url;

use codex_auth_core::Kind;
use codex_auth_net::is_loopback;

/// Issuer of ChatGPT sign-ins (protocol 2.1).
pub const DEFAULT_ISSUER: &str = "https://auth.openai.com";
/// Client id of the official client, the one its sign-ins are registered for (protocol 2.1).
pub const DEFAULT_CLIENT_ID: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// An issuer and the client id we show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    issuer: String,
    client_id: String,
    is_loopback: bool,
}

/// Why a text is no issuer. The text itself is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL with a host.
    #[error("the issuer is not a URL such as {DEFAULT_ISSUER}")]
    NotAUrl,
    /// Plain http to another machine, or another scheme.
    #[error("the issuer must be https, or http on this machine (127.0.0.1, [::1], localhost)")]
    NotPrivate,
    /// User name, query or fragment.
    #[error("the issuer must not hold a user name, a query or a fragment")]
    Extras,
}

impl EndpointError {
    /// What the caller may do about it.
    pub fn kind(self) -> Kind {
        Kind::Usage
    }
}

impl Endpoints {
    /// The issuer at `issuer`, a URL with an optional path below which `/oauth/…` lies.
    pub fn parse(issuer: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(issuer.trim()).map_err(|_| EndpointError::NotAUrl)?;
        let is_loopback = is_loopback(&url.host().ok_or(EndpointError::NotAUrl)?);
        if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback) {
            return Err(EndpointError::NotPrivate);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Extras);
        }
        let issuer = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { issuer, client_id: DEFAULT_CLIENT_ID.to_owned(), is_loopback })
    }

    /// The default issuer, unless the user's override (`CODEX_MULTI_AUTH_ISSUER_URL`) names another one.
    pub fn overridden_by(value: Option<&str>) -> Result<Self, EndpointError> {
        value.filter(|text| !text.trim().is_empty()).map_or_else(|| Ok(Self::default()), Self::parse)
    }

    /// The same issuer, shown another client id.
    #[must_use]
    pub fn with_client_id(self, client_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), ..self }
    }

    /// The issuer as it is recorded with what it grants: a normal URL without a closing slash.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client id shown to it.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Whether this is the vendor's issuer and no override.
    pub fn is_default(&self) -> bool {
        self.issuer == DEFAULT_ISSUER
    }

    /// Where people sign in.
    pub fn authorize_url(&self) -> String {
        format!("{}/oauth/authorize", self.issuer)
    }

    /// Where codes and refresh tokens are redeemed.
    pub fn token_url(&self) -> String {
        format!("{}/oauth/token", self.issuer)
    }

    /// Where tokens are given back.
    pub fn revoke_url(&self) -> String {
        format!("{}/oauth/revoke", self.issuer)
    }

    /// Where a sign-in by device code begins (protocol 3).
    pub fn device_code_url(&self) -> String {
        format!("{}/api/accounts/deviceauth/usercode", self.issuer)
    }

    /// Where is asked whether somebody used the code.
    pub fn device_token_url(&self) -> String {
        format!("{}/api/accounts/deviceauth/token", self.issuer)
    }

    /// The page a person types the code on.
    pub fn device_page_url(&self) -> String {
        format!("{}/codex/device", self.issuer)
    }

    /// The redirect address a device sign-in's exchange names; nobody is ever sent there.
    pub fn device_redirect_uri(&self) -> String {
        format!("{}/deviceauth/callback", self.issuer)
    }

    /// Whether a token granted by `recorded` may be presented here (guard rail 1): to the issuer that granted it
    /// only. Tokens without a recorded issuer came from a predecessor or by hand; the vendor's issuer and one on
    /// this machine may see them, no other.
    pub fn may_see_tokens_of(&self, recorded: Option<&str>) -> bool {
        match recorded {
            Some(recorded) => Self::parse(recorded).is_ok_and(|known| known.issuer == self.issuer),
            None => self.is_default() || self.is_loopback,
        }
    }
}

impl Default for Endpoints {
    fn default() -> Self {
        Self { issuer: DEFAULT_ISSUER.to_owned(), client_id: DEFAULT_CLIENT_ID.to_owned(), is_loopback: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, EndpointError>) {
        let parsed = Endpoints::parse(text);
        assert_eq!(parsed.as_ref().map(Endpoints::issuer).map_err(|error| *error), expect, "{text}");
    }

    #[test]
    fn issuers() {
        check("https://auth.openai.com", Ok("https://auth.openai.com"));
        check(" https://AUTH.openai.com:443/ ", Ok("https://auth.openai.com"));
        check("https://sso.example.test/realm/", Ok("https://sso.example.test/realm"));
        check("http://127.0.0.1:5000", Ok("http://127.0.0.1:5000"));
        check("http://[::1]:5000/", Ok("http://[::1]:5000"));
        check("http://localhost:5000", Ok("http://localhost:5000"));
    }

    #[test]
    fn what_is_no_issuer() {
        check("auth.openai.com", Err(EndpointError::NotAUrl));
        check("", Err(EndpointError::NotAUrl));
        check("http://auth.openai.com", Err(EndpointError::NotPrivate));
        check("http://localhost.example.test", Err(EndpointError::NotPrivate));
        check("http://127.0.0.1.example.test", Err(EndpointError::NotPrivate));
        check("ftp://127.0.0.1", Err(EndpointError::NotPrivate));
        check("https://me:pw@auth.openai.com", Err(EndpointError::Extras));
        check("https://auth.openai.com/?a=b", Err(EndpointError::Extras));
        check("https://auth.openai.com/#a", Err(EndpointError::Extras));
    }

    #[test]
    fn no_override_is_the_default() {
        assert!(Endpoints::overridden_by(None).is_ok_and(|endpoints| endpoints.is_default()));
        assert!(Endpoints::overridden_by(Some(" ")).is_ok_and(|endpoints| endpoints.is_default()));
        assert_eq!(Endpoints::parse(DEFAULT_ISSUER), Ok(Endpoints::default()));
    }

    #[track_caller]
    fn sees(configured: &str, recorded: Option<&str>, expect: bool) {
        let endpoints = Endpoints::parse(configured).expect("a good issuer");
        assert_eq!(endpoints.may_see_tokens_of(recorded), expect, "{configured} {recorded:?}");
    }

    #[test]
    fn a_token_goes_to_the_issuer_that_granted_it() {
        sees(DEFAULT_ISSUER, Some("https://auth.openai.com/"), true);
        sees(DEFAULT_ISSUER, Some("http://127.0.0.1:5000"), false);
        sees("http://127.0.0.1:5000", Some(DEFAULT_ISSUER), false);
        sees("http://127.0.0.1:5000", Some("http://127.0.0.1:5001"), false);
        sees("https://sso.example.test", Some("https://sso.example.test"), true);
        sees("https://sso.example.test", Some("not a url"), false);
    }

    #[test]
    fn a_token_without_a_recorded_issuer_stays_near() {
        sees(DEFAULT_ISSUER, None, true);
        sees("http://127.0.0.1:5000", None, true);
        sees("https://sso.example.test", None, false);
    }
}
