//! Which headers go on: hop-by-hop ones and the caller's credentials stay here, the serving account's go out.
//!
//! Nothing is added that the client did not say itself, so that we neither hide nor imitate anybody.

use codex_auth_core::{AccessToken, WorkspaceId};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers that concern one connection only (RFC 9110, 7.6.1).
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// Credentials and addressing of the caller, and values that belong to one account and never cross to another.
const OF_THE_CALLER: [&str; 9] = [
    "host",
    "content-length",
    "authorization",
    "x-api-key",
    "cookie",
    "keep-alive",
    "chatgpt-account-id",
    "x-openai-fedramp",
    "x-openai-account-routing-override",
];

/// How many headers of our own a request gets at most.
const ADDED: usize = 2;

/// Turn state is minted by one account's backend and means nothing to another's.
pub(crate) const TURN_STATE: &str = "x-codex-turn-state";

/// The credential a request goes out with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wearing<'a> {
    /// The serving account's token.
    pub(crate) access: &'a AccessToken,
    /// The serving account's id.
    pub(crate) workspace: Option<&'a WorkspaceId>,
    /// Whether the conversation was with this account before, so that its turn state may go along.
    pub(crate) keeps_turn_state: bool,
}

/// Headers for the backend. `None` when a credential holds characters no header can carry.
pub(crate) fn outbound(inbound: &HeaderMap, wearing: Wearing<'_>) -> Option<HeaderMap> {
    let is_ours_to_say =
        |name: &str| OF_THE_CALLER.contains(&name) || (name == TURN_STATE && !wearing.keeps_turn_state);
    let mut headers = passing(inbound, is_ours_to_say);
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", wearing.access.expose())).ok()?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    if let Some(workspace) = wearing.workspace {
        headers.insert("chatgpt-account-id", HeaderValue::try_from(workspace.as_str()).ok()?);
    }
    Some(headers)
}

/// Headers for the client. Cookies belong to an account and would be sent back under another.
pub(crate) fn inbound(upstream: &HeaderMap) -> HeaderMap {
    passing(upstream, |name| matches!(name, "set-cookie" | "keep-alive"))
}

/// What goes on of these: nothing that concerns this connection only, and nothing that stays here.
fn passing(source: &HeaderMap, stays_here: impl Fn(&str) -> bool) -> HeaderMap {
    let nominated: Vec<HeaderName> = source
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    let goes_on =
        |name: &HeaderName| !HOP_BY_HOP.contains(name) && !nominated.contains(name) && !stays_here(name.as_str());
    let mut headers = HeaderMap::with_capacity(source.len() + ADDED);
    for (name, value) in source.iter().filter(|(name, _)| goes_on(name)) {
        headers.append(name, value.clone());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_callers_credentials_are_replaced() {
        let access = AccessToken::new("pool");
        let workspace = WorkspaceId::parse("ws-1").expect("not blank");
        let asked = map(&[
            ("authorization", "Bearer caller"),
            ("chatgpt-account-id", "face"),
            ("x-api-key", "k"),
            ("cookie", "c"),
            ("host", "127.0.0.1"),
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("x-codex-turn-state", "t"),
            ("content-encoding", "zstd"),
            ("originator", "codex_exec"),
        ]);
        let wearing = Wearing { access: &access, workspace: Some(&workspace), keeps_turn_state: false };
        let sent = outbound(&asked, wearing).expect("plain text");
        assert_eq!(names(&sent), ["authorization", "chatgpt-account-id", "content-encoding", "originator"]);
        assert_eq!(sent["authorization"], "Bearer pool");
        assert_eq!(sent["chatgpt-account-id"], "ws-1");
    }

    #[test]
    fn turn_state_stays_with_its_account() {
        let access = AccessToken::new("pool");
        let asked = map(&[("x-codex-turn-state", "t")]);
        let wearing = Wearing { access: &access, workspace: None, keeps_turn_state: true };
        assert!(outbound(&asked, wearing).expect("plain text").contains_key(TURN_STATE));
    }

    #[test]
    fn answers_lose_cookies_and_hops() {
        let answered = map(&[("set-cookie", "c"), ("transfer-encoding", "chunked"), ("x-request-id", "r")]);
        assert_eq!(names(&inbound(&answered)), ["x-request-id"]);
    }
}
