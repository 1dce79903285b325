//! The page a person signs in at, and what the browser brings back from it (protocol 2.2, 2.3).

use std::fmt;

use http::{HeaderMap, Method, Request};
use url::form_urlencoded;

use codex_auth_core::WorkspaceId;

use crate::{
    endpoints::Endpoints,
    error::LoginError,
    grant::as_code,
    pkce::{State, Verifier},
};

/// Longest explanation of the issuer that is shown, in characters.
const DESCRIPTION_LIMIT: usize = 200;
const CALLBACK_PATH: &str = "/auth/callback";
/// Another sign-in asks for the port by this.
pub(crate) const CANCEL_PATH: &str = "/cancel";

/// How one registered client presents itself to the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorizeProfile {
    /// Host of the redirect address, as it is registered.
    pub redirect_host: &'static str,
    /// Scopes, separated by spaces.
    pub scope: &'static str,
    /// Name the issuer expects from this client.
    pub originator: &'static str,
}

impl AuthorizeProfile {
    /// The official Codex CLI's (protocol 2.1).
    pub const CODEX: Self = Self {
        redirect_host: "127.0.0.1",
        scope: "openid profile email offline_access api.connectors.read api.connectors.invoke",
        originator: "codex_cli_rs",
    };

    /// Where the browser comes back to.
    pub fn redirect_uri(&self, port: u16) -> String {
        format!("http://{}:{port}{CALLBACK_PATH}", self.redirect_host)
    }
}

/// What a person is asked at the issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Ask for name and password even where the browser remembers a sign-in; without it a second account of the
    /// same browser is never asked for.
    pub fresh: bool,
    /// Workspaces that may be signed in to; empty = any.
    pub workspaces: Vec<WorkspaceId>,
}

/// The secrets of one attempt and where its answer goes.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub redirect_uri: String,
    pub verifier: Verifier,
    pub state: State,
}

/// The address of the sign-in page, its parameters in the order the official client sends them.
pub(crate) fn authorize_url(
    endpoints: &Endpoints,
    profile: &AuthorizeProfile,
    attempt: &Attempt,
    wishes: &Wishes,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", endpoints.client_id())
        .append_pair("redirect_uri", &attempt.redirect_uri)
        .append_pair("code_challenge", &attempt.verifier.challenge())
        .append_pair("code_challenge_method", "S256")
        .append_pair("state", attempt.state.expose())
        .append_pair("scope", profile.scope)
        .append_pair("id_token_add_organizations", "true")
        .append_pair("codex_cli_simplified_flow", "true")
        .append_pair("originator", profile.originator);
    if wishes.fresh {
        query.append_pair("prompt", "login");
    }
    if !wishes.workspaces.is_empty() {
        let list: Vec<_> = wishes.workspaces.iter().map(WorkspaceId::as_str).collect();
        query.append_pair("allowed_workspace_id", &list.join(","));
    }
    format!("{}?{}", endpoints.authorize_url(), query.finish())
}

/// What the issuer gave the browser to carry back; redeemed once.
pub(crate) struct AuthorizationCode(String);

impl AuthorizationCode {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AuthorizationCode([redacted])")
    }
}

/// What a request to the callback listener is.
#[derive(Debug)]
pub(crate) enum Call {
    /// Not a GET.
    NotGet,
    /// Some other path.
    Elsewhere,
    /// The callback of another attempt, or of nobody.
    OtherState,
    /// The end of this attempt.
    End(Result<AuthorizationCode, LoginError>),
}

/// Reads a request to the listener. Errors count only with the right `state`, so that nobody ends a sign-in by
/// guessing.
pub(crate) fn read_call<B>(request: &Request<B>, expected: &State) -> Call {
    if request.method() != Method::GET {
        return Call::NotGet;
    }
    match request.uri().path() {
        CANCEL_PATH if !is_from_a_page(request.headers()) => return Call::End(Err(LoginError::Cancelled)),
        CALLBACK_PATH => {}
        _ => return Call::Elsewhere,
    }
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let find = |wanted: &str| {
        let pair = form_urlencoded::parse(query).find(|(key, _)| key == wanted);
        pair.map(|(_, value)| value.into_owned()).filter(|value| !value.trim().is_empty())
    };
    if !find("state").is_some_and(|state| expected.is(&state)) {
        return Call::OtherState;
    }
    if let Some(error) = find("error") {
        return Call::End(Err(denied(&error, find("error_description"))));
    }
    Call::End(find("code").map(AuthorizationCode).ok_or(LoginError::MissingCode))
}

/// Whether a web page makes the browser call us. Another sign-in that needs the port is no page, and neither is a
/// person who types the address.
fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site != "none")
}

pub(crate) fn denied(error: &str, description: Option<String>) -> LoginError {
    let code = as_code(error).unwrap_or_else(|| "unknown_error".to_owned());
    if code == "access_denied" && description.as_ref().is_some_and(|text| text.contains("missing_codex_entitlement")) {
        return LoginError::NotEntitled;
    }
    LoginError::Denied { code, description: description.map(|text| harmless(&text)) }
}

