//! Owns how the waits of an account stand in a row.
//!
//! The format notes a reset per model family. When every family waits, the whole account does.

use codex_auth_core::{FAMILIES, Rest, RestReason, RestScope, Timestamp};
use serde_json::{Value, json};

use crate::json::{self, Object};

const RESETS: &str = "rateLimitResetTimes";
const COOLING_UNTIL: &str = "coolingDownUntil";
const COOLING_WHY: &str = "cooldownReason";

/// The waits a row tells of.
pub(crate) fn decode(row: &Object, now: Timestamp) -> Vec<Rest> {
    let noted: Vec<(&str, Timestamp)> = row
        .get(RESETS)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, until)| Some((key.as_str(), Timestamp::from_millis(json::integer(until)?))))
        .collect();
    let family = |name: &str| noted.iter().find(|(key, until)| *key == name && now < *until).map(|(_, until)| *until);
    let whole: Option<Vec<Timestamp>> = FAMILIES.iter().map(|name| family(name)).collect();
    let account = whole.and_then(|untils| untils.into_iter().min());
    let mut rests: Vec<Rest> = account.map(|until| of_account(RestReason::UsageLimit, until)).into_iter().collect();
    for (key, until) in noted {
        if account.is_none() || !FAMILIES.contains(&key) {
            rests.push(Rest { until, reason: RestReason::UsageLimit, scope: RestScope::QuotaKey(key.to_owned()) });
        }
    }
    if let Some(until) = json::millis(row, COOLING_UNTIL) {
        rests.push(of_account(RestReason::parse(json::text(row, COOLING_WHY).unwrap_or_default()), until));
    }
    rests
}

/// Writes the waits that still hold at `now`; of several cool-downs the format has room for the longest.
pub(crate) fn encode(row: &mut Object, rests: &[Rest], now: Timestamp) {
    let mut by_key = Object::new();
    let mut cooling: Option<&Rest> = None;
    for rest in rests.iter().filter(|rest| rest.holds(now)) {
        match (&rest.scope, rest.reason) {
            (RestScope::QuotaKey(key), _) => later(&mut by_key, key, rest.until),
            (RestScope::Account, RestReason::UsageLimit) => {
                for family in FAMILIES {
                    later(&mut by_key, family, rest.until);
                }
            }
            (RestScope::Account, RestReason::Auth | RestReason::Network | RestReason::Server) => {
                cooling = cooling.filter(|known| rest.until < known.until).or(Some(rest));
            }
        }
    }
    json::set(row, RESETS, (!by_key.is_empty()).then(|| Value::Object(by_key)));
    json::set(row, COOLING_UNTIL, cooling.map(|rest| json!(rest.until.as_millis())));
    json::set(row, COOLING_WHY, cooling.map(|rest| json!(rest.reason.as_str())));
}

fn of_account(reason: RestReason, until: Timestamp) -> Rest {
    Rest { until, reason, scope: RestScope::Account }
}

fn later(by_key: &mut Object, key: &str, until: Timestamp) {
    let known = by_key.get(key).and_then(json::integer).unwrap_or(i64::MIN);
    by_key.insert(key.to_owned(), json!(known.max(until.as_millis())));
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn quota(key: &str, until: i64) -> Rest {
        let scope = RestScope::QuotaKey(key.to_owned());
        Rest { until: Timestamp::from_millis(until), reason: RestReason::UsageLimit, scope }
    }

    fn whole(reason: RestReason, until: i64) -> Rest {
        of_account(reason, Timestamp::from_millis(until))
    }

    /// Reads `row`, then writes what was read into an empty row.
    #[track_caller]
    fn check(row: &Value, rests: &[Rest], written: &Value) {
        let found = decode(row.as_object().expect("a row"), NOW);
        assert_eq!(found, rests);
        let mut fresh = Object::new();
        encode(&mut fresh, &found, NOW);
        assert_eq!(&Value::Object(fresh), written);
    }

    fn all_families(until: i64) -> Value {
        json!({ RESETS: FAMILIES.iter().map(|name| ((*name).to_owned(), json!(until))).collect::<Object>() })
    }

    #[test]
    fn every_family_waiting_is_the_account_waiting() {
        check(&all_families(5000), &[whole(RestReason::UsageLimit, 5000)], &all_families(5000));
    }

    #[test]
    fn some_families_waiting_are_quota_keys() {
        let row = json!({ RESETS: { "codex": 5000, "gpt-5.2:gpt-5.5": 6000 } });
        check(&row, &[quota("codex", 5000), quota("gpt-5.2:gpt-5.5", 6000)], &row);
    }

    #[test]
    fn what_is_over_is_not_written_again() {
        check(&json!({ RESETS: { "codex": 1000 } }), &[quota("codex", 1000)], &json!({}));
    }

    #[test]
    fn a_cool_down_keeps_its_reason() {
        let row = json!({ COOLING_UNTIL: 7000, COOLING_WHY: "auth-failure" });
        check(&row, &[whole(RestReason::Auth, 7000)], &row);
    }
}
