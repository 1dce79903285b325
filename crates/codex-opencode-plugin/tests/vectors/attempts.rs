//! Performs the groups of file 12: requests through the request path, against a scripted backend.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use codex_auth_core::{
    ClientToken, LoginState, Memory, OfficialLogins, RotationSettings, SettingsSource, StoreError, Strategy,
    testing::{ManualClock, MemoryBook, MemoryPolicies, ScriptedIssuer, SeededEntropy},
};
use codex_auth_proxy::{BodyStream, Leases, Ports, Proxy, ProxyConfig, Upstream, UpstreamError, testing};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Map, Value, json};

use super::{
    acquiring::open,
    callbacks::runtime,
    case::{Case, Expect, Found, Outcome, field},
    world::{NOW, STORE, World, put},
};

/// The clock of the cases; what they tell of time is told from there.
const BEGIN: i64 = 1000;

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "attempts" | "passthrough" | "network" | "max_attempts" | "headers" | "redirect" => attempted(case, world),
        "session_toasts" | "rate_limit_toasts" => Err("the product has no such rule yet".to_owned()),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// A backend that answers by a script; the last answer is repeated.
struct Scripted {
    answers: Mutex<VecDeque<Value>>,
    asked: Mutex<Vec<Value>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Scripted")
    }
}

#[async_trait]
impl Upstream for Scripted {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<BodyStream>, UpstreamError> {
        let headers: Map<String, Value> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), json!(String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        let seen = json!({
            "url": request.uri().to_string(), "method": request.method().as_str(), "headers": headers,
        });
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        let answer = answer.unwrap_or_default();
        if let Some(why) = answer.get("throw") {
            return Err(UpstreamError::Unsent(why.to_string()));
        }
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(200);
        let body = answer["body"].as_str().unwrap_or_default().to_owned();
        let mut response = Response::builder().status(status);
        for (name, value) in answer["headers"].as_object().into_iter().flatten() {
            response = response.header(name.as_str(), value.as_str().unwrap_or_default());
        }
        Ok(response
            .body(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync())
            .expect("a response"))
    }
}

#[derive(Debug)]
struct Sticky;

impl SettingsSource for Sticky {
    fn stamp(&self) -> u64 {
        0
    }

    fn rotation(&self) -> Result<RotationSettings, StoreError> {
        let strategy = Strategy::of_opencode(None);
        Ok(RotationSettings { strategy, spread: false, memory: Some(Memory::default()), ..RotationSettings::default() })
    }
}

#[derive(Debug)]
struct NoHomes;

impl OfficialLogins for NoHomes {
    fn login(&self, _: &str) -> Result<LoginState, StoreError> {
        Ok(LoginState::Absent)
    }
}

fn attempted(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let auths = field(input, "auths")?.as_array().ok_or("`auths` is no list")?;
    let mut rows: Vec<Value> = Vec::new();
    for auth in auths {
        if !rows.iter().any(|row| row["access"] == auth["access"]) {
            rows.push(json!({
                "access": auth["access"], "accountId": auth["accountId"], "refresh": format!("rt-{}", auth["access"]),
                "expires": NOW.as_millis() + 3_600_000, "enabled": true,
                "email": format!("{}@x.test", rows.len()), "plan": "plus",
            }));
        }
    }
    put(&world.root.join(STORE), &json!({ "openai": { "type": "oauth", "native": { "accounts": rows } } }))?;
    let clock = Arc::new(ManualClock::at(NOW));
    let store = open(world, clock.clone());
    let script = field(input, "script")?.as_array().ok_or("`script` is no list")?.iter().cloned();
    let backend = Arc::new(Scripted { answers: Mutex::new(script.collect()), asked: Mutex::default() });
    let ports = Ports {
        store: store.clone(),
        issuer: Arc::new(ScriptedIssuer::default()),
        upstream: backend.clone(),
        settings: Arc::new(Sticky),
        policy: Arc::new(MemoryPolicies::default()),
        book: Arc::new(MemoryBook::default()),
        entropy: Arc::new(SeededEntropy::new(7)),
        clock,
    };
    let mut headers = HeaderMap::new();
    for (name, value) in input.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        headers.insert(
            name,
            HeaderValue::from_str(value.as_str().unwrap_or_default()).map_err(|error| error.to_string())?,
        );
    }
    let result = runtime(true)?.block_on(async {
        let leases = Leases::new(Arc::new(NoHomes), ClientToken::new("the token of a client"));
        let backend = "https://chatgpt.com/backend-api".parse().map_err(|_| "no address".to_owned())?;
        let proxy =
            Proxy::ready(ports, ProxyConfig::against(backend), leases).await.map_err(|error| error.to_string())?;
        let answer = testing::ask(&proxy, headers, Bytes::from_static(b"{}")).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        proxy.settle_down().await;
        store.published(Duration::from_secs(5));
        Ok::<_, String>(json!({ "status": head.status.as_u16(), "body": String::from_utf8_lossy(&body) }))
    })?;
    let asked = backend.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    let cooldowns: Vec<Value> = (0..rows.len())
        .filter_map(|place| {
            let row = stored.pointer(&format!("/openai/native/accounts/{place}"))?;
            let until = row["cooldownUntil"].as_i64()? - NOW.as_millis() + BEGIN;
            let key = auths.iter().find(|auth| auth["access"] == row["access"])?["identityKey"].clone();
            Some(json!([key, until]))
        })
        .collect();
    let mut found = json!({ "result": result, "fetches": asked.len(), "cooldowns": cooldowns, "calls": asked });
    if matches!(&case.expect, Expect::Note) {
        return noted(case, &found).map(|()| Value::Null);
    }
    if let Some(found) = found.as_object_mut() {
        found.retain(|key, _| case.shown().contains(&key.as_str()));
    }
    Ok(found)
}

/// The cases without an exact value.
fn noted(case: &Case, found: &Value) -> Result<(), String> {
    let fetches = found["fetches"].as_u64().unwrap_or_default();
    let status = found["result"]["status"].as_u64().unwrap_or_default();
    let holds = match case.group.as_str() {
        // A 403 that names no cause of the account is handed on, or rotated once.
        "passthrough" => (1..=2).contains(&fetches) && status == 403,
        // One more attempt than recorded, an answer that says the backend is out of reach, no rest in the file for it.
        "network" => {
            let limited = u64::from(case.input["script"].as_array().is_some_and(|script| script.len() > 1));
            let rests = found["cooldowns"].as_array().map_or(0, Vec::len) as u64;
            fetches >= 2 && status == 503 && rests == limited
        }
        _ => false,
    };
    if holds { Ok(()) } else { Err(format!("it came to {found}")) }
}
