//! Owns the shape of an answer before it is delivered.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

/// An answer as the fake would give it without any fault.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub content: Content,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A body of known length.
    Whole(Bytes),
    /// A stream of events, each with a pause after it.
    Events { events: Vec<Bytes>, gap_ms: u64 },
}

impl Reply {
    pub(crate) fn json(status: StatusCode, value: &Value) -> Self {
        Self::whole(status, "application/json", value.to_string())
    }

    pub(crate) fn whole(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, content: Content::Whole(body.into()) }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), content: Content::Whole(Bytes::new()) }
    }

    /// A stream of server-sent events.
    pub(crate) fn events(events: &[Value], gap_ms: u64) -> Self {
        let headers = vec![
            ("content-type".to_owned(), "text/event-stream".to_owned()),
            ("cache-control".to_owned(), "no-cache".to_owned()),
        ];
        let events = events.iter().map(sse).collect();
        Self { status: StatusCode::OK, headers, content: Content::Events { events, gap_ms } }
    }

    pub(crate) fn not_found() -> Self {
        Self::json(StatusCode::NOT_FOUND, &serde_json::json!({ "detail": "Not Found" }))
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn with_all(mut self, headers: Vec<(&'static str, String)>) -> Self {
        self.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self
    }
}

/// One event on the wire; clients go by the `type` in the data.
pub(crate) fn sse(event: &Value) -> Bytes {
    let name = event["type"].as_str().unwrap_or("message");
    Bytes::from(format!("event: {name}\ndata: {event}\n\n"))
}
