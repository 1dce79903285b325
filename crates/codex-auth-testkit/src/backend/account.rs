//! Owns what the account endpoints say: workspaces, usage, reset credits.

use http::StatusCode;
use serde_json::{Value, json};

use crate::people::{People, Person, Who};
use crate::quota::Quotas;
use crate::reply::Reply;

/// `accounts/check`: the workspaces of the person. The origin has to be the vendor's own, or a client that came over
/// plain http fails its turn.
pub(super) fn check(people: &People, person: &Person) -> Reply {
    let workspaces = people.workspaces(person.who);
    let entry = |workspace: &Person| {
        json!({
            "id": workspace.account_id, "name": workspace.who.to_string(), "structure": "personal",
            "plan_type": workspace.plan, "profile_picture_url": null,
            "workspace_backend_origin": "https://chatgpt.com", "account_routing_override": "NO_CONSTRAINT",
        })
    };
    let ids: Vec<&str> = workspaces.iter().map(|workspace| workspace.account_id.as_str()).collect();
    let body = json!({
        "accounts": workspaces.iter().map(entry).collect::<Vec<Value>>(),
        "account_ordering": ids,
        "default_account_id": person.account_id,
    });
    Reply::json(StatusCode::OK, &body)
}

/// `usage`: the same numbers as the headers of a turn.
pub(super) fn usage(quotas: &Quotas, person: &Person, now_ms: i64) -> Reply {
    let reached = quotas.resting_until(person.who, now_ms).map(|_| json!({ "type": "rate_limit_reached" }));
    let body = json!({
        "plan_type": person.plan, "account_id": person.account_id, "user_id": person.user_id, "email": person.email,
        "rate_limit": quotas.usage(person.who, now_ms),
        "additional_rate_limits": [],
        "credits": { "has_credits": false, "unlimited": false, "balance": "0" },
        "rate_limit_reached_type": reached,
        "rate_limit_reset_credits": { "available_count": quotas.reset_credits(person.who) },
    });
    Reply::json(StatusCode::OK, &body)
}

/// The reset credits of an account, one row each.
pub(super) fn reset_credits(quotas: &Quotas, who: Who) -> Reply {
    let count = quotas.reset_credits(who);
    let row = |number: u32| {
        json!({
            "id": format!("credit-{number}"), "reset_type": "codex_rate_limits", "status": "available",
            "granted_at": "2026-01-01T00:00:00Z", "expires_at": null, "title": "Reset", "description": null,
        })
    };
    let rows: Vec<Value> = (1..=count).map(row).collect();
    Reply::json(StatusCode::OK, &json!({ "credits": rows, "available_count": count }))
}

/// Spends a reset credit: the account's windows are empty again.
pub(super) fn consume_reset_credit(quotas: &mut Quotas, who: Who) -> Reply {
    let spent = quotas.spend_reset_credit(who);
    let (code, windows) = if spent { ("reset", 2) } else { ("no_credit", 0) };
    Reply::json(StatusCode::OK, &json!({ "code": code, "windows_reset": windows }))
}
