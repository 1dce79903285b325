//! Owns the fake's backend: who may ask, and which answers the small endpoints give.

mod account;
mod responses;

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::fault::{Act, Denial};
use crate::grants::Bearer;
use crate::jwt::sha256_hex;
use crate::people::{Person, Who};
use crate::quota::Quotas;
use crate::reply::Reply;
use crate::route::{Route, is_platform};
use crate::script::Scripts;
use crate::world::World;

/// The backend's state.
pub(crate) struct Backend {
    pub quotas: Quotas,
    pub scripts: Scripts,
    /// Model lists by account; `None` is everybody else's.
    pub models: BTreeMap<Option<Who>, Value>,
    pub responses: u64,
}

impl Backend {
    pub(crate) fn new(quotas: Quotas) -> Self {
        Self { quotas, scripts: Scripts::default(), models: BTreeMap::new(), responses: 0 }
    }

    /// The model list of an account and its tag; no tag as long as nobody set a list.
    fn catalogue(&self, who: Who) -> (Value, Option<String>) {
        let set = self.models.get(&Some(who)).or_else(|| self.models.get(&None));
        match set {
            Some(list) => (list.clone(), Some(format!("\"{}\"", &sha256_hex(list.to_string().as_bytes())[..16]))),
            None => (json!({ "models": [] }), None),
        }
    }
}

/// Answers a request to the backend.
pub(crate) fn answer(world: &mut World, ask: &Ask, act: Option<&Act>, now_ms: i64) -> Reply {
    if ask.route == Route::PsMcp {
        return ps_mcp(ask);
    }
    if ask.route == Route::WebSocket {
        return upgrade_required();
    }
    if ask.route == Route::Analytics {
        return Reply::empty(StatusCode::NO_CONTENT);
    }
    if !ask.route.needs_bearer() {
        return Reply::not_found();
    }
    let person = match admitted(world, ask, now_ms) {
        Ok(person) => person,
        Err(refusal) => return refusal,
    };
    match ask.route {
        Route::Responses => responses::answer(world, ask, &person, act, now_ms),
        Route::Models => models(world, person.who),
        Route::AccountsCheck => account::check(&world.people, &person),
        Route::Usage => account::usage(&world.backend.quotas, &person, now_ms),
        Route::ConfigBundle => Reply::json(StatusCode::OK, &json!({})),
        Route::ResetCredits => account::reset_credits(&world.backend.quotas, person.who),
        Route::ConsumeResetCredit => account::consume_reset_credit(&mut world.backend.quotas, person.who),
        Route::SettingsUser
        | Route::WebSocket
        | Route::Authorize
        | Route::Token
        | Route::Revoke
        | Route::DeviceCode
        | Route::DeviceToken
        | Route::DevicePage
        | Route::PsMcp
        | Route::Analytics
        | Route::Control
        | Route::Other => Reply::not_found(),
    }
}

/// The 401 the backend gives, by kind.
pub(crate) fn unauthorized(denial: Denial, platform: bool) -> Reply {
    let error = |message: &str, code: &str| json!({ "error": { "message": message, "type": null, "code": code, "param": null }, "status": 401 });
    let body = match denial {
        Denial::Plain if platform => error("Incorrect API key provided.", "invalid_api_key"),
        Denial::Plain => json!({ "detail": "Unauthorized" }),
        // Clients know this refusal by the phrase as well as by the code.
        Denial::TokenInvalidated => {
            error("Your authentication token has been invalidated. Please sign in again.", "token_invalidated")
        }
        Denial::TokenExpired => {
            error("Provided authentication token is expired. Please sign in again.", "token_expired")
        }
    };
    Reply::json(StatusCode::UNAUTHORIZED, &body)
}

/// Who a request is from, or the answer to somebody who may not ask.
fn admitted(world: &World, ask: &Ask, now_ms: i64) -> Result<Person, Reply> {
    let platform = is_platform(&ask.path);
    let deny = |denial| Err(unauthorized(denial, platform));
    let (bearer, owner) = world.issuer.grants.bearer(ask.bearer(), now_ms);
    let Some(who) = owner else { return deny(Denial::Plain) };
    match bearer {
        Bearer::Live => {}
        Bearer::ApiKey if platform => {}
        Bearer::ApiKey | Bearer::Absent | Bearer::Unknown => return deny(Denial::Plain),
        Bearer::Expired => return deny(Denial::TokenExpired),
        Bearer::Revoked => return deny(Denial::TokenInvalidated),
    }
    let person = world.people.person(who);
    let claimed = ask.header("chatgpt-account-id");
    if claimed.is_some_and(|claimed| claimed != person.account_id) {
        let detail = json!({ "detail": "This account id does not belong to the bearer." });
        return Err(Reply::json(StatusCode::FORBIDDEN, &detail));
    }
    Ok(person)
}

fn models(world: &World, who: Who) -> Reply {
    let (list, etag) = world.backend.catalogue(who);
    let reply = Reply::json(StatusCode::OK, &list);
    match etag {
        Some(etag) => reply.with("etag", etag),
        None => reply,
    }
}

/// 426 makes clients go on over HTTP at once and for the whole session.
fn upgrade_required() -> Reply {
    Reply::empty(StatusCode::UPGRADE_REQUIRED).with("upgrade", "websocket")
}

/// Comes without a bearer. A stub `initialize` would delay the client's turn, an error does not.
fn ps_mcp(ask: &Ask) -> Reply {
    let id = ask.json().map_or(Value::Null, |call| call["id"].clone());
    let error = json!({ "code": -32601, "message": "no apps here" });
    Reply::json(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}
