//! Performs the groups of file 01: what tokens say, and what names an account in the file.

use codex_auth_store::opencode::{
    auth_types, fingerprint,
    identity_key::{key_of, synchronise},
    record::{account_label, stored_key},
    token_claims,
};
use serde_json::{Map, Value, json};

use super::case::{Case, Found, Outcome, field, object, text};

/// What the product makes of a case; `None` for a group it does not know.
pub(crate) fn perform(group: &str, case: &Case) -> Option<Found> {
    let input = &case.input;
    let found = match group {
        "jwt_claims" => text(input, "jwt").map(claims),
        "jwt_shape" => whole_text(input).map(|token| json!(token_claims::payload_of_token(token))),
        "account_id_from_tokens" => {
            let token = |key: &str| input.get(key).and_then(Value::as_str);
            Ok(json!(token_claims::claims_of_answer(token("id_token"), token("access_token")).account_id))
        }
        "build_identity_key" => whole(input).map(|record| json!(key_of(record))),
        "legacy_fingerprint" => whole(input).map(|record| json!(fingerprint::legacy_fingerprint(record))),
        "fallback_identity_key" => fallback(input),
        "synchronize_identity_key" => whole(input).map(|record| {
            let mut record = record.clone();
            synchronise(&mut record);
            json!(stored_key(&record))
        }),
        "auth_types" => Ok(auth_types(Some(input)).into_iter().map(|domain| json!(domain.name())).collect()),
        "account_label" => {
            object(input, "account").and_then(|account| Ok(json!(account_label(account, count(input, "index")?))))
        }
        _ => return None,
    };
    Some(found.map(Outcome::Output))
}

/// An input that is one text.
pub(crate) fn whole_text(input: &Value) -> Result<&str, String> {
    input.as_str().ok_or_else(|| "the input is no text".to_owned())
}

fn whole(input: &Value) -> Result<&Map<String, Value>, String> {
    input.as_object().ok_or_else(|| "the input is no object".to_owned())
}

fn count(input: &Value, key: &str) -> Result<usize, String> {
    let number = field(input, key)?.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("field `{key}` is no count"))
}

fn claims(jwt: &str) -> Value {
    let claims = token_claims::claims_of_token(jwt);
    let mut record = Map::new();
    for (key, said) in [("accountId", &claims.account_id), ("email", &claims.email), ("plan", &claims.plan)] {
        record.insert(key.to_owned(), json!(said));
    }
    let key = key_of(&record);
    record.insert("identityKey".to_owned(), json!(key));
    Value::Object(record)
}

fn fallback(input: &Value) -> Result<Value, String> {
    Ok(json!(fingerprint::fallback_key(object(input, "account")?, count(input, "occurrence")?)))
}
