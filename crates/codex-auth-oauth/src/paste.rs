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
    if let Some(url) = address(text) {
        let parts = Parts::of([url.query(), url.fragment()]);
        if parts != Parts::default() || is_web(&url) {
            return parts;
        }
    }
    let mut pieces = text.split('#');
    let (first, second) = (pieces.next().unwrap_or_default(), pieces.next());
    if second.is_some() {
        return Parts { code: filled(first), state: second.and_then(filled), ..Parts::default() };
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

/// The text as an address; browsers show and copy the redirect address without its scheme.
fn address(text: &str) -> Option<Url> {
    let place = text.split(['?', '#']).next().unwrap_or_default();
    if place.ends_with(CALLBACK) && !place.contains("://") && !place.contains('=') {
        return Url::parse(&format!("http://{text}")).ok();
    }
    Url::parse(text).ok()
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
