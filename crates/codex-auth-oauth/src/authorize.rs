//! The page a person signs in at, and what the browser brings back from it (protocol 2.2, 2.3).

use std::fmt;

use http::{HeaderMap, Method, Request, Uri};
use url::form_urlencoded;

use codex_auth_core::{Entropy, WorkspaceId};

use crate::{
    endpoints::Endpoints,
    error::LoginError,
    grant::as_code,
    pkce::{State, Verifier},
};

/// Longest explanation of the issuer that is shown, in characters.
const DESCRIPTION_LIMIT: usize = 200;
/// Where the browser comes back to, as it is registered.
pub const CALLBACK_PATH: &str = "/auth/callback";
/// Another sign-in asks for the port by this.
pub(crate) const CANCEL_PATH: &str = "/cancel";

/// How one client presents itself to the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorizeProfile {
    /// Host of the redirect address, as it is registered.
    pub redirect_host: &'static str,
    /// Scopes, separated by spaces.
    pub scope: &'static str,
    /// Name the issuer expects from this client.
    pub originator: &'static str,
    form: Form,
}

/// In which order the parameters stand, and how a space is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the official client sends them: `scope` after `state`, a space is `+`.
    Codex,
    /// As OpenCode's plugin sends them: `scope` before the challenge, a space is `%20`.
    OpenCode,
}

impl AuthorizeProfile {
    /// The official Codex CLI's (protocol 2.1).
    pub const CODEX: Self = Self {
        redirect_host: "127.0.0.1",
        scope: "openid profile email offline_access api.connectors.read api.connectors.invoke",
        originator: "codex_cli_rs",
        form: Form::Codex,
    };
    /// OpenCode's, for accounts it uses as its own sign-in (plugin 5.1, 5.2).
    pub const OPENCODE: Self = Self {
        redirect_host: "localhost",
        scope: "openid profile email offline_access",
        originator: "opencode",
        form: Form::OpenCode,
    };
    /// OpenCode's, for accounts it uses as the Codex CLI.
    pub const OPENCODE_AS_CODEX: Self = Self { originator: "codex_cli_rs", ..Self::OPENCODE };

    /// Where the browser comes back to.
    pub fn redirect_uri(&self, port: u16) -> String {
        format!("http://{}:{port}{CALLBACK_PATH}", self.redirect_host)
    }

    /// The address of the sign-in page for one attempt, its parameters in the order of the client this is.
    pub fn address(&self, endpoints: &Endpoints, attempt: AttemptText<'_>, wishes: &Wishes) -> String {
        let AttemptText { redirect_uri, challenge, state } = attempt;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", endpoints.client_id())
            .append_pair("redirect_uri", redirect_uri);
        let (scope, challenge, method) =
            (("scope", self.scope), ("code_challenge", challenge), ("code_challenge_method", "S256"));
        let (organisations, flow) = (("id_token_add_organizations", "true"), ("codex_cli_simplified_flow", "true"));
        let order = match self.form {
            Form::Codex => [challenge, method, ("state", state), scope, organisations, flow],
            Form::OpenCode => [scope, challenge, method, organisations, flow, ("state", state)],
        };
        query.extend_pairs(order).append_pair("originator", self.originator);
        if wishes.fresh {
            query.append_pair("prompt", "login");
        }
        if !wishes.workspaces.is_empty() {
            let list: Vec<_> = wishes.workspaces.iter().map(WorkspaceId::as_str).collect();
            query.append_pair("allowed_workspace_id", &list.join(","));
        }
        let query = query.finish();
        // A plus sign of a value is encoded, so each one left is a space.
        let query = if self.form == Form::OpenCode { query.replace('+', "%20") } else { query };
        format!("{}?{query}", endpoints.authorize_url())
    }
}

/// What the page's address says of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct AttemptText<'a> {
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// The challenge of the attempt's verifier.
    pub challenge: &'a str,
    /// The attempt's state.
    pub state: &'a str,
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

impl Attempt {
    /// The secrets of a new attempt.
    pub(crate) fn new(entropy: &dyn Entropy, redirect_uri: String) -> Self {
        Self { redirect_uri, verifier: Verifier::new(entropy), state: State::new(entropy) }
    }
}

/// The address of the sign-in page.
pub(crate) fn authorize_url(
    endpoints: &Endpoints,
    profile: &AuthorizeProfile,
    attempt: &Attempt,
    wishes: &Wishes,
) -> String {
    let challenge = attempt.verifier.challenge();
    let text =
        AttemptText { redirect_uri: &attempt.redirect_uri, challenge: &challenge, state: attempt.state.expose() };
    profile.address(endpoints, text, wishes)
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
    let brought = Brought::by(request.uri());
    if brought.is_of(expected) { Call::End(brought.result()) } else { Call::OtherState }
}

/// What a browser brings back in its query.
pub(crate) struct Brought {
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
    code: Option<String>,
}

impl Brought {
    /// The query of this address; of a parameter that stands twice the first counts.
    pub(crate) fn by(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default().as_bytes();
        let find = |wanted: &str| {
            let pair = form_urlencoded::parse(query).find(|(key, _)| key == wanted);
            pair.map(|(_, value)| value.into_owned()).filter(|value| !value.trim().is_empty())
        };
        Self { state: find("state"), error: find("error"), description: find("error_description"), code: find("code") }
    }

    /// Whether it belongs to the attempt with this state.
    pub(crate) fn is_of(&self, expected: &State) -> bool {
        self.state.as_ref().is_some_and(|state| expected.is(state))
    }

    /// Whether it says that the sign-in failed.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// The last characters of the state, for the debug log.
    pub(crate) fn state_tail(&self) -> Option<String> {
        self.state.as_deref().map(state_tail)
    }

    /// The code, or why there is none.
    pub(crate) fn result(self) -> Result<AuthorizationCode, LoginError> {
        if let Some(error) = self.error {
            return Err(denied(&error, self.description));
        }
        self.code.map(AuthorizationCode).ok_or(LoginError::MissingCode)
    }
}

/// The last six characters of a state: enough to tell two attempts apart in a log, too few to stand in for one.
pub(crate) fn state_tail(state: &str) -> String {
    let start = state.char_indices().rev().nth(5).map_or(0, |(start, _)| start);
    state[start..].to_owned()
}

/// Whether a web page makes the browser call us. Another sign-in that needs the port is no page, and neither is a
/// person who types the address.
pub(crate) fn is_from_a_page(headers: &HeaderMap) -> bool {
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
pub(crate) fn harmless(text: &str) -> String {
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

    #[test]
    fn opencode_orders_and_spells_its_parameters_in_its_own_way() {
        let text = AttemptText { redirect_uri: "http://localhost:1455/auth/callback", challenge: "C+H", state: "S T" };
        let address = |profile: AuthorizeProfile| profile.address(&Endpoints::default(), text, &Wishes::default());
        let expect = "https://auth.openai.com/oauth/authorize?response_type=code\
            &client_id=app_EMoamEEZ73f0CkXaXp7hrann&redirect_uri=http%3A%2F%2Flocalhost%3A1455%2Fauth%2Fcallback\
            &scope=openid%20profile%20email%20offline_access&code_challenge=C%2BH&code_challenge_method=S256\
            &id_token_add_organizations=true&codex_cli_simplified_flow=true&state=S%20T&originator=";
        assert_eq!(address(AuthorizeProfile::OPENCODE), format!("{expect}opencode"));
        assert_eq!(address(AuthorizeProfile::OPENCODE_AS_CODEX), format!("{expect}codex_cli_rs"));
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
