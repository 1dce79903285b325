//! What the agent answers by itself, because an upstream answer would break the turn or concern the wrong account.

use codex_auth_core::WorkspaceId;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::{
    leases::{Caller, Leases},
    respond::{Answer, document, error},
};

/// The gate before a turn: exactly one entry, whose id is the account the client believes to be.
///
/// The https origin must be the vendor's real one: the client checks that it is https, and since its two base URLs
/// have different origins it keeps sending model calls to us (measured on 0.169.0).
pub(crate) fn accounts_check(headers: &HeaderMap, caller: &Caller, leases: &Leases) -> Answer {
    let Some(id) = face_of(headers, caller, leases) else {
        return error(StatusCode::NOT_FOUND, "runtime_rotation_proxy_not_found", "The request names no account.");
    };
    let entry = json!({
        "id": id.as_str(),
        "workspace_backend_origin": "https://chatgpt.com",
        "account_routing_override": "NO_CONSTRAINT",
        "structure": "personal",
    });
    document(
        StatusCode::OK,
        &json!({ "accounts": [entry], "account_ordering": [id.as_str()], "default_account_id": id.as_str() }),
    )
}

/// The account the client believes to be: its header, else the claim of its bearer.
pub(crate) fn face_of(headers: &HeaderMap, caller: &Caller, leases: &Leases) -> Option<WorkspaceId> {
    let header = headers.get("chatgpt-account-id").and_then(|value| value.to_str().ok());
    if let Some(id) = header.and_then(WorkspaceId::parse) {
        return Some(id);
    }
    match caller {
        Caller::Home(_) => leases.login_of(crate::inbound::bearer_of(headers)?)?.owner.workspace,
        Caller::Client | Caller::Lease(_) | Caller::Permit(_) => None,
    }
}

/// The connectors' endpoint: an error at once. Anything that looks like a start delays the turn by half a minute.
pub(crate) fn mcp(body: &[u8]) -> Answer {
    let id = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|call| call.get("id").cloned());
    document(
        StatusCode::OK,
        &json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "not served by the agent" } }),
    )
}

/// Revocation would sign the pool's account out everywhere; removal with `--revoke` is the one way to do that.
pub(crate) fn revoke() -> Answer {
    error(
        StatusCode::FORBIDDEN,
        "revocation_refused",
        "Nothing was revoked. Run `codex-multi-auth remove <n> --revoke` to sign an account out at the issuer.",
    )
}

/// Alive.
pub(crate) fn health() -> Answer {
    document(StatusCode::OK, &json!({ "ok": true }))
}
