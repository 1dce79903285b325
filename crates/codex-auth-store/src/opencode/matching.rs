//! Owns finding an account's record again: whose it is, never where it stood.

use codex_auth_core::Owner;

use super::{
    fingerprint::{NOTHING_KNOWN, legacy_fingerprint, own_key},
    identity_key::key_of,
    record,
};
use crate::json::{self, Object};

/// What a search among the records of a domain came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// No record is meant.
    Nowhere,
    /// This one is.
    At(usize),
    /// Several could be meant, and nothing tells which.
    Ambiguous,
}

/// The record of a row: by our own record id, else by key, else by account, e-mail and plan, else by refresh token,
/// else by what little is known.
pub(crate) fn find(records: &[Object], row: &Object) -> Found {
    let same_text = |key: &'static str| {
        let wanted = json::text(row, key);
        only(records, |one| wanted.is_some() && json::text(one, key) == wanted)
    };
    let tuple = key_of(row);
    let same_tuple = || only(records, |one| tuple.is_some() && key_of(one) == tuple);
    let by_record = same_text("recordId");
    if by_record != Found::Nowhere {
        return by_record;
    }
    let print = legacy_fingerprint(row);
    let alike = |one: &Object| print != NOTHING_KNOWN && own_key(one).is_none() && legacy_fingerprint(one) == print;
    let same_print = || only(records, alike);
    [&(|| same_text("identityKey")) as &dyn Fn() -> Found, &same_tuple, &|| same_text("refresh"), &same_print]
        .into_iter()
        .map(|search| search())
        .find(|found| *found != Found::Nowhere)
        .unwrap_or(Found::Nowhere)
}

/// The only record that passes a test.
pub(crate) fn only(records: &[Object], test: impl Fn(&Object) -> bool) -> Found {
    let mut places = records.iter().enumerate().filter(|(_, one)| test(one)).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (None, _) => Found::Nowhere,
        (Some(place), None) => Found::At(place),
        (Some(_), Some(_)) => Found::Ambiguous,
    }
}

/// The record that belongs to the same person in the same workspace; the plan is an attribute of it.
///
/// Of several (an older version made one per plan) the one of the same plan is meant, else the first.
pub(crate) fn same_account(records: &[Object], incoming: &Object) -> Option<usize> {
    let owner = record::owner_of(incoming);
    let tuple = key_of(incoming);
    let same: Vec<usize> =
        (0..records.len()).filter(|place| is_same(&record::owner_of(&records[*place]), &owner)).collect();
    same.iter().copied().find(|place| key_of(&records[*place]) == tuple).or_else(|| same.first().copied())
}

/// The record that holds the same refresh token, when nothing speaks against it being the same account.
pub(crate) fn same_grant(records: &[Object], incoming: &Object) -> Option<usize> {
    let owner = record::owner_of(incoming);
    let refresh = json::text(incoming, "refresh");
    match only(records, |one| refresh.is_some() && json::text(one, "refresh") == refresh) {
        Found::At(place) => Some(place).filter(|place| !contradicts(&record::owner_of(&records[*place]), &owner)),
        Found::Nowhere | Found::Ambiguous => None,
    }
}

fn is_same(mine: &Owner, theirs: &Owner) -> bool {
    let same_user = mine.user.is_some() && mine.user == theirs.user;
    let same_email = mine.email.is_some() && mine.email == theirs.email;
    mine.agrees_with(theirs) && (same_user || same_email)
}

fn contradicts(mine: &Owner, theirs: &Owner) -> bool {
    fn differ<T: PartialEq>(mine: Option<&T>, theirs: Option<&T>) -> bool {
        matches!((mine, theirs), (Some(mine), Some(theirs)) if mine != theirs)
    }
    let knows_users = mine.user.is_some() && theirs.user.is_some();
    differ(mine.workspace.as_ref(), theirs.workspace.as_ref())
        || differ(mine.user.as_ref(), theirs.user.as_ref())
        || (!knows_users && differ(mine.email.as_ref(), theirs.email.as_ref()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn records(values: &Value) -> Vec<Object> {
        values.as_array().expect("a list").iter().map(|one| one.as_object().expect("a record").clone()).collect()
    }

    #[track_caller]
    fn check(values: &Value, row: &Value, expect: Found) {
        assert_eq!(find(&records(values), row.as_object().expect("a row")), expect);
    }

    #[test]
    fn a_record_is_found_by_the_surest_thing_known() {
        let twins = json!([{ "email": "t", "refresh": "r1" }, { "email": "t", "refresh": "r2", "recordId": "two" }]);
        check(&twins, &json!({ "identityKey": "legacy|_|t|_", "refresh": "r1" }), Found::At(0));
        check(&twins, &json!({ "recordId": "two", "refresh": "rotated" }), Found::At(1));
        check(&twins, &json!({ "refresh": "gone" }), Found::Nowhere);
        let copies = json!([{ "identityKey": "a", "refresh": "r1" }, { "identityKey": "a", "refresh": "r2" }]);
        check(&copies, &json!({ "identityKey": "a", "refresh": "r1" }), Found::Ambiguous);
    }

    #[test]
    fn two_seats_of_one_workspace_are_two_accounts() {
        let seats = records(&json!([{ "accountId": "w", "email": "a@x" }, { "accountId": "w", "email": "b@x" }]));
        let place = |row: &Value| same_account(&seats, row.as_object().expect("a row"));
        assert_eq!(place(&json!({ "accountId": "w", "email": "b@x", "plan": "pro" })), Some(1));
        assert_eq!(place(&json!({ "accountId": "w", "email": "c@x" })), None);
        assert_eq!(place(&json!({ "accountId": "w" })), None);
        assert_eq!(place(&json!({ "accountId": "v", "email": "a@x" })), None);
    }
}
