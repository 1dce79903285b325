//! Performs the group of file 09: who serves, as core says it over the strategy of the plugin's setting.

use std::time::Duration;

use codex_auth_core::{
    Account, Affinity, Held, Memory, Outcome, Query, RecordId, Rest, RestPolicy, RestReason, Rotation, Routing,
    SavedPool, SessionKey, Standing, Strategy, Timestamp, testing,
};
use codex_auth_store::documents::opencode_affinity::{ModePins, SESSIONS_KEPT};
use serde_json::{Value, json};

use super::case::{Case, Found, Outcome as Out, field, objects, text};

/// The clock of the first step; each answer of a session comes a moment later.
const BEGIN: Timestamp = Timestamp::from_millis(1_000_000);

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    match group {
        "eligibility" | "sticky" | "hybrid" | "round_robin" | "unknown" => Some(chosen(&case.input).map(Out::Output)),
        _ => None,
    }
}

fn chosen(input: &Value) -> Result<Value, String> {
    let name = Some(text(input, "strategy")?).filter(|name| *name != "(default)");
    let most = input.pointer("/state/max").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    let routing = Routing {
        strategy: Strategy::of_opencode(name),
        spread: field(input, "pidOffset")?.as_bool().ok_or("`pidOffset` is no boolean")?,
        memory: Some(Memory { most: most.unwrap_or(SESSIONS_KEPT.most), ..SESSIONS_KEPT }),
        ..Routing::default()
    };
    let seed = field(input, "pid")?.as_u64().ok_or("`pid` is no number")?;
    let rotation = Rotation::new(pool(input, input)?, routing.clone(), RestPolicy::default()).seeded(seed);
    let one = vec![json!({})];
    let steps = input.get("steps").and_then(Value::as_array).unwrap_or(&one);
    let (mut selected, mut last) = (Vec::new(), Value::Null);
    for (step, over) in (0..).zip(steps) {
        let now = BEGIN.after(Duration::from_millis(step));
        rotation.adopt(pool(over, input)?, routing.clone(), now);
        let session = over.get("session").or_else(|| input.get("session")).and_then(Value::as_str);
        let query = Query { session: session.and_then(SessionKey::parse), ..Query::default() };
        let decision = rotation.decide(&query, now);
        let lease = rotation.acquire(&query, now).ok();
        let record = lease.as_ref().map(|lease| lease.held.account.record.as_str().to_owned());
        last = json!({
            "selectedIdentityKey": record,
            "activeIdentityKey": rotation.pool().active.map(|active| active.as_str().to_owned()),
            "totalCount": decision.standings.len(),
            "eligibleCount": decision.standings.iter().filter(|standing| standing.is_ready()).count(),
            "disabledCount": blocked(&decision.standings, "disabled"),
            "cooldownCount": blocked(&decision.standings, "rate-limited"),
        });
        selected.push(json!(record));
        if let Some(lease) = lease {
            rotation.answering(&lease, now);
            let _kept_by_nobody = rotation.settle(lease, &Outcome::Served, false, now);
        }
    }
    let selected = if selected.len() == 1 { selected.remove(0) } else { Value::Array(selected) };
    Ok(json!({ "selected": selected, "lastEvent": last, "session": pins(&rotation.affinity(), routing.strategy) }))
}

/// The accounts of a step, else those of the case.
fn pool(step: &Value, case: &Value) -> Result<SavedPool, String> {
    let either = |key: &str| step.get(key).or_else(|| case.get(key));
    let rows = if step.get("accounts").is_some() { objects(step, "accounts")? } else { objects(case, "accounts")? };
    let account = |row: &serde_json::Map<String, Value>| {
        let record = row.get("identityKey").and_then(Value::as_str).and_then(RecordId::parse).ok_or("no key")?;
        let mut account = Account { record, ..testing::account(1) };
        account.enabled = row.get("enabled") != Some(&Value::Bool(false));
        if let Some(until) = row.get("cooldownUntil").and_then(Value::as_i64).map(Timestamp::from_millis) {
            account.rest(Rest::of_account(RestReason::UsageLimit, until, BEGIN));
        }
        account.seen.last_used_at = Timestamp::from_millis(row.get("lastUsed").and_then(Value::as_i64).unwrap_or(0));
        Ok::<_, String>(Held { account, credential: testing::held(1).credential })
    };
    Ok(SavedPool {
        accounts: rows.iter().map(account).collect::<Result<_, _>>()?,
        active: either("active").and_then(Value::as_str).and_then(RecordId::parse),
        ..SavedPool::default()
    })
}

/// How many accounts are kept away by a blocker of this code first.
fn blocked(standings: &[Standing], code: &str) -> usize {
    let first = |standing: &&Standing| standing.blockers.first().is_some_and(|blocker| blocker.code() == code);
    standings.iter().filter(first).count()
}

/// The pins as the file has them.
fn pins(sessions: &Affinity, strategy: Strategy) -> Value {
    let pins = ModePins::of(sessions, strategy, |record| Some(record.as_str().to_owned()));
    json!(if strategy == Strategy::Hybrid { pins.hybrid } else { pins.sticky })
}
