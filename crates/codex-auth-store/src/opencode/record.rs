//! Owns one account record: its identity in one spelling, its key up to date, and what is asked of it everywhere.

use codex_auth_core::{AccessToken, Owner, WorkspaceId};
use serde_json::{Value, json};

use super::{Domain, auth_types_value, identity_key, token_claims};
use crate::{
    claims::claims_of,
    json::{self, Object},
};

/// The identity of a record: account id, e-mail, plan. The latter two are lower-cased.
const IDENTITY: [&str; 3] = ["accountId", "email", "plan"];

/// Brings a record of `domain` to one spelling: trimmed, completed from its access token, its key up to date.
pub fn normalise_record(record: &mut Object, domain: Domain) {
    spell_identity(record);
    json::set(record, "authTypes", Some(auth_types_value(&[domain])));
}

/// The same without saying which domain it belongs to.
pub(crate) fn spell_identity(record: &mut Object) {
    fill_from_token(record);
    for key in IDENTITY {
        let Some(Value::String(text)) = record.get(key) else { continue };
        let spelt = text.trim();
        let spelt = if key == "accountId" { spelt.to_owned() } else { spelt.to_lowercase() };
        json::set(record, key, (!spelt.is_empty()).then(|| json!(spelt)));
    }
    identity_key::synchronise(record);
}

/// Only `false` disables.
pub fn is_enabled(record: &Object) -> bool {
    record.get("enabled") != Some(&Value::Bool(false))
}

/// The key of a record as stored.
pub fn stored_key(record: &Object) -> Option<&str> {
    json::text(record, "identityKey")
}

/// What a person calls the account at `index` of its list: the address, else the end of the account id, else its
/// number.
pub fn account_label(record: &Object, index: usize) -> String {
    let text = |key: &str| json::text(record, key);
    match (text("email"), text("plan"), text("accountId")) {
        (Some(email), Some(plan), _) => format!("{email} ({plan})"),
        (Some(email), None, _) => email.to_owned(),
        (None, _, Some(id)) => {
            let start = id.char_indices().rev().nth(5).map_or(0, |(start, _)| start);
            format!("id:{}", &id[start..])
        }
        (None, _, None) => format!("Account {}", index + 1),
    }
}

/// When the access token ends, in milliseconds; 0 when nobody knows.
pub(crate) fn expires(record: &Object) -> i64 {
    record.get("expires").and_then(json::integer).unwrap_or(0)
}

/// Whose record it is, as far as it tells. The person stands in the access token alone.
pub(crate) fn owner_of(record: &Object) -> Owner {
    let access = json::text(record, "access").map(AccessToken::new);
    let claims = claims_of(access.as_ref(), None);
    let lower = |key: &str| json::text(record, key).map(str::to_lowercase);
    Owner {
        user: claims.user,
        workspace: workspace_of(record).or(claims.workspace),
        email: lower("email").or(claims.email),
        plan: lower("plan").or(claims.plan),
    }
}

/// The account id, unless it is an organisation of the platform, which an older version took for one.
pub(crate) fn workspace_of(record: &Object) -> Option<WorkspaceId> {
    json::text(record, "accountId").and_then(WorkspaceId::parse).filter(|id| !id.is_platform_organisation())
}

fn fill_from_token(record: &mut Object) {
    let lacks = |record: &Object, key: &str| json::text(record, key).is_none();
    if workspace_of(record).is_some() && !lacks(record, "email") && !lacks(record, "plan") {
        return;
    }
    let Some(found) = json::text(record, "access").map(token_claims::claims_of_token) else { return };
    if let Some(id) = found.account_id.filter(|_| workspace_of(record).is_none()) {
        json::set(record, "accountId", Some(json!(id)));
    }
    for (key, found) in [("email", found.email), ("plan", found.plan)] {
        if let Some(found) = found.filter(|_| lacks(record, key)) {
            json::set(record, key, Some(json!(found)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::jwt;

    #[track_caller]
    fn check(record: &Value, expect: &Value) {
        let mut record = record.as_object().expect("a record").clone();
        normalise_record(&mut record, Domain::Codex);
        record.shift_remove("access");
        assert_eq!(&Value::Object(record), expect);
    }

    #[test]
    fn the_token_fills_gaps_and_unknown_members_stay() {
        let access = jwt(&json!({ "chatgpt_account_id": "W", "email": "T@x.test", "plan": "Team" }));
        check(
            &json!({ "access": access, "email": " Own@x.test ", "note": [1.50] }),
            &json!({
                "email": "own@x.test", "note": [1.50], "accountId": "W", "plan": "team",
                "identityKey": "W|own@x.test|team", "authTypes": ["codex"],
            }),
        );
    }

    #[test]
    fn an_organisation_taken_for_an_account_id_is_mended_defect_25() {
        let access = jwt(&json!({ "chatgpt_account_id": "W", "organizations": [{ "id": "org-9" }] }));
        check(&json!({ "access": access, "accountId": "org-9" }), &json!({ "accountId": "W", "authTypes": ["codex"] }));
        check(
            &json!({ "access": "opaque", "accountId": "org-9" }),
            &json!({ "accountId": "org-9", "authTypes": ["codex"] }),
        );
        assert_eq!(workspace_of(json!({ "accountId": "org-9" }).as_object().expect("a record")), None);
    }
}
