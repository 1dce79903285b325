//! Owns the control API under `/__control`: the same levers as the library, for another process.

use std::time::Duration;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::fault::Fault;
use crate::issuer::SignIn;
use crate::jwt::Mint;
use crate::login_files::{LoginKnobs, login_document};
use crate::people::Who;
use crate::pool_files::{PoolKnobs, pool_document};
use crate::quota::Used;
use crate::reply::Reply;
use crate::script::Script;
use crate::state::State;
use crate::world::Shared;

/// Names an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    account: Who,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaybeNamed {
    #[serde(default)]
    account: Option<Who>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exhaust {
    account: Who,
    #[serde(default)]
    resets_in_secs: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    #[serde(default)]
    account: Option<Who>,
    models: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    account: Who,
    #[serde(default)]
    used: Option<Used>,
    #[serde(default)]
    reset_credits: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    account: Who,
    #[serde(default)]
    knobs: LoginKnobs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    ms: u64,
}

/// Answers a request to the control API.
pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Reply {
    let verb = ask.path.strip_prefix("/__control/").unwrap_or_default();
    let done = match (&ask.method, verb) {
        (&Method::GET, "log") => Ok(shared.change(|world| json!({ "records": world.log.records() }))),
        (&Method::GET, "state") => Ok(state(shared)),
        (&Method::GET, "secrets") => Ok(shared.change(|world| secrets(&world.issuer.mint))),
        (&Method::POST, _) => command(shared, verb, ask),
        _ => return Reply::not_found(),
    };
    match done {
        Ok(Value::Null) => Reply::not_found(),
        Ok(value) => Reply::json(StatusCode::OK, &value),
        Err(why) => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": why })),
    }
}

/// Carries out a command; `Null` for one that does not exist.
fn command(shared: &Shared, verb: &str, ask: &Ask) -> Result<Value, String> {
    let now_ms = shared.clock.now_ms();
    match verb {
        "exhaust" => {
            let told: Exhaust = read(ask)?;
            let rest = told.resets_in_secs.map(Duration::from_secs);
            shared.change(|world| world.backend.quotas.exhaust(told.account, rest, now_ms));
        }
        "restore" => {
            let told: MaybeNamed = read(ask)?;
            shared.change(|world| world.backend.quotas.restore(told.account));
        }
        "quota" => {
            let told: Quota = read(ask)?;
            shared.change(|world| {
                let quotas = &mut world.backend.quotas;
                told.used.into_iter().for_each(|used| quotas.set_used(told.account, used));
                told.reset_credits.into_iter().for_each(|credits| quotas.set_reset_credits(told.account, credits));
            });
        }
        "models" => {
            let told: Models = read(ask)?;
            shared.change(|world| world.backend.models.insert(told.account, json!({ "models": told.models })));
        }
        "fault" => {
            let fault: Fault = read(ask)?;
            shared.change(|world| world.faults.add(fault));
        }
        "clear-faults" => shared.change(|world| world.faults.clear()),
        "script" => {
            let script: Script = read(ask)?;
            shared.change(|world| world.backend.scripts.add(script));
        }
        "clear-scripts" => shared.change(|world| world.backend.scripts.clear()),
        "reset-log" => shared.change(|world| world.log.reset()),
        "release" => return Ok(json!({ "released": shared.release() })),
        "advance" => {
            let told: Advance = read(ask)?;
            return Ok(json!({ "moved": shared.clock.advance(Duration::from_millis(told.ms)) }));
        }
        _ => return sign_in_command(shared, verb, ask),
    }
    Ok(json!({ "ok": true }))
}

/// Commands about who is signed in and with what.
fn sign_in_command(shared: &Shared, verb: &str, ask: &Ask) -> Result<Value, String> {
    let now_ms = shared.clock.now_ms();
    match verb {
        "next-login" => {
            let sign_in: SignIn = read(ask)?;
            shared.change(|world| world.issuer.next_login(sign_in));
        }
        "approve-devices" => shared.change(|world| world.issuer.approve_devices()),
        "rotate" => {
            let told: Named = read(ask)?;
            shared.change(|world| world.issuer.grants.expire_access(told.account, now_ms));
        }
        "revoke" => {
            let told: Named = read(ask)?;
            shared.change(|world| world.issuer.grants.revoke_all(told.account));
        }
        "login" => {
            let told: Login = read(ask)?;
            return Ok(shared.change(|world| login_document(world, told.account, &told.knobs, now_ms)));
        }
        "pool" => {
            let knobs: PoolKnobs = read(ask)?;
            return Ok(shared.change(|world| pool_document(world, &knobs, now_ms)));
        }
        "api-key" => {
            let told: Named = read(ask)?;
            let key = shared.change(|world| world.issuer.grants.api_key(&mut world.issuer.mint, told.account));
            return Ok(json!({ "api_key": key }));
        }
        _ => return Ok(Value::Null),
    }
    Ok(json!({ "ok": true }))
}

fn state(shared: &Shared) -> Value {
    let now_ms = shared.clock.now_ms();
    let state = shared.change(|world| State::of(world, now_ms));
    serde_json::to_value(state).unwrap_or_default()
}

/// Everything that must not leave its store, for a search.
fn secrets(mint: &Mint) -> Value {
    mint.all().map(|needle| json!({ "what": needle.what, "text": needle.text })).collect()
}

fn read<T: DeserializeOwned>(ask: &Ask) -> Result<T, String> {
    let value = ask.json().ok_or("the body is not JSON")?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}
