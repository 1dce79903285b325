//! Owns reading and writing JSON values whose unknown parts must survive: order and number text are kept.

use camino::Utf8Path;
use codex_auth_core::{StoreError, Timestamp};
use serde_json::{Map, Value};

/// A JSON object with its keys in the order of the file.
pub(crate) type Object = Map<String, Value>;

/// From here on doubles skip whole numbers.
const LARGEST_COUNT: u64 = 1 << 53;
/// Digits of a version worth repeating.
const LONGEST_VERSION: usize = 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses the content of `path`; a byte order mark is accepted. `remedy` says what to do about a broken file.
pub(crate) fn parse_object(path: &Utf8Path, bytes: &[u8], remedy: &str) -> Result<Object, StoreError> {
    let unusable = |why: String| StoreError::Unreadable { path: path.to_string(), why: format!("{why}; {remedy}") };
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(unusable("it is empty".into()));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(unusable("it is JSON but not an object".into())),
        Err(error) => Err(unusable(broken(&error))),
    }
}

/// Where JSON breaks off. Serde's own words are left out: they may quote the file.
pub(crate) fn broken(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends in the middle" } else { "it is not JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// The text of a document: two spaces deep, as both predecessors write it.
pub(crate) fn pretty(object: &Object) -> Vec<u8> {
    serde_json::to_vec_pretty(object).expect("a JSON value with text keys always serializes")
}

/// The trimmed text of a key; `None` when it is missing, blank or no text.
pub(crate) fn text<'v>(object: &'v Object, key: &str) -> Option<&'v str> {
    object.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// A whole number, also from a float's text.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "truncating is the predecessor's rule for positions and times")]
    let truncated = || value.as_f64().filter(|number| number.is_finite()).map(|number| number as i64);
    value.as_i64().or_else(truncated)
}

/// A count under a key; one that other programs could not tell from its neighbours is none.
pub(crate) fn count(object: &Object, key: &str) -> Option<u64> {
    let whole = object.get(key).and_then(integer)?;
    u64::try_from(whole).ok().filter(|count| *count < LARGEST_COUNT)
}

/// The version of a document; a fraction is none.
pub(crate) fn version(object: &Object) -> Option<i64> {
    let version = object.get("version")?;
    integer(version).filter(|whole| version.as_f64().is_some_and(|exact| exact.fract() == 0.0) && *whole >= 0)
}

/// What an unknown version is called in an error. Only a number is repeated: anything else may hold a secret.
pub(crate) fn version_named(object: &Object) -> String {
    let of_kind = |kind: &str| format!("that is {kind}");
    match object.get("version") {
        None => "none".to_owned(),
        Some(Value::Number(number)) if number.to_string().len() <= LONGEST_VERSION => number.to_string(),
        Some(Value::Number(_)) => of_kind("a long number"),
        Some(Value::Null | Value::Bool(_)) => of_kind("no number"),
        Some(Value::String(_)) => of_kind("a text"),
        Some(Value::Array(_)) => of_kind("a list"),
        Some(Value::Object(_)) => of_kind("an object"),
    }
}

/// A finite number.
pub(crate) fn number(object: &Object, key: &str) -> Option<f64> {
    object.get(key)?.as_f64().filter(|number| number.is_finite())
}

/// A truth value.
pub(crate) fn flag(object: &Object, key: &str) -> Option<bool> {
    object.get(key)?.as_bool()
}

/// The object under a key.
pub(crate) fn object<'v>(object: &'v Object, key: &str) -> Option<&'v Object> {
    object.get(key)?.as_object()
}

/// The texts of a list; what is no text is passed over.
pub(crate) fn texts(object: &Object, key: &str) -> Vec<String> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A number as both predecessors would write it: whole ones without a fraction.
pub(crate) fn real(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within what a double counts exactly")]
    let whole = (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    whole.map_or_else(|| Value::from(number), Value::from)
}

/// Sets a key to a number that may have a fraction; one that says the same is left as it is written.
pub(crate) fn set_real(object: &mut Object, key: &str, number: f64) {
    if self::number(object, key) != Some(number) {
        object.insert(key.to_owned(), real(number));
    }
}

/// An instant in milliseconds under a key.
pub(crate) fn millis(object: &Object, key: &str) -> Option<Timestamp> {
    object.get(key).and_then(integer).map(Timestamp::from_millis)
}

/// Sets a key to a value, or removes it; says nothing when it already is so, whatever its number text.
pub(crate) fn set(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        None => drop(object.shift_remove(key)),
        Some(value) if object.get(key).is_some_and(|old| same(old, &value)) => {}
        Some(value) => drop(object.insert(key.to_owned(), value)),
    }
}

fn same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(_), Value::Number(_)) => integer(old) == integer(new),
        _ => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expect: &str) {
        let why = match parse_object(Utf8Path::new("f"), text, "mend it") {
            Ok(object) => String::from_utf8(pretty(&object)).expect("JSON is text"),
            Err(error) => error.to_string(),
        };
        assert_eq!(why, expect);
    }

    #[test]
    fn says_where_a_file_breaks_off_and_never_quotes_it() {
        check(b"", "f cannot be used: it is empty; mend it");
        check(b"{\"refreshToken\":\"SECRET", "f cannot be used: it ends in the middle (line 1, column 23); mend it");
        check(b"SECRET", "f cannot be used: it is not JSON (line 1, column 1); mend it");
        check(b"[]", "f cannot be used: it is JSON but not an object; mend it");
    }

    #[test]
    fn a_byte_order_mark_is_accepted() {
        check(b"\xef\xbb\xbf{}", "{}");
    }

    #[test]
    fn a_count_can_always_be_told_from_the_next() {
        let in_n = |text: &str| count(&serde_json::from_str(text).expect("an object"), "n");
        assert_eq!(in_n("{\"n\":7}"), Some(7));
        assert_eq!(in_n("{\"n\":9007199254740991}"), Some((1 << 53) - 1));
        assert_eq!(in_n("{\"n\":9223372036854775807}"), None);
        assert_eq!(in_n("{\"n\":-1}"), None);
    }

    #[track_caller]
    fn check_version(text: &str, expect: Option<i64>, named: &str) {
        let document: Object = serde_json::from_str(text).expect("an object");
        assert_eq!((version(&document), version_named(&document).as_str()), (expect, named));
    }

    #[test]
    fn a_version_is_a_whole_number_and_nothing_else_is_repeated() {
        check_version("{}", None, "none");
        check_version("{\"version\":3}", Some(3), "3");
        check_version("{\"version\":3.0}", Some(3), "3.0");
        check_version("{\"version\":3.9}", None, "3.9");
        check_version("{\"version\":\"SECRET\"}", None, "that is a text");
        check_version("{\"version\":[\"SECRET\"]}", None, "that is a list");
        check_version("{\"version\":{\"refreshToken\":\"SECRET\"}}", None, "that is an object");
        check_version("{\"version\":null}", None, "that is no number");
        check_version(&format!("{{\"version\":{}}}", "9".repeat(21)), Some(i64::MAX), "that is a long number");
    }

    #[test]
    fn number_text_survives() {
        check(b"{\"b\":1.50,\"a\":12345678901234567890123}", "{\n  \"b\": 1.50,\n  \"a\": 12345678901234567890123\n}");
    }
}
