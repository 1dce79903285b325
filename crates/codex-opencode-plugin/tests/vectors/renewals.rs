//! Performs the group of file 33 about renewals that come late: a store, an issuer, and another process that changes the
//! record while the issuer works.

#![allow(clippy::disallowed_methods, reason = "the runner looks for what was kept aside")]

use std::{
    fmt, fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use camino::Utf8Path;
use codex_auth_core::{CredentialKeeper, Query, Routing, Strategy, testing::ManualClock};
use codex_auth_oauth::{Endpoints, HttpClient, HttpError, OpenAiIssuer};
use codex_auth_store::{
    FileStore, Layout, LayoutInputs, OsFs,
    opencode::{Domain, OpenCodeFile},
};
use codex_opencode_plugin::{Acquisition, Choosing};
use http::{Request, Response};
use serde_json::{Map, Value, json};

use super::{
    callbacks::runtime,
    case::{Case, Expect, Found, Outcome, field, object},
    world::{NOW, STORE, World, put},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    match group {
        "late_refresh_success" => Some(late(case, world).map(Outcome::Output)),
        _ => None,
    }
}

/// An issuer that is slow enough for another process to write.
struct Slow {
    file: OpenCodeFile,
    meanwhile: Map<String, Value>,
    answers: Vec<Value>,
    shown: Mutex<Vec<String>>,
}

impl fmt::Debug for Slow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Slow")
    }
}

#[async_trait]
impl HttpClient for Slow {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_empty() {
            self.another_process_writes().map_err(|why| HttpError::BrokeOff { why })?;
        }
        let answer = self.answers.get(shown.len()).cloned().unwrap_or_default();
        shown.push(asked["refresh_token"].as_str().unwrap_or_default().to_owned());
        Ok(Response::new(answer.to_string().into_bytes()))
    }
}

impl Slow {
    fn another_process_writes(&self) -> Result<(), String> {
        let saved = self.file.save(|document| {
            let mut whole = Value::Object(std::mem::take(document));
            if let Some(record) = whole.pointer_mut("/openai/native/accounts/0").and_then(Value::as_object_mut) {
                for (key, value) in &self.meanwhile {
                    if value.is_null() {
                        record.shift_remove(key);
                    } else {
                        record.insert(key.clone(), value.clone());
                    }
                }
            }
            *document = whole.as_object().cloned().unwrap_or_default();
        });
        saved.map(drop).map_err(|error| error.to_string())
    }
}

fn late(case: &Case, world: &World) -> Result<Value, String> {
    let input = &case.input;
    put(&world.root.join(STORE), field(input, "store")?)?;
    let first = field(input, "endpointAnswers")?.clone();
    // What a second presentation buys is told apart from the first.
    let mut second = first.clone();
    for token in ["access_token", "refresh_token"] {
        second[token] = json!(format!("{}-2", first[token].as_str().unwrap_or_default()));
    }
    let issuer = Arc::new(Slow {
        file: world.file(),
        meanwhile: object(input, "meanwhile")?.clone(),
        answers: vec![first, second],
        shown: Mutex::default(),
    });
    let clock = Arc::new(ManualClock::at(NOW));
    let inputs = LayoutInputs { home: world.data.to_string(), ..LayoutInputs::default() };
    let layout =
        Layout::resolve_with(&inputs, &|_| Vec::new()).with_opencode_pool_in(world.root.clone(), Domain::Native);
    let store = Arc::new(FileStore::over(layout.clone(), clock.clone(), Arc::new(OsFs)));
    let tokens = Arc::new(OpenAiIssuer::new(Endpoints::default(), issuer.clone(), clock.clone()));
    let keeper = CredentialKeeper::new(store.clone(), tokens, clock.clone());
    let routing = Routing { spread: false, ..Routing::from(Strategy::of_opencode(None)) };
    let choosing = Choosing { mode: Domain::Native, routing, seed: 0 };
    let acquisition = Acquisition::new(store.clone(), keeper, clock, choosing);
    let request = runtime(false)?.block_on(async {
        let request = match acquisition.acquire(&Query::default()).await {
            Ok(acquired) => {
                json!({ "access": acquired.held.credential.access.as_ref().map(|access| access.expose().to_owned()) })
            }
            Err(why) => {
                let (name, status) = why.wire();
                json!({ "type": name, "status": status })
            }
        };
        store.published(Duration::from_secs(5));
        request
    });
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    let record = stored.pointer("/openai/native/accounts/0").cloned().unwrap_or_default();
    let later = |key: &str| record[key].as_i64().is_some_and(|until| until > NOW.as_millis());
    if !matches!(&case.expect, Expect::Note) {
        return Ok(json!({ "request": request, "stored": {
            "key": record["identityKey"], "refresh": record["refresh"], "access": record["access"],
            "enabled": record["enabled"], "leased": later("refreshLeaseUntil"), "cooling": later("cooldownUntil"),
        } }));
    }
    // Served with a valid token; what is stored is the other process's token or its successor; nothing was presented
    // twice; and what the first presentation bought lies aside, because nothing proved it stale.
    let shown = issuer.shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let is_served = request["access"] == "at-new-2";
    let is_stored = record["refresh"] == "rt-other" || record["refresh"] == "rt-new-2";
    let is_once = shown == ["rt-a", "rt-other"];
    let aside = aside(&layout.journal_dir().join("kept"))?;
    let is_aside = aside.iter().any(|text| text.contains("\"rt-new\""));
    if is_served && is_stored && is_once && is_aside {
        Ok(Value::Null)
    } else {
        let stored = &record["refresh"];
        Err(format!("request {request}, stored {stored}, presented {shown:?}, aside {}", aside.len()))
    }
}

/// What the files say that the store keeps aside.
fn aside(dir: &Utf8Path) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for entry in dir.read_dir_utf8().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        texts.push(fs::read_to_string(entry.path()).map_err(|error| error.to_string())?);
    }
    Ok(texts)
}
