//! Owns what a pool knows and this format has no room for: the pin, the count of decisions, labels, why and for which
//! requests an account rests. It stands in the sidecar, beside the entries of the accounts.

use codex_auth_core::{Held, RecordId, Rest, RestReason, RestScope, SavedPool, Timestamp};
use serde_json::{Value, json};

use crate::json::{self, Object};

/// Under which key of the sidecar.
const BESIDE: &str = "pool";

/// The sidecar that also says what the document cannot.
pub(super) fn noted(mut sidecar: Object, pool: &SavedPool) -> Object {
    let mut said = json::object(&sidecar, BESIDE).cloned().unwrap_or_default();
    json::set(&mut said, "pin", pool.pin.as_ref().map(|pin| json!(pin.as_str())));
    let generation = pool.affinity_generation;
    json::set(&mut said, "affinityGeneration", (generation > 0).then(|| json!(generation)));
    let (mut labels, mut rests) = (Object::new(), Object::new());
    for Held { account, .. } in &pool.accounts {
        let record = account.record.as_str().to_owned();
        labels.extend(account.label.as_ref().map(|label| (record.clone(), json!(label))));
        if !account.rests.is_empty() {
            rests.insert(record, account.rests.iter().map(rest_json).collect());
        }
    }
    json::set(&mut said, "labels", (!labels.is_empty()).then_some(Value::Object(labels)));
    json::set(&mut said, "rests", (!rests.is_empty()).then_some(Value::Object(rests)));
    json::set(&mut sidecar, BESIDE, (!said.is_empty()).then_some(Value::Object(said)));
    sidecar
}

/// Completes what the document said. A cool-down that somebody else set or lifted since counts, not ours.
pub(super) fn complete(sidecar: &Object, pool: &mut SavedPool, now: Timestamp) {
    let Some(said) = json::object(sidecar, BESIDE) else { return };
    let pin = json::text(said, "pin").and_then(RecordId::parse);
    pool.pin = pin.filter(|pin| pool.find(pin).is_some());
    pool.affinity_generation = json::count(said, "affinityGeneration").unwrap_or(0);
    let (labels, rests) = (json::object(said, "labels"), json::object(said, "rests"));
    for Held { account, .. } in &mut pool.accounts {
        let record = account.record.as_str();
        account.label = labels.and_then(|labels| json::text(labels, record)).map(str::to_owned);
        let ours = rests.and_then(|rests| rests.get(record)).and_then(Value::as_array).into_iter().flatten();
        let ours: Vec<Rest> = ours.filter_map(Value::as_object).filter_map(rest_of).collect();
        let (until, said) = (of_account(&ours), of_account(&account.rests));
        let is_over = until.is_none_or(|until| until <= now);
        if until == said || (is_over && said.is_none()) {
            account.rests = ours;
        } else {
            account.rests.extend(ours.into_iter().filter(|rest| rest.scope != RestScope::Account));
        }
    }
}

/// The end of the longest rest of the whole account, which is all that the document says.
fn of_account(rests: &[Rest]) -> Option<Timestamp> {
    rests.iter().filter(|rest| rest.scope == RestScope::Account).map(|rest| rest.until).max()
}

fn rest_json(rest: &Rest) -> Value {
    let key = match &rest.scope {
        RestScope::Account => None,
        RestScope::QuotaKey(key) => Some(key),
    };
    json!({ "until": rest.until.as_millis(), "reason": rest.reason.as_str(), "quotaKey": key })
}

fn rest_of(said: &Object) -> Option<Rest> {
    let scope = json::text(said, "quotaKey").map_or(RestScope::Account, |key| RestScope::QuotaKey(key.to_owned()));
    let reason = RestReason::parse(json::text(said, "reason").unwrap_or_default());
    Some(Rest { until: json::millis(said, "until")?, reason, scope })
}

#[cfg(test)]
mod tests {
    use codex_auth_core::testing::pool;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn rest(until: i64, key: Option<&str>) -> Rest {
        let scope = key.map_or(RestScope::Account, |key| RestScope::QuotaKey(key.to_owned()));
        Rest { until: Timestamp::from_millis(until), reason: RestReason::Network, scope }
    }

    /// What becomes of our rests when the document says these.
    #[track_caller]
    fn check(ours: Vec<Rest>, document: Vec<Rest>, expect: &[Rest]) {
        let mut before = pool(1);
        before.accounts[0].account.rests = ours;
        let sidecar = noted(Object::new(), &before);
        before.accounts[0].account.rests = document;
        complete(&sidecar, &mut before, NOW);
        assert_eq!(before.accounts[0].account.rests, expect);
    }

    #[test]
    fn ours_say_more_while_the_document_says_the_same() {
        let ours = vec![rest(5000, None), rest(9000, Some("codex"))];
        let said = Rest { reason: RestReason::UsageLimit, ..rest(5000, None) };
        check(ours.clone(), vec![said], &ours);
        let over = vec![rest(900, None), rest(9000, Some("codex"))];
        check(over.clone(), Vec::new(), &over);
    }

    #[test]
    fn what_somebody_else_set_or_lifted_counts() {
        let ours = vec![rest(5000, None), rest(9000, Some("codex"))];
        check(ours.clone(), vec![rest(7000, None)], &[rest(7000, None), rest(9000, Some("codex"))]);
        check(ours, Vec::new(), &[rest(9000, Some("codex"))]);
    }

    #[test]
    fn the_pin_of_an_account_that_is_gone_is_none() {
        let mut before = pool(2);
        before.pin = Some(before.accounts[1].account.record.clone());
        before.affinity_generation = 7;
        let sidecar = noted(Object::new(), &before);
        let mut after = SavedPool { pin: None, affinity_generation: 0, ..before.clone() };
        complete(&sidecar, &mut after, NOW);
        assert_eq!((&after.pin, after.affinity_generation), (&before.pin, 7));
        after.accounts.pop();
        complete(&sidecar, &mut after, NOW);
        assert_eq!(after.pin, None);
    }
}
