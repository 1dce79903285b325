//! What a token says about its owner, read without any verification and named so.
//!
//! The tokens come straight from the issuer over TLS; what they say is a label for us, never a permission
//! (protocol 5.1, domain 3.7).

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use codex_auth_core::{AccessToken, Claims, IdToken, Timestamp, UserId, WorkspaceId};

/// The JSON pointer of a claim below the vendor's own key.
macro_rules! auth {
    ($name:literal) => {
        concat!("/https:~1~1api.openai.com~1auth/", $name)
    };
}

const USER: [&str; 3] = [auth!("chatgpt_user_id"), auth!("user_id"), "/sub"];
const PLAN: &str = auth!("chatgpt_plan_type");
const PROFILE_EMAIL: &str = "/https:~1~1api.openai.com~1profile/email";
const ID_WORKSPACE: [&str; 4] = [auth!("chatgpt_account_id"), "/chatgpt_account_id", "/account_id", "/accountId"];
const ID_EMAIL: [&str; 2] = ["/email", PROFILE_EMAIL];
const ACCESS_WORKSPACE: [&str; 1] = [auth!("chatgpt_account_id")];
const ACCESS_EMAIL: [&str; 5] =
    [auth!("email"), auth!("chatgpt_user_email"), PROFILE_EMAIL, "/email", "/preferred_username"];

/// Claims of an id token; empty for a text that is no JWT.
pub fn unverified_id_claims(token: &IdToken) -> Claims {
    claims(token.expose(), &ID_WORKSPACE, &ID_EMAIL)
}

/// Claims of an access token; empty for an opaque one.
pub fn unverified_access_claims(token: &AccessToken) -> Claims {
    claims(token.expose(), &ACCESS_WORKSPACE, &ACCESS_EMAIL)
}

/// What both tokens of one grant say: the id token first, then the access token, whose end is the one that counts.
pub fn unverified_claims(id: Option<&IdToken>, access: Option<&AccessToken>) -> Claims {
    let of_id = id.map(unverified_id_claims).unwrap_or_default();
    let of_access = access.map(unverified_access_claims).unwrap_or_default();
    let expires_at = of_access.expires_at;
    Claims { expires_at, ..of_id.or(of_access) }
}

fn claims(token: &str, workspace: &[&str], email: &[&str]) -> Claims {
    let Some(payload) = payload(token) else { return Claims::default() };
    let text = |path: &&str| payload.pointer(path)?.as_str().map(str::trim).filter(|text| !text.is_empty());
    // Platform organisations are no workspaces: the backend refuses a request that names one.
    let mut workspaces = workspace.iter().filter_map(text).filter_map(WorkspaceId::parse);
    Claims {
        user: USER.iter().find_map(text).and_then(UserId::parse),
        workspace: workspaces.find(|id| !id.is_platform_organisation()),
        email: email.iter().filter_map(text).find(|text| text.contains('@')).map(str::to_lowercase),
        plan: text(&PLAN).map(str::to_owned),
        expires_at: payload.get("exp").and_then(seconds).map(Timestamp::from_secs),
    }
}

fn payload(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    jsonwebtoken::dangerous::insecure_decode_claims(token).ok().or_else(|| leniently_decoded(payload))
}

