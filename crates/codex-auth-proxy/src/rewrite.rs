//! The one change a request body may undergo: what another account's backend encrypted is left out, because this
//! account's backend refuses it. Everything else passes byte for byte.

use bytes::Bytes;
use http::header;
use serde_json::Value;

use crate::call::Call;

/// Bodies are capped at 64 MiB as they come; decompressed ones at this, so that a small body cannot fill the memory.
const LARGEST_DECODED: usize = 64 * 1024 * 1024;

/// The call without `encrypted_content` and `previous_response_id`; `None` when there is nothing to leave out or the
/// body is not what we know.
pub(crate) fn without_ciphertext(call: &Call) -> Option<Call> {
    let encoding = call.headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("unknown"));
    let plain = match encoding {
        None | Some("identity") => call.body.to_vec(),
        Some("zstd") => decoded(&call.body)?,
        Some(_) => return None,
    };
    let mut body: Value = serde_json::from_slice(&plain).ok()?;
    if !strip(&mut body) {
        return None;
    }
    let plain = serde_json::to_vec(&body).ok()?;
    let mut rewritten = call.clone_head();
    rewritten.body = match encoding {
        Some("zstd") => Bytes::from(zstd::bulk::compress(&plain, zstd::DEFAULT_COMPRESSION_LEVEL).ok()?),
        _ => Bytes::from(plain),
    };
    Some(rewritten)
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

    #[test]
    fn what_is_not_known_is_left_alone() {
        assert!(without_ciphertext(&call(b"{}".to_vec(), None)).is_none());
        assert!(without_ciphertext(&call(b"not json".to_vec(), None)).is_none());
        assert!(without_ciphertext(&call(b"{}".to_vec(), Some("gzip"))).is_none());
    }
}
