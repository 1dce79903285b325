//! What a person pastes in place of the browser's return: an address in any of its forms, or a code with its state
//! (domain 3.3).
//!
//! The first form that fits is taken: an address, `code#state`, a query, a bare code. Unlike the predecessor's, an
//! address without a code is never taken for one, an address may lack its scheme, and the issuer's refusal is heard.

use url::{Url, form_urlencoded};

use crate::{
    authorize::{AuthorizationCode, denied},
    error::{LoginError, PasteError},
    pkce::State,
};

/// Words that end a sign-in.
const CANCELLED: [&str; 5] = ["", "q", "quit", "cancel", "back"];
const ESCAPE: char = '\u{1b}';
/// The end of every registered redirect address.
const CALLBACK: &str = "/auth/callback";

/// What a text says, each part only if it is not blank. No `Debug` that shows them.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Parts {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// The answer in one line of the person's; `None` is an input that was closed.
pub(crate) fn answer_in(line: Option<&str>, expected: &State) -> Result<AuthorizationCode, LoginError> {
    let text = line.filter(|text| !text.contains(ESCAPE)).unwrap_or_default().trim();
    if CANCELLED.contains(&text.to_lowercase().as_str()) {
        return Err(LoginError::Cancelled);
    }
    let Parts { code, state, error, description } = parts(text);
    if state.as_ref().is_some_and(|state| !expected.is(state)) && (code.is_some() || error.is_some()) {
        return Err(PasteError::OtherAttempt.into());
    }
    if let Some(error) = error {
        return Err(denied(&error, description));
    }
    let (Some(code), Some(_)) = (code, state) else { return Err(PasteError::Incomplete.into()) };
    Ok(AuthorizationCode::new(code))
}

/// Takes a text apart.
pub(crate) fn parts(text: &str) -> Parts {
    let text = text.trim();
    let (before, fragment) = split(text, '#');
    let (place, query) = split(before, '?');
    let is_address = is_address(place);
    if is_address || Url::parse(text).is_ok() {
        let parts = Parts::of([query, fragment]);
        if is_address || parts != Parts::default() {
            return parts;
        }
    }
    if let Some(fragment) = fragment {
        let (state, _) = split(fragment, '#');
        return Parts { code: filled(before), state: filled(state), ..Parts::default() };
    }
    if ["code=", "error="].iter().any(|key| text.contains(key)) {
        return Parts::of([Some(text.trim_start_matches('?')), None]);
    }
    Parts { code: filled(text), ..Parts::default() }
}

impl Parts {
    /// What the first of `places` that says it says.
    fn of(places: [Option<&str>; 2]) -> Self {
        let find = |wanted: &str| {
            let pairs = places.iter().flatten().flat_map(|place| form_urlencoded::parse(place.as_bytes()));
            pairs.filter(|(key, _)| key == wanted).find_map(|(_, value)| filled(&value))
        };
        Self { code: find("code"), state: find("state"), error: find("error"), description: find("error_description") }
    }
}

