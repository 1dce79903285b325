//! What a token says about its owner, read without any verification and named so.
//!
//! The tokens come straight from the issuer over TLS; what they say is a label for us, never a permission
//! (protocol 5.1, domain 3.7). Which claim means what is core's rule; here they are decoded.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use codex_auth_core::{AccessToken, Claims, IdToken, TokenPayload};
use serde_json::Value;

/// What the tokens of one grant say, as core reads it; nothing for texts that are no JWT.
pub fn unverified_claims(id: Option<&IdToken>, access: Option<&AccessToken>) -> Claims {
    let id = id.and_then(|token| payload(token.expose()));
    let access = access.and_then(|token| payload(token.expose()));
    Claims::of(
        access.as_ref().map(|payload| payload as &dyn TokenPayload),
        id.as_ref().map(|payload| payload as &dyn TokenPayload),
    )
}

/// A decoded payload.
pub(crate) struct Payload(Value);

impl Payload {
    /// A claim that is yes or no.
    pub(crate) fn flag(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
    }
}

impl TokenPayload for Payload {
    fn text(&self, pointer: &str) -> Option<String> {
        let text = self.0.pointer(pointer)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn seconds(&self, pointer: &str) -> Option<i64> {
        seconds(self.0.pointer(pointer)?)
    }
}

/// The payload of a JWT; `None` for an opaque token.
pub(crate) fn payload(token: &str) -> Option<Payload> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let decoded = jsonwebtoken::dangerous::insecure_decode_claims(token).ok();
    decoded.or_else(|| leniently_decoded(payload)).map(Payload)
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

    use codex_auth_core::{Timestamp, UserId, WorkspaceId};

    use super::*;

    fn jwt(claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    fn id(claims: &Value) -> Claims {
        unverified_claims(Some(&IdToken::new(jwt(claims))), None)
    }

    fn access(claims: &Value) -> Claims {
        unverified_claims(None, Some(&AccessToken::new(jwt(claims))))
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
            assert_eq!(user(&unverified_claims(None, Some(&token))), Some("s"), "{payload}");
        }
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for text in ["", "opaque", "a.b", "a.b.c", "a.b.c.d", "..", "at-12345678.!!!.x"] {
            assert_eq!(unverified_claims(None, Some(&AccessToken::new(text))), Claims::default(), "{text}");
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