/// What may be written to a terminal: no escape sequences, nothing that turns the direction of the text.
fn harmless(text: &str) -> String {
    let is_plain = |letter: &char| *letter == ' ' || letter.is_alphanumeric() || letter.is_ascii_punctuation();
    text.chars().filter(is_plain).take(DESCRIPTION_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::SeededEntropy;

    use super::*;

    fn attempt(port: u16) -> Attempt {
        let entropy = SeededEntropy::new(7);
        Attempt {
            redirect_uri: AuthorizeProfile::CODEX.redirect_uri(port),
            verifier: Verifier::new(&entropy),
            state: State::new(&entropy),
        }
    }

    #[track_caller]
    fn goes_to(issuer: &str, wishes: &Wishes, expect: &str) {
        let endpoints = Endpoints::parse(issuer).expect("a good issuer");
        assert_eq!(authorize_url(&endpoints, &AuthorizeProfile::CODEX, &attempt(1455), wishes), expect);
    }

    /// Verifier and state come from seed 7.
    const DEFAULT_URL: &str = "https://auth.openai.com/oauth/authorize?response_type=code\
        &client_id=app_EMoamEEZ73f0CkXaXp7hrann&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback\
        &code_challenge=NRfYbqTFFW4jKSGi90ko3kb5iOwHTBC8Mz2KBbQVsXY&code_challenge_method=S256\
        &state=YWdQmXrAXiJpU3mIdqLDaev6tQWb54IaLGPdKLdOuvU\
        &scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke\
        &id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=codex_cli_rs";

    #[test]
    fn the_whole_address() {
        goes_to(crate::DEFAULT_ISSUER, &Wishes::default(), DEFAULT_URL);
    }

    #[test]
    fn a_fresh_sign_in_to_given_workspaces_is_asked_for_at_the_end() {
        let workspaces = ["ws-1", "ws-2"].into_iter().filter_map(WorkspaceId::parse).collect();
        let expect = DEFAULT_URL.replace("https://auth.openai.com", "http://127.0.0.1:9/realm");
        goes_to(
            "http://127.0.0.1:9/realm",
            &Wishes { fresh: true, workspaces },
            &format!("{expect}&prompt=login&allowed_workspace_id=ws-1%2Cws-2"),
        );
    }

    /// `STATE` in `target` stands for the right one.
    #[track_caller]
    fn check(method: &Method, target: &str, expect: &str) {
        let state = attempt(1455).state;
        let request = Request::builder().method(method).uri(target.replace("STATE", state.expose()));
        let call = match read_call(&request.body(()).expect("a request"), &state) {
            Call::NotGet => "not get".to_owned(),
            Call::Elsewhere => "elsewhere".to_owned(),
            Call::OtherState => "other state".to_owned(),
            Call::End(Ok(code)) => format!("code {}", code.expose()),
            Call::End(Err(error)) => error.to_string(),
        };
        assert_eq!(call, expect, "{method} {target}");
    }

    #[test]
    fn codes_come_back() {
        check(&Method::GET, "/auth/callback?code=A%2BC&state=STATE&scope=openid", "code A+C");
        check(&Method::GET, "http://localhost:1455/auth/callback?state=STATE&code=AC", "code AC");
        check(&Method::GET, "/auth/callback?state=STATE", "the browser came back without an authorization code");
        check(&Method::GET, "/auth/callback?state=STATE&code=", "the browser came back without an authorization code");
    }

    #[test]
    fn only_this_attempt_counts() {
        check(&Method::GET, "/auth/callback", "other state");
        check(&Method::GET, "/auth/callback?code=AC", "other state");
        check(&Method::GET, "/auth/callback?code=AC&state=", "other state");
        check(&Method::GET, "/auth/callback?code=AC&state=STATEx", "other state");
        check(&Method::GET, "/auth/callback?code=AC&state=x&state=STATE", "other state");
        check(&Method::GET, "/auth/callback?error=access_denied&state=x", "other state");
    }

    #[test]
    fn errors_end_the_attempt() {
        check(
            &Method::GET,
            "/auth/callback?error=access_denied&state=STATE&code=AC",
            "the issuer refused the sign-in: access_denied",
        );
        check(
            &Method::GET,
            "/auth/callback?error=server_error&error_description=Try%1B+later&state=STATE",
            "the issuer refused the sign-in: server_error (Try later)",
        );
        check(
            &Method::GET,
            "/auth/callback?error=access_denied&error_description=code:+missing_codex_entitlement&state=STATE",
            "the workspace has no access to Codex",
        );
        check(
            &Method::GET,
            "/auth/callback?error=%3Cscript%3E&state=STATE",
            "the issuer refused the sign-in: unknown_error",
        );
    }

    #[test]
    fn everything_else_is_no_callback() {
        check(&Method::POST, "/auth/callback?code=AC&state=STATE", "not get");
        check(&Method::HEAD, "/cancel", "not get");
        check(&Method::GET, "/auth/callback/?code=AC&state=STATE", "elsewhere");
        check(&Method::GET, "/favicon.ico", "elsewhere");
        check(&Method::GET, "/cancel", "the sign-in was cancelled");
    }

    #[test]
    fn no_page_cancels_a_sign_in() {
        let call = |site| {
            let request = Request::get("/cancel").header("sec-fetch-site", site).body(()).expect("a request");
            matches!(read_call(&request, &attempt(1).state), Call::End(Err(LoginError::Cancelled)))
        };
        assert!(call("none"));
        assert!(!call("cross-site") && !call("same-site"));
    }

    #[test]
    fn debug_hides_the_code() {
        let state = attempt(1).state;
        let request = Request::get(format!("/auth/callback?code=CANARY&state={}", state.expose()));
        let call = read_call(&request.body(()).expect("a request"), &state);
        assert!(matches!(call, Call::End(Ok(_))));
        let shown = format!("{call:?}");
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
