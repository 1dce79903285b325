//! Performs the group of file 15: renewals ahead of time, as core's plan and keeper make them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use codex_auth_core::{
    APART, AccountStore as _, Clock as _, CredentialKeeper, Pace, RecordId, RestPolicy, Timestamp, next_turn,
    reason_ahead, testing::ManualClock,
};
use codex_auth_oauth::{Endpoints, OpenAiIssuer};
use serde_json::{Value, json};

use super::{
    acquiring::open,
    callbacks::runtime,
    case::{Case, Found, Outcome, field},
    issuer::Issuer,
    world::{STORE, World, put},
};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    match group {
        "tick" => Some(tick(&case.input, world).map(Outcome::Output)),
        _ => None,
    }
}

fn tick(input: &Value, world: &World) -> Result<Value, String> {
    put(&world.root.join(STORE), &json!({ "openai": { "type": "oauth", "native": field(input, "native")? } }))?;
    let now = field(input, "now")?.as_i64().map(Timestamp::from_millis).ok_or("`now` is no time")?;
    let issuer =
        Issuer::default().answering("/oauth/token", vec![answer(field(input, "refreshResult")?, now)]).shared();
    let clock = Arc::new(ManualClock::at(now));
    let store = open(world, clock.clone());
    let tokens = Arc::new(OpenAiIssuer::new(Endpoints::default(), issuer.clone(), clock.clone()));
    let keeper = CredentialKeeper::new(store.clone(), tokens, clock.clone());
    let error = runtime(true)?.block_on(async {
        // As the agent goes about it for half a minute: one account after the other, and a failed one is left alone.
        let (mut quiet, mut last): (HashMap<RecordId, Timestamp>, _) = (HashMap::new(), None);
        let end = now.after(Duration::from_secs(30));
        while clock.now() < end {
            let (pool, now) = (store.read().await?, clock.now());
            let pace = Pace { last, logged_in: &[], quiet: &|record| quiet.get(record).copied(), seed: 7 };
            clock.advance(APART);
            let Some(turn) = next_turn(&pool, pace, now).filter(|turn| turn.at <= now) else { continue };
            last = Some(now);
            let seen = pool
                .find(&turn.record)
                .map(|held| held.credential.clone())
                .ok_or_else(|| codex_auth_core::StoreError::NoSuchAccount(turn.record.clone()))?;
            let came_to = keeper.renew(&turn.record, &seen, reason_ahead(&seen)).await;
            if let Err(error) = came_to {
                let rest = error.rest(RestPolicy::default(), now);
                quiet.insert(turn.record, rest.map_or(end, |rest| rest.until.max(end)));
            }
        }
        store.published(Duration::from_secs(5));
        Ok::<_, codex_auth_core::StoreError>(())
    });
    let stored: Value = serde_json::from_str(&world.text(STORE)?).map_err(|error| error.to_string())?;
    Ok(json!({
        "refreshCalls": issuer.requests(|request| {
            let asked: Value = serde_json::from_slice(request.body()).unwrap_or_default();
            asked["refresh_token"].clone()
        }),
        "error": error.err().map(|error| error.to_string()),
        "native": stored.pointer("/openai/native"),
    }))
}

/// What the issuer says so that a refresh comes to this.
fn answer(result: &Value, now: Timestamp) -> Value {
    if let Some(code) = result.pointer("/throws/oauthCode") {
        return json!({ "status": 400, "body": { "error": code } });
    }
    let lasts = result["expires"].as_i64().map(|end| (end - now.as_millis()) / 1000);
    json!({ "body": { "access_token": result["access"], "refresh_token": result["refresh"], "expires_in": lasts } })
}
