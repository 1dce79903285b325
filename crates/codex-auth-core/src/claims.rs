//! What tokens say about their owner, unverified: labels for us, never a permission.
//!
//! Sources: person, workspace and plan stand under the issuer's auth claim; an access token carries its e-mail address
//! under the profile claim, an id token at the top. The access token comes first where both speak, because it is what
//! serves; the id token first for the address, because it is made for people.

use crate::{Timestamp, UserId, WorkspaceId};

macro_rules! auth {
    ($name:literal) => {
        concat!("/https:~1~1api.openai.com~1auth/", $name)
    };
}

const USER: [&str; 2] = [auth!("chatgpt_user_id"), auth!("user_id")];
const SUBJECT: &str = "/sub";
const PLAN: &str = auth!("chatgpt_plan_type");
const PROFILE_EMAIL: &str = "/https:~1~1api.openai.com~1profile/email";
const ACCESS_WORKSPACE: [&str; 1] = [auth!("chatgpt_account_id")];
const ID_WORKSPACE: [&str; 4] = [auth!("chatgpt_account_id"), "/chatgpt_account_id", "/account_id", "/accountId"];
const ACCESS_EMAIL: [&str; 5] =
    [PROFILE_EMAIL, auth!("email"), auth!("chatgpt_user_email"), "/email", "/preferred_username"];
const ID_EMAIL: [&str; 2] = ["/email", PROFILE_EMAIL];

/// The payload of a token, looked into by JSON pointer. Whoever decodes tokens provides it.
pub trait TokenPayload {
    /// The text there, trimmed; `None` when there is none or it is blank.
    fn text(&self, pointer: &str) -> Option<String>;

    /// The positive number there, in whole seconds.
    fn seconds(&self, pointer: &str) -> Option<i64>;
}

/// What the tokens of one grant say about their owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// The person, where a token names one.
    pub user: Option<UserId>,
    /// The workspace, where a token names one. Platform organisations are none.
    pub workspace: Option<WorkspaceId>,
    /// Lower-cased e-mail address.
    pub email: Option<String>,
    /// Wire value of the plan, such as `plus`; unknown plans are kept as they came.
    pub plan: Option<String>,
    /// When the access token ends by its own word (`exp`).
    pub expires_at: Option<Timestamp>,
}

impl Claims {
    /// Reads both tokens together; an opaque token has no payload and says nothing.
    pub fn of(access: Option<&dyn TokenPayload>, id: Option<&dyn TokenPayload>) -> Self {
        let both = [access, id];
        let first = |pointers: &[&str]| both.iter().flatten().find_map(|token| any(*token, pointers).next());
        let workspace = |token: Option<&dyn TokenPayload>, pointers: &[&str]| {
            let mut named = token.into_iter().flat_map(|token| any(token, pointers).collect::<Vec<_>>());
            named.find_map(|text| WorkspaceId::parse(&text).filter(|id| !id.is_platform_organisation()))
        };
        let address = |token: Option<&dyn TokenPayload>, pointers: &[&str]| {
            let mut named = token.into_iter().flat_map(|token| any(token, pointers).collect::<Vec<_>>());
            named.find(|text| text.contains('@')).map(|text| text.to_lowercase())
        };
        Self {
            user: first(&USER).or_else(|| first(&[SUBJECT])).as_deref().and_then(UserId::parse),
            workspace: workspace(access, &ACCESS_WORKSPACE).or_else(|| workspace(id, &ID_WORKSPACE)),
            email: address(id, &ID_EMAIL).or_else(|| address(access, &ACCESS_EMAIL)),
            plan: first(&[PLAN]),
            expires_at: access.and_then(|token| token.seconds("/exp")).map(Timestamp::from_secs),
        }
    }
}

fn any<'a>(token: &'a dyn TokenPayload, pointers: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    pointers.iter().filter_map(move |pointer| token.text(pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A payload as pairs of pointer and text.
    struct Pairs(&'static [(&'static str, &'static str)]);

    impl TokenPayload for Pairs {
        fn text(&self, pointer: &str) -> Option<String> {
            self.0.iter().find(|(known, _)| *known == pointer).map(|(_, text)| (*text).to_owned())
        }

        fn seconds(&self, pointer: &str) -> Option<i64> {
            self.text(pointer)?.parse().ok()
        }
    }

    const USER_ID: &str = auth!("user_id");
    const ACCOUNT: &str = auth!("chatgpt_account_id");

    #[track_caller]
    fn check(access: &Pairs, id: &Pairs, expect: [Option<&str>; 3]) {
        let claims = Claims::of(Some(access), Some(id));
        let found = [
            claims.user.as_ref().map(UserId::as_str),
            claims.workspace.as_ref().map(WorkspaceId::as_str),
            claims.email.as_deref(),
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn a_named_person_wins_over_a_subject_of_the_other_token() {
        check(&Pairs(&[("/sub", "auth0|x")]), &Pairs(&[(USER_ID, "u")]), [Some("u"), None, None]);
        check(&Pairs(&[("/sub", "auth0|x")]), &Pairs(&[]), [Some("auth0|x"), None, None]);
    }

    #[test]
    fn the_workspace_is_the_one_that_serves() {
        check(&Pairs(&[(ACCOUNT, "w1")]), &Pairs(&[(ACCOUNT, "w2")]), [None, Some("w1"), None]);
        check(&Pairs(&[(ACCOUNT, "org-1")]), &Pairs(&[("/accountId", "w2")]), [None, Some("w2"), None]);
        check(&Pairs(&[("/account_id", "w1")]), &Pairs(&[]), [None, None, None]);
    }

    #[test]
    fn the_address_is_the_one_made_for_people() {
        let access = Pairs(&[(PROFILE_EMAIL, "B@x")]);
        check(&access, &Pairs(&[("/email", "A@x")]), [None, None, Some("a@x")]);
        check(&access, &Pairs(&[("/email", "nobody")]), [None, None, Some("b@x")]);
    }

    #[test]
    fn the_end_is_the_access_tokens() {
        let (access, id) = (Pairs(&[("/exp", "20")]), Pairs(&[("/exp", "10")]));
        assert_eq!(Claims::of(Some(&access), Some(&id)).expires_at, Some(Timestamp::from_secs(20)));
        assert_eq!(Claims::of(None, Some(&id)).expires_at, None);
    }
}
