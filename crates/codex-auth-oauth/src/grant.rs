//! The token endpoint: what we ask it and what its answers say (protocol 2.4, 4.1, 4.2).

use http::{Request, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use codex_auth_core::{AccessToken, Granted, IdToken, RefreshReason, RefreshToken, Timestamp};

use crate::{
    authorize::{Attempt, AuthorizationCode},
    endpoints::Endpoints,
    jwt::unverified_claims,
};

/// Longest OAuth error code that is kept, in characters.
const CODE_LIMIT: usize = 64;

/// Asks for the successor of a refresh token.
pub(crate) fn refresh_request(endpoints: &Endpoints, token: &RefreshToken, why: RefreshReason) -> Request<Vec<u8>> {
    let body = json!({
        "client_id": endpoints.client_id(),
        "grant_type": "refresh_token",
        "refresh_token": token.expose(),
        "refresh_reason": why.as_str(),
    });
    post(endpoints, "application/json", body.to_string())
}

/// Redeems what the browser brought back.
pub(crate) fn code_request(endpoints: &Endpoints, attempt: &Attempt, code: &AuthorizationCode) -> Request<Vec<u8>> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", endpoints.client_id())
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", &attempt.redirect_uri)
        .append_pair("code_verifier", attempt.verifier.expose())
        .finish();
    post(endpoints, "application/x-www-form-urlencoded", body)
}

fn post(endpoints: &Endpoints, content_type: &str, body: String) -> Request<Vec<u8>> {
    Request::post(endpoints.token_url())
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, "application/json")
        .body(body.into_bytes())
        .expect("an issuer that was parsed makes a URL")
}

/// The tokens of a good answer; `None` when there is none among them.
///
/// The stated life counts when it is a positive whole number of seconds, else the end the access token names.
pub(crate) fn granted(body: &[u8], now: Timestamp) -> Option<Granted> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| answer.get(key)?.as_str().filter(|text| !text.trim().is_empty());
    let access = text("access_token").map(AccessToken::new);
    let refresh = text("refresh_token").map(RefreshToken::new);
    let id = text("id_token").map(IdToken::new);
    if access.is_none() && refresh.is_none() {
        return None;
    }
    let claims = unverified_claims(id.as_ref(), access.as_ref());
    let stated = answer.get("expires_in").and_then(Value::as_u64).filter(|secs| *secs > 0);
    let ends = stated.map(|secs| now.after(std::time::Duration::from_secs(secs))).or(claims.expires_at);
    let expires_at = ends.filter(|_| access.is_some());
    Some(Granted { access, refresh, id, expires_at, claims })
}

/// The OAuth error code of a bad answer: `error.code`, else `error`, else `code` (protocol 4.4).
///
/// Nothing else of the answer is ever kept, and a code that does not look like one is dropped too.
pub(crate) fn error_code(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let places = [answer.pointer("/error/code"), answer.get("error"), answer.get("code")];
    places.into_iter().flatten().find_map(|place| as_code(place.as_str()?))
}

/// Whether a bad answer says in words only that the token is dead (domain 3.5). The words are looked at, never kept.
pub(crate) fn tells_revocation(body: &[u8]) -> bool {
    const WORDS: [&str; 2] = ["token has been revoked", "invalid refresh"];
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return false };
    let places = ["/error/message", "/error_description", "/error", "/message"];
    places.iter().filter_map(|place| answer.pointer(place)?.as_str()).any(|said| {
        let said = said.to_ascii_lowercase();
        WORDS.iter().any(|words| said.contains(words))
    })
}

/// The text as a code, if it looks like one.
pub(crate) fn as_code(text: &str) -> Option<String> {
    let text = text.trim();
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let looks_right = !text.is_empty() && text.len() <= CODE_LIMIT && text.chars().all(is_code);
    looks_right.then(|| text.to_ascii_lowercase())
}
