//! Owns the positional fields of the format: which account an index means, and which index an account has now.

use codex_auth_core::{FAMILIES, RecordId, SavedPool};
use serde_json::{Value, json};

use crate::json::{self, Object};

const ACTIVE: &str = "activeIndex";
const BY_FAMILY: &str = "activeIndexByFamily";
const PINNED: &str = "pinnedAccountIndex";

/// The selected and the pinned account. `rows` names what stands at each position of the document.
///
/// The selection is that of the family `codex`, else the general one, clamped; a pin out of range is none.
pub(super) fn decode(document: &Object, rows: &[Option<RecordId>]) -> (Option<RecordId>, Option<RecordId>) {
    let by_family = document.get(BY_FAMILY).and_then(|families| families.get("codex")).and_then(json::integer);
    let active = by_family.or_else(|| document.get(ACTIVE).and_then(json::integer)).unwrap_or(0);
    let pin = document.get(PINNED).and_then(json::integer).and_then(|index| usize::try_from(index).ok());
    (clamped(rows, active), pin.and_then(|index| rows.get(index).cloned().flatten()))
}

/// Makes the positions say `pool`. Families that were set apart stay on their account wherever it moved.
pub(super) fn encode(document: &mut Object, before: &[Option<RecordId>], after: &[Option<RecordId>], pool: &SavedPool) {
    let (was_active, _) = decode(document, before);
    let is_new_choice = was_active != pool.active;
    let position =
        |record: Option<&RecordId>| record.and_then(|record| after.iter().position(|row| row.as_ref() == Some(record)));
    let chosen = position(pool.active.as_ref()).unwrap_or(0);
    let moved = |old: Option<i64>| {
        let stays = old.filter(|_| !is_new_choice).and_then(|index| clamped(before, index));
        json!(position(stays.as_ref()).unwrap_or(chosen))
    };
    let general = moved(document.get(ACTIVE).and_then(json::integer));
    let mut families = document.get(BY_FAMILY).and_then(Value::as_object).cloned().unwrap_or_default();
    for family in FAMILIES {
        let old = families.get(family).and_then(json::integer);
        let general_as_before = || document.get(ACTIVE).and_then(json::integer);
        json::set(&mut families, family, Some(moved(old.or_else(general_as_before))));
    }
    json::set(document, ACTIVE, Some(general));
    json::set(document, BY_FAMILY, Some(Value::Object(families)));
    json::set(document, PINNED, position(pool.pin.as_ref()).map(|index| json!(index)));
}

/// Makes the positions that are there mean the same rows, which moved from `before` to `after`. A pin that meant
/// nothing is dropped: it must not begin to mean somebody.
pub(super) fn follow(document: &mut Object, before: &[Option<RecordId>], after: &[Option<RecordId>]) {
    let place = |record: &RecordId| after.iter().position(|row| row.as_ref() == Some(record));
    let moved = |old: &Value| {
        let meant = json::integer(old).and_then(|index| clamped(before, index));
        meant.as_ref().and_then(place).map(|index| json!(index))
    };
    if let Some(now) = document.get(ACTIVE).and_then(moved) {
        json::set(document, ACTIVE, Some(now));
    }
    if let Some(Value::Object(families)) = document.get_mut(BY_FAMILY) {
        for index in families.values_mut() {
            if let Some(now) = moved(index).filter(|now| json::integer(now) != json::integer(index)) {
                *index = now;
            }
        }
    }
    let pin = decode(document, before).1;
    json::set(document, PINNED, pin.as_ref().and_then(place).map(|index| json!(index)));
}

fn clamped(rows: &[Option<RecordId>], index: i64) -> Option<RecordId> {
    let index = usize::try_from(index).unwrap_or(0).min(rows.len().saturating_sub(1));
    rows.get(index).cloned().flatten().or_else(|| rows.iter().flatten().next().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(names: &[&str]) -> Vec<Option<RecordId>> {
        names.iter().map(|name| RecordId::parse(name)).collect()
    }

    fn pool(active: &str, pin: &str) -> SavedPool {
        SavedPool { active: RecordId::parse(active), pin: RecordId::parse(pin), ..SavedPool::default() }
    }

    /// What `document` over accounts a, b and c says, and how it reads once only b and c are left in the order c, b.
    #[track_caller]
    fn check(document: &Value, active: &str, pin: &str, written: &Value) {
        let mut document = document.as_object().expect("an object").clone();
        let (before, after) = (rows(&["a", "b", "c"]), rows(&["c", "b"]));
        assert_eq!(decode(&document, &before), (RecordId::parse(active), RecordId::parse(pin)));
        encode(&mut document, &before, &after, &pool(active, pin));
        assert_eq!(&Value::Object(document), written);
    }

    fn families(codex: i64, others: i64) -> Value {
        let index = |family: &str| json!(if family == "codex" { codex } else { others });
        Value::Object(FAMILIES.iter().map(|family| ((*family).to_owned(), index(family))).collect())
    }

    #[test]
    fn positions_follow_their_accounts() {
        let document = json!({ ACTIVE: 1, BY_FAMILY: families(2, 1), PINNED: 1 });
        check(&document, "c", "b", &json!({ ACTIVE: 1, BY_FAMILY: families(0, 1), PINNED: 1 }));
    }

    #[test]
    fn nonsense_is_clamped_and_a_pin_out_of_range_is_none() {
        let document = json!({ ACTIVE: 99, BY_FAMILY: { "gpt-5.2": "x" }, PINNED: 5 });
        let mut expect = families(0, 0);
        let all = expect.as_object_mut().expect("an object");
        let first = all.shift_remove("gpt-5.2").expect("a family");
        let mut ordered = Object::from_iter([("gpt-5.2".to_owned(), first)]);
        ordered.extend(all.clone());
        check(&document, "c", "", &json!({ ACTIVE: 0, BY_FAMILY: ordered }));
    }

    #[test]
    fn a_fraction_is_cut_off() {
        let document = json!({ PINNED: 1.9 });
        assert_eq!(decode(document.as_object().expect("an object"), &rows(&["a", "b"])).1, RecordId::parse("b"));
    }

    #[test]
    fn a_new_choice_counts_for_every_family() {
        let mut document = json!({ ACTIVE: 0, BY_FAMILY: families(0, 1) }).as_object().expect("an object").clone();
        let all = rows(&["a", "b", "c"]);
        encode(&mut document, &all, &all, &pool("c", ""));
        assert_eq!(Value::Object(document), json!({ ACTIVE: 2, BY_FAMILY: families(2, 2) }));
    }
}
