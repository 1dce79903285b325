//! What a request asks for: its route, its conversation, its model, and its body within the cap.

use bytes::{Bytes, BytesMut};
use codex_auth_core::{SessionKey, UsageOperation, quota_key};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;

/// The sorts of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A model call, served by any account; the path is below the backend.
    Model(String),
    /// An attempt to speak WebSocket.
    WebSocket,
    /// The model catalogue.
    Models,
    /// The gate before a turn; answered by us, never relayed.
    AccountsCheck,
    /// Quotas of whoever serves this client.
    Usage,
    /// The connectors' endpoint, which comes without a credential.
    Mcp,
    /// Renewal of the wrapped client's own login.
    Token,
    /// Revocation, which we refuse.
    Revoke,
    /// Whether we are alive.
    Health,
    /// Anything else below the backend: relayed with the face account's own credential.
    Face(String),
    /// No such thing.
    Unknown,
}

impl Route {
    /// What a request of this sort is written down as.
    pub(crate) fn operation(&self) -> UsageOperation {
        match self {
            Self::Model(path) if path.starts_with("/codex/responses") => UsageOperation::Responses,
            Self::Model(_) => UsageOperation::Unknown,
            Self::Models => UsageOperation::Models,
            Self::Usage => UsageOperation::Diagnostic,
            Self::Face(path) if path.contains("/thread/goal/") => UsageOperation::ThreadGoal,
            Self::Face(_)
            | Self::WebSocket
            | Self::AccountsCheck
            | Self::Mcp
            | Self::Token
            | Self::Revoke
            | Self::Health
            | Self::Unknown => UsageOperation::Relayed,
        }
    }
}

/// Sorts a request. Both path styles of the official client are known (`/backend-api/wham/…`, `/backend-api/codex/…`),
/// and `/v1/…`, which a client with an API key uses.
pub(crate) fn route(method: &Method, path: &str, headers: &HeaderMap) -> Route {
    let path = path.trim_end_matches('/');
    match (method, path) {
        (&Method::POST, "/oauth/token") => return Route::Token,
        (&Method::POST, "/oauth/revoke") => return Route::Revoke,
        (&Method::GET, "/health") => return Route::Health,
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("/backend-api/codex").or_else(|| path.strip_prefix("/codex")) {
        return codex(method, rest, headers).unwrap_or_else(|| below_backend(&format!("/codex{rest}")));
    }
    if let Some(rest) = path.strip_prefix("/backend-api") {
        return backend(method, rest);
    }
    let rest = path.strip_prefix("/v1/codex").or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
    let is_v1 = path.starts_with("/v1/");
    match codex(method, rest, headers) {
        Some(route) => route,
        None if is_v1 && !has_dots(rest) => Route::Model(format!("/codex{rest}")),
        None => Route::Unknown,
    }
}

fn codex(method: &Method, rest: &str, headers: &HeaderMap) -> Option<Route> {
    match (method, rest) {
        (&Method::GET, "/responses") if headers.contains_key(http::header::UPGRADE) => Some(Route::WebSocket),
        (&Method::POST, "/responses" | "/responses/compact") => Some(Route::Model(format!("/codex{rest}"))),
        (&Method::GET, "/models") => Some(Route::Models),
        _ => None,
    }
}

fn backend(method: &Method, rest: &str) -> Route {
    match (method, rest) {
        (&Method::GET, "/wham/accounts/check") => Route::AccountsCheck,
        (&Method::GET, "/wham/usage") => Route::Usage,
        (&Method::POST, "/ps/mcp") => Route::Mcp,
        _ => below_backend(rest),
    }
}

fn below_backend(rest: &str) -> Route {
    if rest.len() < 2 || has_dots(rest) { Route::Unknown } else { Route::Face(rest.to_owned()) }
}

/// A path that climbs could leave the backend's prefix.
fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| part == ".." || part == "." || part.eq_ignore_ascii_case("%2e%2e"))
}

/// The conversation of a request: its thread, since that is what a prompt cache goes by, else its session. Newer clients
/// spell the headers with hyphens, older ones with underscores.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<SessionKey> {
    named(headers, &["thread-id", "session-id", "thread_id", "session_id", "conversation_id"])
}

/// The conversation that sent this one out, where the client says so or the thread is another one than its session's.
pub(crate) fn parent_of(headers: &HeaderMap) -> Option<SessionKey> {
    let parent = named(headers, &["x-codex-parent-thread-id", "x-parent-session-id", "session-id", "session_id"]);
    parent.filter(|parent| session_of(headers).as_ref() != Some(parent))
}

fn named(headers: &HeaderMap, names: &[&str]) -> Option<SessionKey> {
    names.iter().find_map(|name| {
        let text = headers.get(*name)?.to_str().ok()?;
        SessionKey::parse(text.get(..256).unwrap_or(text))
    })
}

/// About how many tokens a prompt has: four bytes make one, and compression leaves about a quarter of them.
pub(crate) fn tokens_of(headers: &HeaderMap, body: &[u8]) -> u64 {
    let bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
    if headers.contains_key(http::header::CONTENT_ENCODING) { bytes } else { bytes / 4 }
}

/// The quota key of a request's model, as its routing hint names it.
pub(crate) fn quota_key_of(headers: &HeaderMap) -> Option<String> {
    quota_key(&model_of(headers)?)
}

