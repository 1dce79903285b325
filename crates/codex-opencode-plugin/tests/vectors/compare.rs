//! Owns when two values are the same: absent is null, members of ours may stand on account records, order of members
//! is free.

use serde_json::Value;

use super::{placeholder::Scope, world::NOW};

/// Members we may add to what was recorded.
const OURS: [&str; 3] = ["recordId", "addedAt", "imported"];

/// What may stand beside what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extras {
    /// Members of ours.
    Ours,
    /// Nothing.
    None,
}

/// Compares what came out with what had to; the error says where they differ.
pub(crate) fn compare(expect: &Value, found: &Value, extras: Extras, scope: &mut Scope) -> Result<(), String> {
    at("", expect, found, extras, scope)
}

fn at(path: &str, expect: &Value, found: &Value, extras: Extras, scope: &mut Scope) -> Result<(), String> {
    let differ = || Err(format!("at `{path}`: expected {expect}, found {found}"));
    match (expect, found) {
        (Value::Object(wanted), Value::Object(members)) => {
            for (key, value) in wanted {
                let member = members.get(key).unwrap_or(&Value::Null);
                // A name may hold a placeholder too.
                let named = members.iter().find(|(name, _)| !wanted.contains_key(*name) && scope.matches(key, name));
                let member = if members.contains_key(key) { member } else { named.map_or(member, |(_, value)| value) };
                at(&format!("{path}/{key}"), value, member, extras, scope)?;
            }
            for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                let is_known = wanted.keys().any(|name| name == key || scope.matches(name, key));
                let is_ours = extras == Extras::Ours && OURS.contains(&key.as_str());
                if !is_known && !is_ours {
                    return Err(format!("at `{path}/{key}`: {value} was not expected"));
                }
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => {
            let mut pairs = wanted.iter().zip(items).enumerate();
            pairs.try_for_each(|(index, (one, other))| at(&format!("{path}/{index}"), one, other, extras, scope))
        }
        (Value::String(wanted), Value::String(text)) => {
            if scope.matches(wanted, text) {
                Ok(())
            } else {
                differ()
            }
        }
        (Value::String(wanted), Value::Number(at)) if wanted.starts_with("+~") => {
            let seconds = wanted.trim_start_matches("+~").trim_end_matches('s').parse::<i64>().ok();
            let lies =
                |seconds: i64| at.as_i64().is_some_and(|at| (at - NOW.as_millis() - seconds * 1000).abs() <= 1000);
            if seconds.is_some_and(lies) { Ok(()) } else { differ() }
        }
        (Value::String(wanted), other) if wanted.starts_with('<') => {
            let text = if other.is_null() { String::new() } else { other.to_string() };
            if scope.matches(wanted, &text) { Ok(()) } else { differ() }
        }
        (Value::Number(one), Value::Number(other)) => {
            if one == other || one.as_f64() == other.as_f64() {
                Ok(())
            } else {
                differ()
            }
        }
        (one, other) => {
            if one == other {
                Ok(())
            } else {
                differ()
            }
        }
    }
}
