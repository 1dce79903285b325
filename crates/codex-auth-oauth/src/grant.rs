//! The token endpoint: what we ask it and what its answers say (protocol 2.4, 4.1, 4.2).

use http::{Request, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use codex_auth_core::{AccessToken, Granted, IdToken, RefreshToken, Timestamp};

use crate::{
    authorize::{Attempt, AuthorizationCode},
    endpoints::Endpoints,
    jwt::unverified_claims,
};

/// Longest OAuth error code that is kept, in characters.
const CODE_LIMIT: usize = 64;
/// Most digits in one.
const CODE_DIGITS: usize = 4;

/// Asks for the successor of a refresh token.
pub(crate) fn refresh_request(endpoints: &Endpoints, token: &RefreshToken, reason: &str) -> Request<Vec<u8>> {
    let body = json!({
        "client_id": endpoints.client_id(),
        "grant_type": "refresh_token",
        "refresh_token": token.expose(),
        "refresh_reason": reason,
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

/// The text as a code, if it looks like one: words of one case, with few digits. A token that an issuer repeats where
/// the code belongs mixes cases and digits, and must not be told on.
pub(crate) fn as_code(text: &str) -> Option<String> {
    let text = text.trim();
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let is_mixed = text.chars().any(|letter| letter.is_ascii_uppercase())
        && text.chars().any(|letter| letter.is_ascii_lowercase());
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let looks_right =
        !text.is_empty() && text.len() <= CODE_LIMIT && digits <= CODE_DIGITS && text.chars().all(is_code);
    (looks_right && !is_mixed).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(as_code(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn a_code_is_words_and_never_a_repeated_token() {
        check(" invalid_grant ", Some("invalid_grant"));
        check("ACCESS_DENIED", Some("access_denied"));
        check("oauth2.http_400", Some("oauth2.http_400"));
        check("rt_fake.CANARY-5f86b0", None);
        check("rt_5f86b0a25a5e6fb2f45d04", None);
        check("eyJhbGciOiJSUzI", None);
        check("two words", None);
        check("", None);
    }
}
