//! Renewal of the wrapped client's own login: one refresh per account, however many clients ask, and none of them
//! ever presents a token to the issuer itself.

use std::sync::Arc;

use codex_auth_core::{Credential, KeepError, Kind, RecordId, RefreshReason, RefreshToken, SavedPool, reason_ahead};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    proxy::Proxy,
    respond::{self, Answer, document, error, unauthorized},
};

/// Answers a refresh request of the official client; its body is the credential.
///
/// A client that comes with a token that has a successor is a generation behind: it lost a race over its file (protocol
/// 1.6) or was asleep. It gets the current pair, and nothing is presented for it while that pair lives.
pub(crate) async fn renew_login(proxy: &Arc<Proxy>, body: &[u8]) -> Answer {
    let Some(asked) = Asked::read(body) else { return unauthorized() };
    let Some(owned) = owner_of(proxy, &asked.token).await else { return stranger(proxy, &asked.token) };
    let why = asked.why.unwrap_or_else(|| reason_ahead(&owned.seen));
    match proxy.renewals.renew(&owned.record, &owned.seen, why).await {
        Ok(renewed) => granted(&renewed.held.credential),
        Err(error) => refused(&proxy.rotation.pool(), &owned.record, &error),
    }
}

/// What the client asks for.
struct Asked {
    token: RefreshToken,
    /// Why, by its own word.
    why: Option<RefreshReason>,
}

impl Asked {
    /// Reads a request, which is JSON or a form.
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let (token, why) = if let Ok(document) = serde_json::from_str::<Value>(text) {
            let field = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
            (field("refresh_token")?, field("refresh_reason"))
        } else {
            let field = |name: &str| text.split('&').find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
            (field("refresh_token=")?, field("refresh_reason="))
        };
        let token = RefreshToken::new(token);
        (!token.is_blank()).then(|| Self { token, why: why.as_deref().and_then(RefreshReason::parse) })
    }
}

/// An account of the pool, and the credential its client came with.
struct Owned {
    record: RecordId,
    seen: Credential,
}

/// Whose token it is. One that nobody knows yet may be a pair that was written a moment ago, by us or by a client.
async fn owner_of(proxy: &Proxy, token: &RefreshToken) -> Option<Owned> {
    if let Some(owned) = known(proxy, token) {
        return Some(owned);
    }
    match proxy.ports.store.once_held(token).await {
        Ok(Some(record)) => return Some(Owned { record, seen: outlived(token) }),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "spent tokens could not be looked up"),
    }
    if let Err(error) = proxy.reload_if_changed().await {
        tracing::warn!(%error, "the pool could not be read");
    }
    proxy.leases.look_again();
    let found = || known(proxy, token).map(Some).or_else(|| proxy.leases.login_with(token).map(|_| None));
    proxy.leases.once_back(found).await.flatten()
}

/// The pool's account behind a token: by the token itself, or through the login of a leased home that holds it.
fn known(proxy: &Proxy, token: &RefreshToken) -> Option<Owned> {
    let pool = proxy.rotation.pool();
    if let Some(held) = pool.accounts.iter().find(|held| held.credential.refresh == *token) {
        return Some(Owned { record: held.account.record.clone(), seen: held.credential.clone() });
    }
    let login = proxy.leases.login_with(token)?;
    let held = pool.accounts.iter().find(|held| held.account.owner.agrees_with(&login.owner))?;
    Some(Owned { record: held.account.record.clone(), seen: login.credential })
}

/// A credential of which nothing but its refresh token is known, and that it is spent.
fn outlived(token: &RefreshToken) -> Credential {
    Credential { access: None, refresh: token.clone(), id: None, expires_at: None, obtained_at: None, generation: 0 }
}

/// A login of a leased home that is not in the pool: it is told how to come in, and nothing is presented for it.
fn stranger(proxy: &Proxy, token: &RefreshToken) -> Answer {
    if proxy.leases.login_with(token).is_none() {
        return unauthorized();
    }
    error(
        StatusCode::SERVICE_UNAVAILABLE,
        "login_not_in_pool",
        "This login is not in the pool, so the agent does not renew it. Run `codex-multi-auth import-current` to add it.",
    )
}

fn granted(credential: &Credential) -> Answer {
    let mut body = serde_json::Map::new();
    if let Some(id) = &credential.id {
        body.insert("id_token".into(), id.expose().into());
    }
    if let Some(access) = &credential.access {
        body.insert("access_token".into(), access.expose().into());
    }
    body.insert("refresh_token".into(), credential.refresh.expose().into());
    document(StatusCode::OK, &Value::Object(body))
}

fn refused(pool: &SavedPool, record: &RecordId, why: &KeepError) -> Answer {
    if let KeepError::HeldBack { hit, .. } = why {
        return respond::wave(pool, hit);
    }
    let number = pool.number_of(record).unwrap_or(1);
    let (status, code) = match why.kind() {
        Kind::NeedsLogin => (StatusCode::BAD_REQUEST, "needs_login"),
        Kind::Usage | Kind::Wait { .. } | Kind::Conflict | Kind::Storage | Kind::Network | Kind::Internal => {
            (StatusCode::SERVICE_UNAVAILABLE, "refresh_unavailable")
        }
    };
    let message = match why {
        KeepError::NeedsLogin { code } => {
            format!("{code}: account {number} needs a new sign-in. Run: codex-multi-auth login --account {number}")
        }
        KeepError::HeldBack { .. } | KeepError::Paused { .. } | KeepError::Issuer(_) | KeepError::Store(_) => format!(
            "Account {number} could not be renewed: {why}. Run `codex-multi-auth check` to see where it stands."
        ),
    };
    document(status, &json!({ "error": { "message": message, "code": code } }))
}
