//! Capabilities over the control socket: made, listed and revoked by programs of the same user.

use std::time::Duration;

use codex_auth_core::{Permit, PermitTerms, RecordId, Timestamp};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, catch_up, failed};
use crate::{
    PermitError,
    respond::{Answer, document},
};

/// What a capability is to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    name: Option<String>,
    account: Option<String>,
    models: Vec<String>,
    requests: Option<u64>,
    lasts_ms: u64,
    reopens: bool,
}

/// `POST /v1/permits`: the one answer that carries the secret.
pub(super) async fn issue(control: &Control, asked: Value) -> Answer {
    catch_up(control).await;
    let Ok(asked) = serde_json::from_value::<Asked>(asked) else {
        return failed(StatusCode::BAD_REQUEST, "bad_capability", "the request does not say what it is limited to");
    };
    let Some(port) = control.port() else {
        return failed(StatusCode::SERVICE_UNAVAILABLE, "not_listening", "the agent waits for its sockets");
    };
    let account = asked
        .account
        .as_deref()
        .map(|record| RecordId::parse(record).filter(|record| control.proxy.rotation().pool().find(record).is_some()));
    let account = match account {
        Some(None) => return failed(StatusCode::NOT_FOUND, "no_such_account", "the pool has no such account"),
        Some(Some(record)) => Some(record),
        None => None,
    };
    let lasts = Duration::from_millis(asked.lasts_ms);
    let terms = PermitTerms { name: asked.name, account, models: asked.models, requests: asked.requests, lasts };
    let now = control.proxy.ports.clock.now();
    let permits = control.proxy.leases().permits();
    match permits.issue(terms, asked.reopens, control.entropy.as_ref(), now).await {
        Ok((permit, secret)) => {
            let mut made = row(control, &permit);
            made["token"] = secret.expose().into();
            made["port"] = port.into();
            document(StatusCode::OK, &made)
        }
        Err(error) => not_done(&error),
    }
}

/// `GET /v1/permits`: without any secret.
pub(super) fn list(control: &Control) -> Answer {
    let now = control.proxy.ports.clock.now();
    let permits = control.proxy.leases().permits().list();
    let rows: Vec<Value> = permits.iter().filter(|permit| now < permit.expires_at).map(|it| row(control, it)).collect();
    document(StatusCode::OK, &json!({ "permits": rows }))
}

/// `POST /v1/permits/revoke`: one by its id or name, or all.
pub(super) async fn revoke(control: &Control, asked: &Value) -> Answer {
    let which = match (asked["which"].as_str(), asked["all"].as_bool()) {
        (Some(which), _) => Some(which.to_owned()),
        (None, Some(true)) => None,
        (None, Some(false) | None) => {
            return failed(StatusCode::BAD_REQUEST, "bad_capability", "the request names no capability");
        }
    };
    match control.proxy.leases().permits().revoke(which).await {
        Ok(ids) => document(StatusCode::OK, &json!({ "revoked": ids })),
        Err(error) => not_done(&error),
    }
}

fn row(control: &Control, permit: &Permit) -> Value {
    let account = permit.terms.account.as_ref();
    json!({
        "id": permit.id,
        "name": permit.terms.name,
        "account": account.map(RecordId::as_str),
        "number": account.and_then(|record| control.proxy.rotation().pool().number_of(record)),
        "models": permit.terms.models,
        "requests": permit.terms.requests,
        "used": permit.used,
        "createdAt": permit.created_at.as_millis(),
        "expiresAt": permit.expires_at.as_millis(),
        "lastUsedAt": permit.last_used_at.map(Timestamp::as_millis),
    })
}

fn not_done(error: &PermitError) -> Answer {
    let code = match error {
        PermitError::Refused(codex_auth_core::PermitRefused::Revoked(_)) => "capability_revoked",
        PermitError::Refused(codex_auth_core::PermitRefused::Lifetime | codex_auth_core::PermitRefused::TooMany) => {
            "capability_refused"
        }
        PermitError::Store(_) => "storage",
    };
    failed(StatusCode::CONFLICT, code, &error.to_string())
}
