//! The changes a request body may undergo: what another account's backend encrypted is left out, because this account's
//! backend refuses it; and where the user wants that, another model is named in the place of one that nobody has.
//! Everything else passes byte for byte.

use bytes::Bytes;
use http::header;
use serde_json::Value;

use crate::{call::Call, inbound::hinting, permits::model_in};

/// Bodies are capped at 64 MiB as they come; decompressed ones at this, so that a small body cannot fill the memory.
const LARGEST_DECODED: usize = 64 * 1024 * 1024;

/// The call without `encrypted_content` and `previous_response_id`; `None` when there is nothing to leave out or the
/// body is not what we know.
pub(crate) fn without_ciphertext(call: &Call) -> Option<Call> {
    let mut body: Value = serde_json::from_slice(&Coding::of(call)?.open(call)?).ok()?;
    if !strip(&mut body) {
        return None;
    }
    with_body(call, serde_json::to_vec(&body).ok()?)
}

/// The call with this model's name where its own one stands, in its body and in its routing hint; `None` where the body
/// does not clearly name one.
pub(crate) fn with_model(call: &Call, model: &str) -> Option<Call> {
    let mut plain = Coding::of(call)?.open(call)?;
    let (_, place) = model_in(&plain)?;
    let name = serde_json::to_string(model).ok()?;
    plain.splice(place, name.bytes());
    let mut rewritten = with_body(call, plain)?;
    hinting(&mut rewritten.headers, model);
    Some(rewritten)
}

/// The same call with another body, in the same coding.
fn with_body(call: &Call, plain: Vec<u8>) -> Option<Call> {
    let mut rewritten = call.clone_head();
    rewritten.body = match Coding::of(call)? {
        Coding::Plain => Bytes::from(plain),
        Coding::Zstd => Bytes::from(zstd::bulk::compress(&plain, zstd::DEFAULT_COMPRESSION_LEVEL).ok()?),
    };
    Some(rewritten)
}

/// How a body is written; others than these are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Zstd,
}

impl Coding {
    fn of(call: &Call) -> Option<Self> {
        let coding = call.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("unknown"));
        match coding {
            None | Some("identity") => Some(Self::Plain),
            Some("zstd") => Some(Self::Zstd),
            Some(_) => None,
        }
    }

    fn open(self, call: &Call) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(call.body.to_vec()),
            Self::Zstd => decoded(&call.body),
        }
    }
}

pub(crate) fn decoded(body: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(body).ok()?;
    decoder.take(LARGEST_DECODED as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= LARGEST_DECODED).then_some(plain)
}

/// Removes what is bound to an account; says whether anything was.
fn strip(body: &mut Value) -> bool {
    let had_previous = body.as_object_mut().is_some_and(|body| body.shift_remove("previous_response_id").is_some());
    let items = body.get_mut("input").and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default();
    let mut had_ciphertext = false;
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        had_ciphertext |= item.shift_remove("encrypted_content").is_some();
    }
    had_previous || had_ciphertext
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};
    use serde_json::json;

    use super::*;
    use crate::leases::Caller;

    fn call(body: Vec<u8>, encoding: Option<&'static str>) -> Call {
        let headers = encoding.map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name)));
        Call {
            method: Method::POST,
            path: "/codex/responses".into(),
            query: None,
            headers: HeaderMap::from_iter(headers),
            body: body.into(),
            caller: Caller::Client,
            tab: None,
        }
    }

    #[test]
    fn ciphertext_is_left_out_and_the_rest_kept_in_order() {
        let before = br#"{"model":"m","previous_response_id":"r","input":[{"type":"reasoning","encrypted_content":"x","id":"i"}],"n":1.50}"#;
        let after = without_ciphertext(&call(before.to_vec(), None)).expect("something to leave out");
        assert_eq!(&after.body[..], br#"{"model":"m","input":[{"type":"reasoning","id":"i"}],"n":1.50}"#);
    }

    #[test]
    fn a_compressed_body_stays_compressed() {
        let plain = json!({ "input": [{ "encrypted_content": "x" }] }).to_string();
        let packed = zstd::bulk::compress(plain.as_bytes(), 3).expect("compresses");
        let after = without_ciphertext(&call(packed, Some("zstd"))).expect("something to leave out");
        assert_eq!(decoded(&after.body).expect("zstd"), br#"{"input":[{}]}"#);
    }

    #[track_caller]
    fn named(before: &str, model: &str, expect: Option<&str>) {
        let after = with_model(&call(before.into(), None), model).map(|call| call.body);
        assert_eq!(after.as_deref(), expect.map(str::as_bytes));
        let packed = zstd::bulk::compress(before.as_bytes(), 3).expect("compresses");
        let after = with_model(&call(packed, Some("zstd")), model).map(|call| decoded(&call.body).expect("zstd"));
        assert_eq!(after.as_deref(), expect.map(str::as_bytes));
    }

    #[test]
    fn another_model_is_named_and_every_other_byte_stays() {
        let before =
            "{ \"n\":1.50,\"model\" :\t\"gpt-5.5\" ,\"input\":[{\"model\":\"gpt-5.5\"}],\"\\u006e\":\"\u{e4}\"}\n";
        let after =
            "{ \"n\":1.50,\"model\" :\t\"gpt-5.4\" ,\"input\":[{\"model\":\"gpt-5.5\"}],\"\\u006e\":\"\u{e4}\"}\n";
        named(before, "gpt-5.4", Some(after));
        named(r#"{"model":"a"}"#, "b\"\n", Some(r#"{"model":"b\"\n"}"#));
        named(r#"{"mod\u0065l":"\u0061","x":"y"}"#, "longer", Some(r#"{"mod\u0065l":"longer","x":"y"}"#));
        named(r#"{"model":"a","model":"b"}"#, "c", None);
        named(r#"{"input":[{"model":"a"}]}"#, "c", None);
        named("[]", "c", None);
    }

    #[test]
    fn the_routing_hint_names_the_same_model() {
        let mut call = call(br#"{"model":"a"}"#.to_vec(), None);
        call.headers.insert("x-codex-routing-hint", HeaderValue::from_static("v=1; model=a;tier=fast"));
        let after = with_model(&call, "b").expect("a model");
        assert_eq!(after.headers["x-codex-routing-hint"], "v=1; model=b;tier=fast");
        let after = with_model(&call, "b\n").expect("a model");
        assert!(!after.headers.contains_key("x-codex-routing-hint"), "no header can carry it");
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        assert!(without_ciphertext(&call(b"{}".to_vec(), None)).is_none());
        assert!(without_ciphertext(&call(b"not json".to_vec(), None)).is_none());
        assert!(without_ciphertext(&call(b"{}".to_vec(), Some("gzip"))).is_none());
        assert!(with_model(&call(br#"{"model":"a"}"#.to_vec(), Some("gzip")), "b").is_none());
    }
}
