//! The token endpoint: what we ask it and what its answers say (protocol 2.4, 4.1, 4.2).

use http::{Request, header};
use serde_json::{Value, json};
use url::form_urlencoded;

use codex_auth_core::{AccessToken, Granted, IdToken, RefreshReason, RefreshToken, Timestamp};

use crate::{authorize::AuthorizationCode, endpoints::Endpoints, jwt::unverified_claims};

/// Longest OAuth error code that is kept, in characters.
const CODE_LIMIT: usize = 64;
/// Most digits in one.
const CODE_DIGITS: usize = 4;

/// Asks for the successor of a refresh token.
pub(crate) fn refresh_request(endpoints: &Endpoints, token: &RefreshToken, why: RefreshReason) -> Request<Vec<u8>> {
    let body = json!({
        "client_id": endpoints.client_id(),
        "grant_type": "refresh_token",
        "refresh_token": token.expose(),
        "refresh_reason": why.as_str(),
    });
    post_json(endpoints.token_url(), &body)
}

/// Redeems a code that was granted for `redirect_uri`.
pub(crate) fn code_request(
    endpoints: &Endpoints,
    code: &AuthorizationCode,
    redirect_uri: &str,
    verifier: &str,
) -> Request<Vec<u8>> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", endpoints.client_id())
        .append_pair("code", code.expose())
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", verifier)
        .finish();
    post(endpoints.token_url(), "application/x-www-form-urlencoded", body)
}

/// Asks an endpoint of the issuer that reads JSON.
pub(crate) fn post_json(url: String, body: &Value) -> Request<Vec<u8>> {
    post(url, "application/json", body.to_string())
}

fn post(url: String, content_type: &str, body: String) -> Request<Vec<u8>> {
    Request::post(url)
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

/// The word that tells best why a code bought nothing: of the places protocol 2.7 names, in its order, the first whose
/// whole text is a code or a word like one. Sentences are dropped: they may quote what was sent.
pub(crate) fn exchange_detail(body: &[u8]) -> Option<String> {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return std::str::from_utf8(body).ok().and_then(as_word);
    };
    let prose = [answer.get("error_description"), answer.pointer("/error/message")];
    prose.into_iter().flatten().find_map(|place| as_word(place.as_str()?)).or_else(|| error_code(body))
}

/// The text, if it is one word of small letters and underscores: where prose is expected, only that is surely no
/// secret.
fn as_word(text: &str) -> Option<String> {
    let text = text.trim();
    let is_word = text.contains('_') && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    is_word.then(|| as_code(text)).flatten()
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

/// The text as a code, if it looks like one: words of one case or capitalised, with few digits. A token that an issuer
/// repeats where the code belongs mixes cases and digits, and must not be told on.
pub(crate) fn as_code(text: &str) -> Option<String> {
    let text = text.trim();
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let has = |is: fn(&char) -> bool| text.chars().any(|letter| is(&letter));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|first| first.is_ascii_uppercase()) && letters.all(|rest| rest.is_ascii_lowercase())
    };
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let looks_right = !text.is_empty()
        && text.len() <= CODE_LIMIT
        && digits <= CODE_DIGITS
        && text.chars().all(is_code)
        && (!is_mixed || text.split(['_', '-', '.']).all(capitalised));
    looks_right.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_code(text: &str, expect: Option<&str>) {
        assert_eq!(as_code(text).as_deref(), expect, "{text}");
    }

    #[test]
    fn a_code_is_words_and_never_a_repeated_token() {
        is_code(" invalid_grant ", Some("invalid_grant"));
        is_code("ACCESS_DENIED", Some("access_denied"));
        is_code("Invalid_Grant", Some("invalid_grant"));
        is_code("oauth2.http_400", Some("oauth2.http_400"));
        is_code("rt_fake.CANARY-5f86b0", None);
        is_code("rt_5f86b0a25a5e6fb2f45d04", None);
        is_code("eyJhbGciOiJSUzI", None);
        is_code("two words", None);
        is_code("", None);
    }

    #[track_caller]
    fn check(body: &str, expect: Option<&str>) {
        assert_eq!(exchange_detail(body.as_bytes()).as_deref(), expect, "{body}");
    }

    #[test]
    fn the_word_that_tells_best_is_kept() {
        check(r#"{"error":"invalid_grant","error_description":"code_expired"}"#, Some("code_expired"));
        check(r#"{"error":{"message":"code_reused","code":"invalid_grant"}}"#, Some("code_reused"));
        check(r#"{"error":{"message":"The code was used.","code":"invalid_grant"}}"#, Some("invalid_grant"));
        check(r#"{"error":"Invalid_Grant"}"#, Some("invalid_grant"));
        check(r#"{"code":"token_expired"}"#, Some("token_expired"));
        check("temporarily_unavailable", Some("temporarily_unavailable"));
    }

    #[test]
    fn what_may_be_a_secret_is_not() {
        check(r#"{"error":"invalid_grant","error_description":"ac_1234abcd"}"#, Some("invalid_grant"));
        check(r#"{"error":"invalid_grant","error_description":"CANARY_code"}"#, Some("invalid_grant"));
        check(r#"{"error_description":"secret"}"#, None);
        check("ac_CANARY", None);
        check("<html>", None);
        check("", None);
    }
}