/// Where the official client names its model once more, for whoever routes.
const HINT: &str = "x-codex-routing-hint";

/// The model that a request's routing hint names (`model=<slug>;tier=…`).
pub(crate) fn model_of(headers: &HeaderMap) -> Option<String> {
    let hint = headers.get(HINT)?.to_str().ok()?;
    let model = hint.split(';').find_map(|part| part.trim().strip_prefix("model="))?.trim();
    (!model.is_empty()).then(|| model.to_owned())
}

/// Lets a routing hint name another model. One that no header can carry takes the hint along.
pub(crate) fn hinting(headers: &mut HeaderMap, model: &str) {
    let Some(hint) = headers.remove(HINT) else { return };
    let parts = hint.to_str().unwrap_or_default().split(';').map(|part| match part.split_once("model=") {
        Some((before, _)) if before.trim().is_empty() => format!("{before}model={model}"),
        Some(_) | None => part.to_owned(),
    });
    if let Ok(hint) = HeaderValue::try_from(parts.collect::<Vec<_>>().join(";")) {
        headers.insert(HINT, hint);
    }
}

/// The directories in which a client works, as its own telling of the turn names them.
pub(crate) fn workspaces_of(headers: &HeaderMap) -> Vec<String> {
    let told = headers.get("x-codex-turn-metadata").and_then(|told| told.to_str().ok());
    let told = told.and_then(|told| serde_json::from_str::<serde_json::Value>(told).ok());
    let named = told.as_ref().and_then(|told| told.get("workspaces")).and_then(serde_json::Value::as_object);
    named.map(|named| named.keys().cloned().collect()).unwrap_or_default()
}

/// The bearer of a request, or what stands in `x-api-key`.
pub(crate) fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = authorization.and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim))
}

/// Why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyRefused {
    /// It is over the cap.
    TooLarge,
    /// The client left or spoke nonsense.
    Broken,
}

/// Reads a body up to `cap` bytes. An announced length over the cap is refused before a byte is read.
pub(crate) async fn read_body<B>(body: B, headers: &HeaderMap, cap: usize) -> Result<Bytes, BodyRefused>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let announced =
        headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > cap as u64) {
        return Err(BodyRefused::TooLarge);
    }
    let mut body = body;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyRefused::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > cap {
            return Err(BodyRefused::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expect: &Route) {
        let method: Method = method.parse().expect("a method");
        assert_eq!(&route(&method, path, &HeaderMap::new()), expect);
    }

    #[test]
    fn paths_have_routes() {
        let responses = Route::Model("/codex/responses".into());
        check("POST", "/backend-api/codex/responses", &responses);
        check("POST", "/v1/responses", &responses);
        check("POST", "/v1/codex/responses", &responses);
        check("POST", "/responses", &responses);
        check("POST", "/codex/responses/", &responses);
        check("GET", "/v1/models", &Route::Models);
        check("GET", "/backend-api/codex/models", &Route::Models);
        check("GET", "/backend-api/wham/accounts/check", &Route::AccountsCheck);
        check("GET", "/backend-api/wham/settings/user", &Route::Face("/wham/settings/user".into()));
        check(
            "POST",
            "/backend-api/codex/analytics-events/events",
            &Route::Face("/codex/analytics-events/events".into()),
        );
        check("POST", "/v1/images/generations", &Route::Model("/codex/images/generations".into()));
        check("POST", "/backend-api/ps/mcp", &Route::Mcp);
        check("POST", "/oauth/token", &Route::Token);
        check("GET", "/", &Route::Unknown);
        check("GET", "/backend-api", &Route::Unknown);
        check("GET", "/backend-api/../admin", &Route::Unknown);
        check("GET", "/v1/%2e%2e/admin", &Route::Unknown);
    }

    #[test]
    fn an_upgrade_is_a_websocket() {
        let headers = HeaderMap::from_iter([(http::header::UPGRADE, "websocket".parse().expect("a value"))]);
        assert_eq!(route(&Method::GET, "/backend-api/codex/responses", &headers), Route::WebSocket);
    }

    #[test]
    fn a_subagent_has_a_thread_of_its_own_and_a_parent() {
        let told = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
            let headers = pairs.collect::<HeaderMap>();
            [session_of(&headers), parent_of(&headers)].map(|key| key.map(|key| key.as_str().to_owned()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told(&[("session-id", "a"), ("thread-id", "a")]), [some("a"), None]);
        assert_eq!(told(&[("session-id", "a"), ("thread-id", "b")]), [some("b"), some("a")]);
        assert_eq!(told(&[("session-id", "c"), ("x-parent-session-id", "a")]), [some("c"), some("a")]);
        assert_eq!(told(&[]), [None, None]);
    }

    #[test]
    fn the_hint_names_the_model() {
        let hint = |text: &str| {
            quota_key_of(&HeaderMap::from_iter([(
                http::HeaderName::from_static("x-codex-routing-hint"),
                text.parse().expect("a value"),
            )]))
        };
        assert_eq!(hint("model=gpt-5.5;tier=priority").as_deref(), Some("gpt-5.2:gpt-5.5"));
        assert_eq!(hint("nothing"), None);
    }

    #[tokio::test]
    async fn a_body_over_the_cap_is_refused_without_being_kept() {
        let body = http_body_util::Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read_body(body, &HeaderMap::new(), 4).await, Err(BodyRefused::TooLarge));
    }
}
