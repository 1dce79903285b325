//! Owns the decoding of tokens found in files; which claim means what is core's rule.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_core::{AccessToken, Claims, Held, IdToken, Timestamp, TokenPayload};
use serde_json::Value;

use crate::json::{self, Object};

/// What an access token and an id token say together.
pub(crate) fn claims_of(access: Option<&AccessToken>, id: Option<&IdToken>) -> Claims {
    let access = access.and_then(|token| payload(token.expose()));
    let id = id.and_then(|token| payload(token.expose()));
    let access = access.as_ref().map(|payload| payload as &dyn TokenPayload);
    Claims::of(access, id.as_ref().map(|payload| payload as &dyn TokenPayload))
}

/// Takes what neither file says from the tokens. Decoding one costs more than parsing its row, so it is done only where
/// something is missing.
pub(crate) fn complete(held: &mut Held) {
    let Held { account, credential } = held;
    let owner = &mut account.owner;
    let is_whole = owner.user.is_some() && owner.workspace.is_some() && owner.email.is_some() && owner.plan.is_some();
    if is_whole && (credential.expires_at.is_some() || credential.access.is_none()) {
        return;
    }
    let claims = claims_of(credential.access.as_ref(), credential.id.as_ref());
    owner.user = owner.user.take().or(claims.user);
    owner.workspace = owner.workspace.take().or(claims.workspace);
    owner.email = owner.email.take().or(claims.email);
    owner.plan = owner.plan.take().or(claims.plan);
    credential.expires_at = credential.expires_at.or(claims.expires_at);
}

/// A decoded payload.
pub(crate) struct Payload(Value);

impl Payload {
    /// All claims.
    pub(crate) fn into_object(self) -> Object {
        match self.0 {
            Value::Object(claims) => claims,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Object::new(),
        }
    }
}

impl TokenPayload for Payload {
    fn text(&self, pointer: &str) -> Option<String> {
        let text = self.0.pointer(pointer)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn seconds(&self, pointer: &str) -> Option<i64> {
        self.0.pointer(pointer).and_then(json::integer)
    }
}

/// When an access token was issued, by its own word.
pub(crate) fn issued_at(access: &AccessToken) -> Option<Timestamp> {
    payload(access.expose())?.seconds("/iat").map(Timestamp::from_secs)
}

/// Whether the official client would load a file with this id token: three parts, the last one not empty, and JSON in
/// the middle.
pub(crate) fn is_loadable(id: &IdToken) -> bool {
    payload(id.expose()).is_some() && id.expose().rsplit('.').next().is_some_and(|signature| !signature.is_empty())
}

/// The payload of a JWT; `None` for an opaque token. It is read whatever algorithm the token was signed with: nobody
/// here trusts it, and every command reads fifty of them.
pub(crate) fn payload(token: &str) -> Option<Payload> {
    let mut parts = token.split('.');
    let (Some(_), Some(middle), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let bytes = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&bytes).ok().filter(Value::is_object).map(Payload)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use codex_auth_core::{UserId, WorkspaceId};

    use super::*;
    use crate::testing::jwt;

    const AUTH: &str = "https://api.openai.com/auth";
    const PROFILE: &str = "https://api.openai.com/profile";

    #[test]
    fn an_access_token_names_person_workspace_mail_plan_and_end() {
        let token = AccessToken::new(jwt(&json!({
            "sub": "auth0|x", "exp": 1_790_000_000,
            AUTH: { "chatgpt_user_id": "u", "chatgpt_account_id": "w", "chatgpt_plan_type": "plus" },
            PROFILE: { "email": "Me@A.co" },
        })));
        let expect = Claims {
            user: UserId::parse("u"),
            workspace: WorkspaceId::parse("w"),
            email: Some("me@a.co".into()),
            plan: Some("plus".into()),
            expires_at: Some(Timestamp::from_secs(1_790_000_000)),
        };
        assert_eq!(claims_of(Some(&token), None), expect);
    }

    #[track_caller]
    fn check(token: &str, expect: bool) {
        assert_eq!(is_loadable(&IdToken::new(token)), expect, "{token}");
    }

    #[test]
    fn what_the_official_client_loads() {
        check(&jwt(&json!({})), true);
        check(&format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"), URL_SAFE_NO_PAD.encode("{}")), true);
        check("opaque", false);
        check("a.b", false);
        check(&format!("a.{}", jwt(&json!({}))), false);
        check(&format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("{}")), false);
        check(&format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("no")), false);
    }
}
