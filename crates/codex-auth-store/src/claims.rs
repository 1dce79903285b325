//! Owns what the tokens of a file say about their owner, unverified: labels for us, never a permission.
//!
//! Sources: `chatgpt_user_id`, `user_id`, `chatgpt_account_id` and `chatgpt_plan_type` under the issuer's auth claim;
//! an access token carries its e-mail address under the profile claim. Platform ids (`org-…`) are never workspaces.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_core::{AccessToken, Claims, IdToken, Timestamp, UserId, WorkspaceId};
use serde_json::Value;

use crate::json::{self, Object};

const AUTH: &str = "https://api.openai.com/auth";
const PROFILE: &str = "https://api.openai.com/profile";

/// What an access token and an id token say together; the access token comes first, because it is what serves.
pub(crate) fn claims_of(access: Option<&AccessToken>, id: Option<&IdToken>) -> Claims {
    let access = access.and_then(|token| payload(token.expose()));
    let id = id.and_then(|token| payload(token.expose()));
    let both = || [access.as_ref(), id.as_ref()].into_iter().flatten();
    let subject = || both().find_map(|claims| json::text(claims, "sub"));
    Claims {
        user: both().find_map(user_of).or_else(subject).and_then(UserId::parse),
        workspace: access
            .as_ref()
            .and_then(|claims| under(claims, AUTH, "chatgpt_account_id"))
            .or_else(|| id.as_ref().and_then(id_workspace))
            .and_then(WorkspaceId::parse)
            .filter(|workspace| !workspace.is_platform_organisation()),
        email: [id.as_ref(), access.as_ref()].into_iter().flatten().find_map(email_of),
        plan: both().find_map(|claims| under(claims, AUTH, "chatgpt_plan_type")).map(str::to_owned),
        expires_at: access.as_ref().and_then(end_of),
    }
}

/// When an access token was issued, by its own word.
pub(crate) fn issued_at(access: &AccessToken) -> Option<Timestamp> {
    payload(access.expose())?.get("iat").and_then(json::integer).map(Timestamp::from_secs)
}

/// Whether the official client would load a file with this id token: three parts, the last one not empty, and JSON in
/// the middle.
pub(crate) fn is_loadable(id: &IdToken) -> bool {
    payload(id.expose()).is_some() && id.expose().rsplit('.').next().is_some_and(|signature| !signature.is_empty())
}

/// The payload of a JWT; `None` for an opaque token.
fn payload(token: &str) -> Option<Object> {
    if let Ok(Value::Object(claims)) = jsonwebtoken::dangerous::insecure_decode_claims::<Value>(token) {
        return Some(claims);
    }
    // Tokens with an algorithm the library refuses to know still have readable claims.
    let mut parts = token.split('.');
    let (Some(_), Some(middle), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let bytes = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(claims)) => Some(claims),
        Ok(_) | Err(_) => None,
    }
}

fn under<'v>(claims: &'v Object, room: &str, key: &str) -> Option<&'v str> {
    claims.get(room)?.as_object().and_then(|room| json::text(room, key))
}

fn user_of(claims: &Object) -> Option<&str> {
    under(claims, AUTH, "chatgpt_user_id").or_else(|| under(claims, AUTH, "user_id"))
}

fn id_workspace(claims: &Object) -> Option<&str> {
    let top = || ["chatgpt_account_id", "account_id", "accountId"].into_iter().find_map(|key| json::text(claims, key));
    under(claims, AUTH, "chatgpt_account_id").or_else(top)
}

fn email_of(claims: &Object) -> Option<String> {
    let places = [
        json::text(claims, "email"),
        under(claims, PROFILE, "email"),
        under(claims, AUTH, "email"),
        under(claims, AUTH, "chatgpt_user_email"),
        json::text(claims, "preferred_username"),
    ];
    places.into_iter().flatten().find(|text| text.contains('@')).map(str::to_lowercase)
}

fn end_of(claims: &Object) -> Option<Timestamp> {
    claims.get("exp").and_then(json::integer).map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::jwt;

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

    #[test]
    fn a_named_person_wins_over_a_subject_of_the_other_token() {
        let access = AccessToken::new(jwt(&json!({ "sub": "auth0|x" })));
        let id = IdToken::new(jwt(&json!({ AUTH: { "user_id": "u" } })));
        assert_eq!(claims_of(Some(&access), Some(&id)).user, UserId::parse("u"));
        assert_eq!(claims_of(Some(&access), None).user, UserId::parse("auth0|x"));
    }

    #[test]
    fn an_organisation_is_no_workspace() {
        let access = AccessToken::new(jwt(&json!({ AUTH: { "chatgpt_account_id": "org-7" } })));
        assert_eq!(claims_of(Some(&access), None).workspace, None);
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
        check(&format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("{}")), false);
        check(&format!("{}.{}.x", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("no")), false);
    }
}
