//! Performs the groups of file 16: what tells of quotas, what of it is kept in the plugin's file, and what is told a
//! person.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    Alert, AlertBook, Limit, Quota, RecordId, Report, THRESHOLDS, Timestamp, UsagePayload, WindowReading, testing,
    testing::ManualClock,
};
use codex_auth_store::{
    Document, StateFile,
    documents::opencode_snapshots::{LimitLeft, OpenCodeSnapshot, QuotaSnapshots},
};
use codex_opencode_plugin::quota_toasts;
use serde_json::{Value, json};

use super::{
    case::{Case, Found, Outcome, field, object},
    tree,
    world::{NOW, World, put},
};

/// The windows by the names that the plugin's file has for them, in the order they are told.
const NAMES: [&str; 2] = ["requests", "tokens"];
const LENGTHS: [Duration; 2] = [Duration::from_hours(5), Duration::from_hours(7 * 24)];

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case, world: &World) -> Option<Found> {
    let found = match group {
        "usage_payload" => usage(&case.input),
        "response_headers" => headers(&case.input),
        "thresholds" => thresholds(&case.input),
        "snapshot_file" => snapshot_file(&case.input, world),
        "background" => background(&case.input),
        "usage_url" | "dashboard" | "status_tool" => Err("the product has no such rule yet".to_owned()),
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// The account's own windows as the plugin's file has them.
fn snapshot(report: &Report, now: Timestamp) -> OpenCodeSnapshot {
    let own = report.windows.iter().filter(|(limit, _, _)| *limit == Limit::Account);
    let limits = own.zip(NAMES.iter().cycle()).map(|((_, _, reading), name)| LimitLeft {
        name: (*name).to_owned(),
        left_percent: reading.left_percent().round(),
        resets_at: reading.resets_at,
    });
    OpenCodeSnapshot { updated_at: now, limits: limits.collect(), credits: None }
}

fn shown(snapshot: OpenCodeSnapshot) -> Value {
    let mut all = serde_json::Map::new();
    QuotaSnapshots { by_identity: [("k".to_owned(), snapshot)].into() }.encode(&mut all);
    all.remove("k").unwrap_or_default()
}

fn usage(input: &Value) -> Result<Value, String> {
    let told = Timestamp::from_millis(field(input, "now")?.as_i64().ok_or("`now` is no time")?);
    let body = field(input, "body")?;
    let now = heard(body.pointer("/secondary/resets_at").and_then(Value::as_i64).into_iter(), told);
    let payload: Option<UsagePayload> = serde_json::from_value(body.clone()).ok();
    let report = payload.map(|payload| payload.report(now)).filter(|report| !report.windows.is_empty());
    Ok(json!({ "snapshot": report.map(|report| shown(snapshot(&report, told))) }))
}

/// Resets decades ahead are not believed, so one that is told as an instant is heard an hour before it.
fn heard(numbers: impl Iterator<Item = i64>, told: Timestamp) -> Timestamp {
    let instant = numbers.filter(|at| *at >= 1_000_000_000).max();
    let instant =
        instant.map(|at| if at < 10_000_000_000 { Timestamp::from_secs(at) } else { Timestamp::from_millis(at) });
    instant.map_or(told, |at| at.before(Duration::from_hours(1)))
}

fn headers(input: &Value) -> Result<Value, String> {
    let told = Timestamp::from_millis(1000);
    let object = input.as_object().ok_or("no headers")?;
    let now = heard(object.values().filter_map(Value::as_str).filter_map(|text| text.parse::<i64>().ok()), told);
    let pairs = object.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let report = Report::of_headers(pairs, now).unwrap_or_else(|| Report::at(now));
    Ok(shown(snapshot(&report, told)))
}

/// Tells one account's two windows to an alert book; what was crossed, and how far each window has come.
fn tell(
    book: &mut AlertBook,
    record: &RecordId,
    left: [Option<(f64, Option<Timestamp>)>; 2],
    at: Timestamp,
) -> (Vec<Alert>, Value) {
    let (mut crossed, mut warnings, mut exhausted) = (Vec::new(), Vec::new(), Vec::new());
    for (length, left) in LENGTHS.into_iter().zip(left) {
        let Some((left, resets_at)) = left else { continue };
        let reading = WindowReading { length, used_percent: 100.0 - left, resets_at, seen_at: at };
        let Some(alert) = book.saw(record, reading) else { continue };
        let window = if length == LENGTHS[0] { "five_hour" } else { "weekly" };
        warnings.push(json!([window, alert.threshold, quota_toasts(std::slice::from_ref(&alert))[0], alert.code()]));
        if let Some(code) = alert.exhausted_code() {
            let resets_at = resets_at.map(Timestamp::as_millis);
            exhausted.push(json!({ "window": window, "resetsAt": resets_at, "reasonCode": code }));
        }
        crossed.push(alert);
    }
    let reached = |length| book.reached.get(&(record.clone(), length)).map_or(0, |reached| reached.thresholds);
    let index = |length| i64::try_from(reached(length)).unwrap_or(0) - 1;
    let is_spent = |length| reached(length) == THRESHOLDS.len();
    let told = json!({ "warnings": warnings, "exhausted": exhausted, "state": {
        "fiveHourThresholdIndex": index(LENGTHS[0]), "weeklyThresholdIndex": index(LENGTHS[1]),
        "fiveHourExhausted": is_spent(LENGTHS[0]), "weeklyExhausted": is_spent(LENGTHS[1]),
    } });
    (crossed, told)
}

fn thresholds(input: &Value) -> Result<Value, String> {
    let (record, mut book) = (testing::account(1).record, AlertBook::default());
    let steps = input.as_array().ok_or("no steps")?;
    let told = (1_i64..).zip(steps).map(|(at, step)| {
        let limits = step["limits"].as_array().cloned().unwrap_or_default();
        let left = NAMES.map(|name| {
            let limit = limits.iter().find(|limit| limit["name"] == name)?;
            Some((limit["leftPct"].as_f64()?, limit["resetsAt"].as_i64().map(Timestamp::from_millis)))
        });
        tell(&mut book, &record, left, Timestamp::from_secs(at)).1
    });
    Ok(told.collect())
}

fn snapshot_file(input: &Value, world: &World) -> Result<Value, String> {
    let file =
        StateFile::<QuotaSnapshots>::of_opencode(&world.root, QuotaSnapshots::NAME, Arc::new(ManualClock::at(NOW)));
    if let Some(text) = input.get("fileText") {
        put(file.path(), text)?;
        let mut read = serde_json::Map::new();
        file.read().map_err(|error| error.to_string())?.document.encode(&mut read);
        return Ok(Value::Object(read));
    }
    let given = QuotaSnapshots::decode(object(input, "write")?);
    file.edit(NOW, |known| *known = given).map_err(|error| error.to_string())?;
    Ok(json!({ "text": world.text(QuotaSnapshots::NAME)?, "tree": tree::tree(&world.root.join("cache"))? }))
}

/// Usage answers in order: what a person is told, and how long core keeps the account away.
fn background(input: &Value) -> Result<Value, String> {
    let (record, mut book, mut quota) = (testing::account(1).record, AlertBook::default(), Quota::default());
    let mut toasts = Vec::new();
    for (at, body) in (1_i64..).zip(input.as_array().ok_or("no answers")?) {
        let now = Timestamp::from_secs(at);
        let Ok(payload) = serde_json::from_value::<UsagePayload>(body.clone()) else { continue };
        let report = payload.report(now);
        quota.learn(&report);
        let mut own = report.windows.iter().filter(|(limit, _, _)| *limit == Limit::Account);
        let left = LENGTHS.map(|_| own.next().map(|(_, _, reading)| (reading.left_percent(), reading.resets_at)));
        let (crossed, _) = tell(&mut book, &record, left, now);
        toasts.extend(quota_toasts(&crossed).into_iter().map(|toast| json!([toast, "warning"])));
    }
    let now = Timestamp::from_secs(1);
    let until = quota.headroom(None, None, now).spent_at(now);
    let seconds = until.map(|until| json!(["id", until.since(now).as_secs()]));
    Ok(json!({ "toasts": toasts, "cooldownSecondsFromNow": seconds.into_iter().collect::<Vec<_>>() }))
}
