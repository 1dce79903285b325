//! Performs the group of file 14: an account with a good token for a request, over a store, an issuer and a clock.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use codex_auth_core::{
    Clock, CredentialKeeper, Outcome as Came, Query, Routing, SessionKey, Strategy, Timestamp, WorkspaceId,
};
use codex_auth_oauth::{Endpoints, OpenAiIssuer};
use codex_auth_store::{
    FileStore, Layout, LayoutInputs, OsFs,
    documents::opencode_affinity::SESSIONS_KEPT,
    opencode::{Domain, normalise::records},
};
use codex_opencode_plugin::{Acquired, Acquisition, Choosing, IdentityKeyField, NotAcquired, SessionPins};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    callbacks::runtime,
    case::{Case, Expect, Found, Outcome, field},
    issuer::Issuer,
    world::{NOW, STORE, World, put},
};

const TOKEN_PATH: &str = "/oauth/token";

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    match group {
        "acquire" => Some(acquire(case, world).map(Outcome::Output)),
        _ => None,
    }
}

/// Times in a store are told from the start of the call.
pub(crate) fn with_times(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), with_times(value))).collect(),
        Value::Array(items) => items.iter().map(with_times).collect(),
        Value::String(text) if text.starts_with(['+', '-']) => {
            text.parse::<i64>().map_or_else(|_| value.clone(), |span| json!(NOW.as_millis() + span))
        }
        other => other.clone(),
    }
}

/// The store of the world, as the product opens the plugin's pool.
pub(crate) fn open(world: &World, clock: Arc<dyn Clock>) -> Arc<FileStore> {
    let inputs = LayoutInputs { home: world.data.to_string(), ..LayoutInputs::default() };
    let layout =
        Layout::resolve_with(&inputs, &|_| Vec::new()).with_opencode_pool_in(world.root.clone(), Domain::Native);
    Arc::new(FileStore::over(layout, clock, Arc::new(OsFs)))
}

/// A clock that goes with the virtual time of a runtime.
#[derive(Debug, Default)]
struct Running(OnceLock<Instant>);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        NOW.after(self.0.get_or_init(Instant::now).elapsed())
    }
}

fn acquire(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    let laid = field(input, "store")?;
    if !laid.is_null() {
        put(&world.root.join(STORE), &with_times(laid))?;
    }
    let scripted = input.get("tokens").and_then(Value::as_array).cloned().unwrap_or_default();
    let issuer = Issuer::default().answering(TOKEN_PATH, scripted).shared();
    let clock = Arc::new(Running::default());
    let store = open(world, clock.clone());
    let clock_of = clock.clone();
    let tokens = Arc::new(OpenAiIssuer::new(Endpoints::default(), issuer.clone(), clock.clone()));
    let keeper = CredentialKeeper::new(store.clone(), tokens, clock.clone());
    let strategy = Strategy::of_opencode(input.get("strategy").and_then(Value::as_str));
    let routing = Routing { strategy, spread: false, memory: Some(SESSIONS_KEPT), ..Routing::default() };
    let pins = SessionPins::new(&world.root, clock.clone(), (Domain::Native, strategy));
    let choosing = Choosing { mode: Domain::Native, routing, seed: 7 };
    let acquisition = Acquisition::new(store.clone(), keeper, clock, choosing);
    let is_child = input.get("sub") == Some(&Value::Bool(true));
    let session = input.get("session").and_then(Value::as_str).filter(|_| !is_child).and_then(SessionKey::parse);
    let leased = laid.to_string().contains("refreshLeaseUntil");
    let mut found = runtime(true)?.block_on(async {
        let began = clock_of.now();
        let query = Query { session, ..Query::default() };
        let found = match acquisition.acquire(&query).await {
            Ok(acquired) => {
                let shown = json!({ "ok": served(&acquired) });
                acquisition.answering(&acquired);
                acquisition.settle(acquired, &Came::Cancelled).await.map_err(|error| error.to_string())?;
                shown
            }
            Err(why) => json!({ "throws": thrown(&why) }),
        };
        let waited = clock_of.now().since(began);
        if leased && waited < Duration::from_secs(20) {
            return Err(format!("the token was presented {waited:?} after somebody else leased it"));
        }
        store.published(Duration::from_secs(5));
        let (sessions, pool) = acquisition.sessions();
        pins.write(&sessions, &pool).map_err(|error| error.to_string())?;
        Ok::<_, String>(found)
    })?;
    found["tokenCalls"] = issuer.requests(
        |request| json!({ "url": request.uri().to_string(), "body": String::from_utf8_lossy(request.body()) }),
    );
    let written = world.text("cache/codex-session-affinity.json").is_ok_and(|text| text.contains("\"s1\""));
    found["affinityWrites"] = json!(u8::from(written));
    let stored: Value = world.text(STORE).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    found["nativeAfter"] = stored.pointer("/openai/native").cloned().unwrap_or_default();
    found["codexAfter"] = stored.pointer("/openai/codex").cloned().unwrap_or_default();
    if matches!(&case.expect, Expect::Note) {
        return noted(&found).map(|()| Value::Null);
    }
    Ok(found)
}

fn served(acquired: &Acquired) -> Value {
    let owner = &acquired.held.account.owner;
    let key = IdentityKeyField::of(owner).map(|key| key.to_string());
    let label = match (&owner.email, &owner.plan) {
        (Some(email), Some(plan)) => format!("{email} ({plan})"),
        (email, _) => email.clone().unwrap_or_default(),
    };
    json!({
        "access": acquired.held.credential.access.as_ref().map(|access| access.expose().to_owned()),
        "accountId": owner.workspace.as_ref().map(WorkspaceId::as_str),
        "identityKey": key, "accountLabel": label, "email": owner.email, "plan": owner.plan,
        "selectionTrace": { "attemptedCount": acquired.tries, "attemptKey": key },
    })
}

fn thrown(why: &NotAcquired) -> Value {
    let (kind, status) = why.wire();
    json!({ "message": why.to_string(), "status": status, "type": kind, "param": why.param() })
}

/// The cases without an exact value: what a broken file, a network and a lease come to.
fn noted(found: &Value) -> Result<(), String> {
    let kind = found["throws"]["type"].as_str().unwrap_or_default();
    let calls = found["tokenCalls"].as_array().map_or(0, Vec::len);
    let rows = found["nativeAfter"].as_object().map(records).unwrap_or_default();
    let held = |key: &str| rows.first().is_some_and(|row| row.get(key).is_some());
    let holds = match kind {
        // Nothing was there to ask with, and nothing was asked.
        "oauth_not_configured" | "auth_storage_quarantined" => calls == 0 && rows.is_empty(),
        // Asked once: after a network that failed, or after the lease had run out; the token is still there.
        "refresh_failed" | "upstream_unreachable" => calls == 1 && held("refresh"),
        _ => false,
    };
    if holds { Ok(()) } else { Err(format!("it came to {found}")) }
}
