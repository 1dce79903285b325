//! Which model a body asks for and where its name stands, without taking the body apart: an answer only where there is no
//! doubt.

use std::{borrow::Cow, fmt, ops::Range};

use http::{HeaderMap, header};
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rewrite::decoded;

/// The one model named at the top of a body. `None` when the body is no JSON object, comes in a coding we do not read,
/// names no model, or names two: whoever is limited to models has to say which one.
pub(crate) fn asked_model(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let plain = match (codings.next().map(|coding| coding.to_str().unwrap_or("unknown")), codings.next()) {
        (None | Some("identity"), None) => Cow::Borrowed(body),
        (Some("zstd"), None) => Cow::Owned(decoded(body)?),
        (Some(_), _) | (None, Some(_)) => return None,
    };
    model_in(&plain).map(|(model, _)| model)
}

/// The one model named at the top of a plain body, and the bytes where it stands, with their quotation marks.
pub(crate) fn model_in(plain: &[u8]) -> Option<(String, Range<usize>)> {
    let mut reader = serde_json::Deserializer::from_slice(plain);
    let told = reader.deserialize_map(Top).ok()??.get();
    reader.end().ok()?;
    // What was read is a part of what there is, so its place is the distance between the two.
    let start = told.as_ptr().addr().checked_sub(plain.as_ptr().addr())?;
    let place = start..start.checked_add(told.len())?;
    (plain.get(place.clone())? == told.as_bytes()).then_some(())?;
    Some((serde_json::from_str(told).ok()?, place))
}

/// The top of a body.
struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut model = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "model" {
                if model.is_some() {
                    return Err(A::Error::custom("two models"));
                }
                model = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(model)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(codings: &[&'static str]) -> HeaderMap {
        codings.iter().map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding))).collect()
    }

    #[track_caller]
    fn check(codings: &[&'static str], body: &[u8], expect: Option<&str>) {
        assert_eq!(asked_model(&headers(codings), body).as_deref(), expect);
    }

    #[test]
    fn the_model_is_found_in_any_coding_of_the_client() {
        let body = br#"{"input":[{"model":"inner"}],"model":"gpt-5.5","n":1.50}"#;
        check(&[], body, Some("gpt-5.5"));
        check(&["identity"], body, Some("gpt-5.5"));
        check(&["zstd"], &zstd::bulk::compress(body, 3).expect("compresses"), Some("gpt-5.5"));
        check(&[], br#"{"mod\u0065l":"gpt-5.5"}"#, Some("gpt-5.5"));
        check(&[], br#"{"model" : "gpt\u002d5.5" }"#, Some("gpt-5.5"));
    }

    #[test]
    fn doubt_is_no_model() {
        check(&[], b"", None);
        check(&[], b"{}", None);
        check(&[], br#"{"model":7}"#, None);
        check(&[], br#"["model"]"#, None);
        check(&[], br#"{"model":"a","model":"b"}"#, None);
        check(&[], br#"{"model":"a","mod\u0065l":"b"}"#, None);
        check(&[], br#"{"model":"a"}{"model":"b"}"#, None);
        check(&["gzip"], br#"{"model":"a"}"#, None);
        check(&["identity", "zstd"], br#"{"model":"a"}"#, None);
        check(&["zstd"], br#"{"model":"a"}"#, None);
    }
}
