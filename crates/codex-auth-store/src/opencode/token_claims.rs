//! Owns which claim of a token names account, e-mail and plan for this format. Signatures are nobody's business here.

use codex_auth_core::{TokenPayload, WorkspaceId};

use crate::{claims, json::Object};

const ACCOUNT: [&str; 3] =
    ["/chatgpt_account_id", "/https:~1~1api.openai.com~1auth/chatgpt_account_id", "/organizations/0/id"];
const EMAIL: [&str; 2] = ["/email", "/https:~1~1api.openai.com~1profile/email"];
const PLAN: [&str; 2] = ["/plan", "/https:~1~1api.openai.com~1auth/chatgpt_plan_type"];

/// What a token says of its account, spelt as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// The workspace.
    pub account_id: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The plan.
    pub plan: Option<String>,
}

/// What one token says; nothing when it is opaque.
///
/// An organisation of the platform (`org-…`) is no workspace: the backend refuses it in the account header.
pub fn claims_of_token(token: &str) -> TokenClaims {
    let Some(payload) = claims::payload(token) else { return TokenClaims::default() };
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| payload.text(pointer));
    let is_workspace =
        |id: &String| WorkspaceId::parse(id).is_some_and(|workspace| !workspace.is_platform_organisation());
    let account_id = ACCOUNT.iter().filter_map(|pointer| payload.text(pointer)).find(is_workspace);
    TokenClaims { account_id, email: first(&EMAIL), plan: first(&PLAN) }
}

/// Everything one token says; nothing when it is opaque.
pub fn payload_of_token(token: &str) -> Option<Object> {
    claims::payload(token).map(claims::Payload::into_object)
}

/// What the answer of the token endpoint says: the account id of the id token, else of the access token; e-mail and
/// plan of the id token where there is one.
pub fn claims_of_answer(id: Option<&str>, access: Option<&str>) -> TokenClaims {
    let access = access.map(claims_of_token).unwrap_or_default();
    let Some(id) = id.map(claims_of_token) else { return access };
    TokenClaims { account_id: id.account_id.or(access.account_id), email: id.email, plan: id.plan }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::jwt;

    #[track_caller]
    fn check(claims: &Value, account_id: Option<&str>, email: Option<&str>, plan: Option<&str>) {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let expect = TokenClaims { account_id: own(account_id), email: own(email), plan: own(plan) };
        assert_eq!(claims_of_token(&jwt(claims)), expect);
    }

    #[test]
    fn flat_claims_come_before_nested_ones() {
        let auth = json!({ "chatgpt_account_id": "nested", "chatgpt_plan_type": "team" });
        check(&json!({ "https://api.openai.com/auth": auth }), Some("nested"), None, Some("team"));
        let flat = json!({ "chatgpt_account_id": "flat", "email": "A@x", "https://api.openai.com/auth": auth });
        check(&flat, Some("flat"), Some("A@x"), Some("team"));
    }

    #[test]
    fn an_organisation_of_the_platform_is_no_account_id_defect_25() {
        check(&json!({ "organizations": [{ "id": "org-9" }], "email": "a@x" }), None, Some("a@x"), None);
        check(&json!({ "chatgpt_account_id": "org-9", "organizations": [{ "id": "w" }] }), Some("w"), None, None);
    }

    #[test]
    fn the_id_token_is_asked_first() {
        let id = jwt(&json!({ "chatgpt_account_id": "from-id" }));
        let access = jwt(&json!({ "chatgpt_account_id": "from-access", "email": "a@x" }));
        assert_eq!(claims_of_answer(Some(&id), Some(&access)).account_id.as_deref(), Some("from-id"));
        assert_eq!(claims_of_answer(Some(&id), Some(&access)).email, None);
        assert_eq!(claims_of_answer(None, Some(&access)).email.as_deref(), Some("a@x"));
        assert_eq!(claims_of_answer(Some("opaque"), Some(&access)).account_id.as_deref(), Some("from-access"));
    }
}
