//! Owns how a request is read: bounded, decompressed, and taken apart once for everybody who looks at it.

use std::collections::BTreeMap;
use std::io::Read as _;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use crate::log::TurnNote;
use crate::route::Route;

/// Largest body on the wire, and largest body after decompression.
const BODY_LIMIT: usize = 64 << 20;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Ask {
    pub method: Method,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub route: Route,
    pub connection: u64,
    /// At `POST …/responses`: the body as JSON, or why it is not.
    pub turn: Option<Result<Value, BadBody>>,
}

/// Why a body cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    TooLarge,
    NotZstd,
    NotJson,
    UnknownEncoding,
}

impl Ask {
    /// Reads a request; `None` if the client went away in the middle or sent more than is read.
    pub(crate) async fn read(request: Request<Incoming>, connection: u64) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await.ok()?.to_bytes();
        let path = parts.uri.path().to_owned();
        let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = query.into_owned().collect();
        let route = Route::of(&parts.method, &path);
        let turn = (route == Route::Responses).then(|| decode(&parts.headers, &body));
        Some(Self { method: parts.method, path, query, headers: parts.headers, body, route, connection, turn })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of `Authorization: Bearer`.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let value = self.header(header::AUTHORIZATION.as_str())?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, an empty one as `{}`.
    pub(crate) fn json(&self) -> Option<Value> {
        if self.body.is_empty() {
            return Some(Value::Object(serde_json::Map::new()));
        }
        serde_json::from_slice(&self.body).ok()
    }

    /// The fields of a form or of a flat JSON object.
    pub(crate) fn fields(&self) -> BTreeMap<String, String> {
        let is_json = self.header("content-type").is_some_and(|value| value.contains("json"));
        if !is_json {
            return url::form_urlencoded::parse(&self.body).into_owned().collect();
        }
        let Some(Value::Object(object)) = self.json() else { return BTreeMap::new() };
        let texts = object.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())));
        texts.collect()
    }

    /// What the log says about a turn.
    pub(crate) fn turn_note(&self) -> Option<TurnNote> {
        let turn = self.turn.as_ref()?.as_ref().ok()?;
        let input = turn["input"].as_array().map_or(&[][..], Vec::as_slice);
        Some(TurnNote {
            model: turn["model"].as_str().map(str::to_owned),
            stream: turn["stream"].as_bool().unwrap_or(false),
            prompt_cache_key: turn["prompt_cache_key"].as_str().map(crate::log::shown),
            input_items: input.len(),
            prompt_chars: text_chars(&turn["input"]),
            encrypted_items: input.iter().filter(|item| item["encrypted_content"].is_string()).count(),
            keys: turn.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default(),
        })
    }
}

fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Value, BadBody> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(header::HeaderValue::as_bytes);
    let plain = match encoding {
        None | Some(b"identity" | b"") => None,
        Some(b"zstd") => Some(unzstd(body)?),
        Some(_) => return Err(BadBody::UnknownEncoding),
    };
    serde_json::from_slice(plain.as_deref().unwrap_or(body)).map_err(|_| BadBody::NotJson)
}

fn unzstd(body: &[u8]) -> Result<Vec<u8>, BadBody> {
    let decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|_| BadBody::NotZstd)?;
    let mut plain = Vec::new();
    let read = decoder.take(BODY_LIMIT as u64 + 1).read_to_end(&mut plain).map_err(|_| BadBody::NotZstd)?;
    if read > BODY_LIMIT { Err(BadBody::TooLarge) } else { Ok(plain) }
}

/// Characters in every `text` and every text-only `input` or `content`.
fn text_chars(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(text_chars).sum(),
        Value::Object(item) => {
            ["text", "content", "output"].iter().filter_map(|key| item.get(*key)).map(text_chars).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
