//! What an answer says of itself at its end: its tokens, its name, its model. Of a very long one only the beginning and
//! the end are at hand; the usage stands in the end, the name in the beginning.

use codex_auth_core::TokenUse;
use serde_json::{Deserializer, Value};

/// Longest name or code that is written down.
const LONGEST: usize = 128;
/// Longest code; the longest known one has 40 letters.
const LONGEST_CODE: usize = 64;

/// The key before the tokens.
const USAGE: &[u8] = b"\"usage\":";

/// What was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) tokens: Option<TokenUse>,
    pub(super) response: Option<String>,
    pub(super) model: Option<String>,
    pub(super) code: Option<String>,
}

/// Reads a terminal event, or a whole answer that was no stream.
pub(super) fn told(data: &[u8]) -> Told {
    match serde_json::from_slice::<Value>(data) {
        Ok(whole) => of_whole(&whole),
        Err(_the_middle_is_missing) => of_pieces(data),
    }
}

fn of_whole(whole: &Value) -> Told {
    let response = whole.get("response").filter(|response| response.is_object()).unwrap_or(whole);
    let text = |pointer: &str| response.pointer(pointer).and_then(Value::as_str).and_then(word);
    let code = |pointer: &str| response.pointer(pointer).and_then(Value::as_str).and_then(code_word);
    Told {
        tokens: response.get("usage").and_then(tokens),
        response: text("/id"),
        model: text("/model"),
        code: code("/error/code").or_else(|| code("/incomplete_details/reason")).or_else(|| code("/code")),
    }
}

/// The tokens alone, for whoever cannot wait until everything is read.
pub(crate) fn tokens_in(data: &[u8]) -> Option<TokenUse> {
    let at = memchr::memmem::rfind(data, USAGE)? + USAGE.len();
    tokens(&value_at(&data[at..])?)
}

/// The code of an event that says that something failed.
pub(crate) fn code_in(data: &[u8]) -> Option<String> {
    told(data).code
}

/// Inside a text every quotation mark is escaped, so what looks like a key is one.
fn of_pieces(data: &[u8]) -> Told {
    let usage = places(data, USAGE).filter_map(|at| tokens(&value_at(&data[at..])?)).last();
    let start = places(data, b"\"response\":").next().unwrap_or_default();
    let after = |key: &[u8]| {
        let at = places(&data[start..], key).next()?;
        value_at(&data[start + at..])?.as_str().and_then(word)
    };
    Told { tokens: usage, response: after(b"\"id\":"), model: after(b"\"model\":"), code: None }
}

/// Where the value after each of these keys begins.
fn places<'d>(data: &'d [u8], key: &'d [u8]) -> impl Iterator<Item = usize> + 'd {
    data.windows(key.len()).enumerate().filter(move |(_, window)| *window == key).map(|(at, _)| at + key.len())
}

fn value_at(data: &[u8]) -> Option<Value> {
    Deserializer::from_slice(data).into_iter().next()?.ok()
}

fn tokens(usage: &Value) -> Option<TokenUse> {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Some(TokenUse {
        input: count("/input_tokens")?,
        cached_input: count("/input_tokens_details/cached_tokens").unwrap_or_default(),
        output: count("/output_tokens")?,
        reasoning: count("/output_tokens_details/reasoning_tokens").unwrap_or_default(),
    })
}

/// An error code as every known one is spelt. Whoever answers may repeat a token where a code belongs, so a text that
/// could be one is left out.
pub(super) fn code_word(text: &str) -> Option<String> {
    let is_spelt_so =
        text.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (!text.is_empty() && text.len() <= LONGEST_CODE && is_spelt_so && digits <= 4).then(|| text.to_owned())
}

/// A name, never prose.
fn word(text: &str) -> Option<String> {
    let text = text.trim();
    let is_word = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.:/".contains(&letter);
    (!text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_word)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TELLS: &str = r#""usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":200,"output_tokens_details":{"reasoning_tokens":50},"total_tokens":1200}"#;
    const TOOK: TokenUse = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 50 };

    fn expect() -> Told {
        Told { tokens: Some(TOOK), response: Some("resp_1".into()), model: Some("gpt-5.5".into()), code: None }
    }

    #[test]
    fn a_terminal_event_and_a_document_tell_the_same() {
        let response = format!(r#"{{"id":"resp_1","model":"gpt-5.5","output":[],{TELLS}}}"#);
        assert_eq!(told(format!(r#"{{"type":"response.completed","response":{response}}}"#).as_bytes()), expect());
        assert_eq!(told(response.as_bytes()), expect());
        assert_eq!(tokens_in(response.as_bytes()), Some(TOOK));
    }

    #[test]
    fn a_long_one_is_read_from_its_beginning_and_its_end() {
        let decoy = r#"{\"usage\":{\"input_tokens\":7,\"output_tokens\":7}}"#;
        let cut = format!(
            r#"{{"type":"response.completed","response":{{"id":"resp_1","model":"gpt-5.5","output":["ab{decoy} and on"],{TELLS}}}}}"#
        )
        .replace("\"ab", "\"a");
        // The middle is missing: what is left is no JSON any more.
        let cut = cut.replacen("[\"a", "[\"a\" broken ", 1);
        assert!(serde_json::from_str::<Value>(&cut).is_err());
        assert_eq!(told(cut.as_bytes()), expect());
        assert_eq!(told(b"{\"response\":{\"usage\":{\"input"), Told::default());
    }

    #[test]
    fn an_answer_without_usage_tells_none() {
        let failed = br#"{"type":"response.failed","response":{"id":"resp_1","error":{"code":"server_error","message":"Sorry."}}}"#;
        let expect = Told { response: Some("resp_1".into()), code: Some("server_error".into()), ..Told::default() };
        assert_eq!(told(failed), expect);
        assert_eq!(told(br#"{"response":{"usage":null,"error":{"code":"a whole sentence"}}}"#), Told::default());
    }
}
