//! Renewal of the wrapped client's own login: one refresh per account, however many clients ask, and none of them
//! ever presents a token to the issuer itself.

use std::sync::Arc;

use codex_auth_core::{Held, KeepError, Kind, RefreshToken, SavedPool, plan};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    proxy::Proxy,
    respond::{Answer, document, error, unauthorized},
};

/// Answers a refresh request of the official client; its body is the credential.
pub(crate) async fn renew_login(proxy: &Arc<Proxy>, body: &[u8]) -> Answer {
    let Some(token) = presented(body) else { return unauthorized() };
    let pool = proxy.rotation.pool();
    let known = || owner_of(proxy, &pool, &token).map(Some).or_else(|| proxy.leases.login_with(&token).map(|_| None));
    let Some(Some(held)) = proxy.leases.once_back(known).await else { return stranger(proxy, &token) };
    let now = proxy.ports.clock.now();
    let is_current = held.credential.refresh == token;
    let must_renew = is_current || plan(&held, now) == codex_auth_core::RefreshPlan::RefreshFirst;
    let renewed = if must_renew { proxy.renew(&held).await } else { Ok(held) };
    match renewed {
        Ok(held) => granted(&held),
        Err(why) => refused(proxy, &pool, &token, &why),
    }
}

/// The refresh token of a request, which is JSON or a form.
fn presented(body: &[u8]) -> Option<RefreshToken> {
    let text = std::str::from_utf8(body).ok()?;
    let token = match serde_json::from_str::<Value>(text) {
        Ok(document) => document.get("refresh_token")?.as_str()?.to_owned(),
        Err(_) => text.split('&').find_map(|pair| pair.strip_prefix("refresh_token="))?.to_owned(),
    };
    let token = RefreshToken::new(token);
    (!token.is_blank()).then_some(token)
}

/// The pool's account behind a token: by the token itself, or through the login it came from, which may be one
/// generation behind.
fn owner_of(proxy: &Proxy, pool: &SavedPool, token: &RefreshToken) -> Option<Held> {
    let current = pool.accounts.iter().find(|held| held.credential.refresh == *token);
    let through_login = || {
        let login = proxy.leases.login_with(token)?;
        pool.accounts.iter().find(|held| held.account.owner.agrees_with(&login.owner))
    };
    current.or_else(through_login).cloned()
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

fn granted(held: &Held) -> Answer {
    let mut body = serde_json::Map::new();
    if let Some(id) = &held.credential.id {
        body.insert("id_token".into(), id.expose().into());
    }
    if let Some(access) = &held.credential.access {
        body.insert("access_token".into(), access.expose().into());
    }
    body.insert("refresh_token".into(), held.credential.refresh.expose().into());
    document(StatusCode::OK, &Value::Object(body))
}

fn refused(proxy: &Proxy, pool: &SavedPool, token: &RefreshToken, why: &KeepError) -> Answer {
    let number = owner_of(proxy, pool, token).and_then(|held| pool.number_of(&held.account.record)).unwrap_or(1);
    let message =
        format!("Account {number} could not be renewed: {why}. Run `codex-multi-auth login --account {number}`.");
    let (status, code) = match why.kind() {
        Kind::NeedsLogin => (StatusCode::BAD_REQUEST, "needs_login"),
        Kind::Usage | Kind::Wait { .. } | Kind::Conflict | Kind::Storage | Kind::Network | Kind::Internal => {
            (StatusCode::SERVICE_UNAVAILABLE, "refresh_unavailable")
        }
    };
    document(status, &json!({ "error": { "message": message, "code": code } }))
}