/// Whether what is before query and fragment is an address, however broken; browsers show and copy the redirect address
/// without its scheme.
fn is_address(place: &str) -> bool {
    let scheme = place.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https")) || place.ends_with(CALLBACK)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::SeededEntropy;

    use super::*;

    #[track_caller]
    fn says(text: &str, code: Option<&str>, state: Option<&str>) {
        let parts = parts(text);
        assert_eq!((parts.code.as_deref(), parts.state.as_deref()), (code, state), "{text}");
    }

    /// The rows of domain 3.3, mended by F30 and F31.
    #[test]
    fn every_form_of_an_answer() {
        says("", None, None);
        says("   ", None, None);
        says("abc123", Some("abc123"), None);
        says("abc123#st9", Some("abc123"), Some("st9"));
        says("AC#ST#extra", Some("AC"), Some("ST"));
        says("http://localhost:1455/auth/callback?code=AC&state=ST", Some("AC"), Some("ST"));
        says("http://localhost:1455/auth/callback#code=AC&state=ST", Some("AC"), Some("ST"));
        says("http://localhost:1455/auth/callback?code=AC#state=ST", Some("AC"), Some("ST"));
        says("code=AC&state=ST", Some("AC"), Some("ST"));
        says("?code=AC&state=ST", Some("AC"), Some("ST"));
        says("state=ST&code=AC", Some("AC"), Some("ST"));
        says("localhost:1455/auth/callback?code=AC&state=ST", Some("AC"), Some("ST"));
        says("http://localhost:1455/auth/callback?code=A%2BC&state=ST", Some("A+C"), Some("ST"));
        says("http://localhost:1455/auth/callback?error=access_denied&state=ST", None, Some("ST"));
        says("http://localhost:1455/auth/callback", None, None);
        says("#ST", None, Some("ST"));
        says("https://elsewhere.example.test/x?code=AC&state=ST", Some("AC"), Some("ST"));
    }

    #[test]
    fn an_address_is_never_a_code() {
        says("127.0.0.1:1455/auth/callback?code=AC&state=ST", Some("AC"), Some("ST"));
        says("127.0.0.1:1455/auth/callback#ST", None, None);
        says("localhost:1455/auth/callback", None, None);
        says("HTTP://localhost:1455/auth/callback#ST", None, None);
        says("https://elsewhere.example.test/#ST", None, None);
        says("http://local[host/auth/callback#ST", None, None);
    }

    #[test]
    fn what_is_around_an_answer_and_what_is_empty_in_it_says_nothing() {
        says(" \tAC#ST \n", Some("AC"), Some("ST"));
        says("code=&state=ST&code=AC", Some("AC"), Some("ST"));
        says("http://localhost:1455/auth/callback?code=%20&state=ST", None, Some("ST"));
    }

    /// `STATE` in the line stands for the right one.
    #[track_caller]
    fn check(line: Option<&str>, expect: &str) {
        let state = State::new(&SeededEntropy::new(7));
        let line = line.map(|line| line.replace("STATE", state.expose()));
        let answer = answer_in(line.as_deref(), &state);
        let said = answer.map_or_else(|error| error.to_string(), |code| format!("code {}", code.expose()));
        assert_eq!(said, expect, "{line:?}");
    }

    const CANCELLED: &str = "the sign-in was cancelled";
    const INCOMPLETE: &str = "That callback URL is missing the code or state parameter. Paste the full URL you were \
        redirected to (it should contain both code= and state=).";
    const MISMATCH: &str = "OAuth state mismatch. That callback URL was generated for a different login attempt. \
        Restart login and paste the callback URL from this attempt.";

    #[test]
    fn a_code_with_its_state_is_an_answer() {
        check(Some("http://localhost:1455/auth/callback?code=AC&state=STATE"), "code AC");
        check(Some("AC#STATE"), "code AC");
    }

    #[test]
    fn words_escapes_and_a_closed_input_cancel() {
        for line in ["", "  ", "q", "Q", "quit", " Cancel ", "BACK", "AC#STATE\u{1b}", "\u{1b}[A"] {
            check(Some(line), CANCELLED);
        }
        check(None, CANCELLED);
    }

    #[test]
    fn half_an_answer_is_none() {
        for line in ["AC", "#STATE", "?state=STATE", "http://localhost:1455/auth/callback?code=AC", "quit now", "?"] {
            check(Some(line), INCOMPLETE);
        }
        check(Some("http://localhost:1455/auth/callback?state=other"), INCOMPLETE);
    }

    #[test]
    fn the_answer_to_another_attempt_is_none() {
        check(Some("AC#STATEx"), MISMATCH);
        check(Some("http://localhost:1455/auth/callback?code=AC&state=other"), MISMATCH);
        check(Some("http://localhost:1455/auth/callback?error=access_denied&state=other"), MISMATCH);
    }

    #[test]
    fn the_issuers_refusal_is_heard() {
        let refused = "the issuer refused the sign-in: access_denied";
        check(Some("http://localhost:1455/auth/callback?error=access_denied&state=STATE"), refused);
        check(Some("?error=access_denied&state=STATE&code=AC"), refused);
        check(Some("error=access_denied"), refused);
        check(
            Some("error=access_denied&error_description=missing_codex_entitlement&state=STATE"),
            "the workspace has no access to Codex",
        );
    }
}