/// Payloads with padding, which the library refuses though other programs write them.
fn leniently_decoded(payload: &str) -> Option<Value> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::URL_SAFE, config).decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Some issuers write `exp` with a fraction; the part of a second does not matter.
fn seconds(exp: &Value) -> Option<i64> {
    let whole = exp.as_i64().filter(|secs| *secs > 0);
    whole.or_else(|| exp.to_string().split_once('.')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn jwt(claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn id(claims: &Value) -> Claims {
        unverified_id_claims(&IdToken::new(jwt(claims)))
    }

    fn access(claims: &Value) -> Claims {
        unverified_access_claims(&AccessToken::new(jwt(claims)))
    }

    fn workspace(claims: &Claims) -> Option<&str> {
        claims.workspace.as_ref().map(WorkspaceId::as_str)
    }

    fn user(claims: &Claims) -> Option<&str> {
        claims.user.as_ref().map(UserId::as_str)
    }

    #[test]
    fn a_whole_id_token() {
        let claims = id(&json!({
            "sub": "auth0|7", "email": " Ann@Example.test ", "exp": 1_900_000_000,
            "https://api.openai.com/auth": {
                "chatgpt_user_id": "user-7", "chatgpt_account_id": "ws-7", "chatgpt_plan_type": "Team",
            },
        }));
        assert_eq!((user(&claims), workspace(&claims)), (Some("user-7"), Some("ws-7")));
        assert_eq!((claims.email.as_deref(), claims.plan.as_deref()), (Some("ann@example.test"), Some("Team")));
        assert_eq!(claims.expires_at, Some(Timestamp::from_secs(1_900_000_000)));
    }

    #[test]
    fn the_person_is_named_by_the_closest_claim() {
        let auth = |inner: Value| json!({"sub": "s", "https://api.openai.com/auth": inner});
        assert_eq!(user(&access(&auth(json!({"chatgpt_user_id": "c", "user_id": "u"})))), Some("c"));
        assert_eq!(user(&access(&auth(json!({"chatgpt_user_id": " ", "user_id": "u"})))), Some("u"));
        assert_eq!(user(&access(&auth(json!({})))), Some("s"));
    }

    #[test]
    fn only_account_claims_name_a_workspace() {
        let auth = |inner: Value| json!({"https://api.openai.com/auth": inner});
        assert_eq!(workspace(&id(&auth(json!({"chatgpt_account_id": "org-1"})))), None);
        assert_eq!(workspace(&id(&auth(json!({"organization_id": "ws-1", "organizations": [{"id": "ws-2"}]})))), None);
        assert_eq!(workspace(&id(&json!({"accountId": "ws-3"}))), Some("ws-3"));
        assert_eq!(workspace(&id(&json!({"chatgpt_account_id": "org-1", "account_id": "ws-4"}))), Some("ws-4"));
        assert_eq!(workspace(&access(&json!({"chatgpt_account_id": "ws-5"}))), None);
    }

    #[test]
    fn an_access_token_keeps_the_address_in_its_profile() {
        assert_eq!(
            access(&json!({"https://api.openai.com/profile": {"email": "B@x"}, "email": "c@x"})).email.as_deref(),
            Some("b@x")
        );
        assert_eq!(access(&json!({"email": "nobody", "preferred_username": "d@x"})).email.as_deref(), Some("d@x"));
    }

    #[test]
    fn both_tokens_together() {
        let id = IdToken::new(jwt(&json!({"email": "a@x", "exp": 10})));
        let access = AccessToken::new(jwt(&json!({"email": "b@x", "exp": 20, "sub": "s"})));
        let both = unverified_claims(Some(&id), Some(&access));
        assert_eq!((both.email.as_deref(), user(&both)), (Some("a@x"), Some("s")));
        assert_eq!(both.expires_at, Some(Timestamp::from_secs(20)));
        assert_eq!(unverified_claims(Some(&id), None).expires_at, None);
    }

    #[test]
    fn unsigned_and_padded_tokens_are_read() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let claims = r#"{"sub":"s","x":1}"#;
        for payload in [URL_SAFE_NO_PAD.encode(claims), URL_SAFE.encode(claims)] {
            let token = AccessToken::new(format!("{header}.{payload}."));
            assert_eq!(user(&unverified_access_claims(&token)), Some("s"), "{payload}");
        }
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for text in ["", "opaque", "a.b", "a.b.c", "a.b.c.d", "..", "at-12345678.!!!.x"] {
            assert_eq!(unverified_access_claims(&AccessToken::new(text)), Claims::default(), "{text}");
        }
        assert_eq!(access(&json!(["sub"])), Claims::default());
    }

    #[test]
    fn ends_that_make_sense() {
        assert_eq!(access(&json!({"exp": 20.5})).expires_at, Some(Timestamp::from_secs(20)));
        assert_eq!(access(&json!({"exp": "20"})).expires_at, None);
        assert_eq!(access(&json!({"exp": 0})).expires_at, None);
        assert_eq!(access(&json!({"exp": -5})).expires_at, None);
    }
}
