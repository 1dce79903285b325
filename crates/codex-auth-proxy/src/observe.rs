//! What an answer says while it passes: its first event, its terminal one, and the quotas told in between.
//!
//! Bytes are looked at where they lie and are never held back here. Only an event that means something is copied, and
//! of a very long one the middle is left out.

use std::fmt;

use http::{HeaderMap, header};
use serde_json::Value;

mod sse;

use sse::Scanner;

/// What is copied of one event. Of a longer one, its beginning and its end: the error stands in the one, the usage in
/// the other.
pub(crate) const LARGEST_EVENT: usize = 32 * 1024;
const BEGINNING: usize = 8 * 1024;

/// The kinds of events that mean something to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// `response.completed`.
    Completed,
    /// `response.incomplete`.
    Incomplete,
    /// `response.failed`.
    Failed,
    /// A bare `error`. The official client passes over it, so what follows it counts more.
    Error,
    /// `codex.rate_limits`.
    Limits,
    /// Anything else.
    Other,
}

/// An event that was copied.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind.
    pub(crate) kind: EventKind,
    /// Its data; without the middle where it was longer than [`LARGEST_EVENT`].
    pub(crate) data: Vec<u8>,
}

/// What was seen of an answer so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The first event that is no telling of quotas.
    pub(crate) first: Option<EventKind>,
    /// The event that ends the answer.
    pub(crate) terminal: Option<Event>,
    /// The last telling of quotas.
    pub(crate) limits: Option<Event>,
}

/// Looks at one answer on its way.
#[derive(Debug)]
pub(crate) struct Observer {
    scanner: Option<Scanner>,
    is_stream: bool,
    seen: Observed,
}

impl EventKind {
    fn of(name: &[u8]) -> Self {
        match name {
            b"response.completed" => Self::Completed,
            b"response.incomplete" => Self::Incomplete,
            b"response.failed" => Self::Failed,
            b"error" => Self::Error,
            b"codex.rate_limits" => Self::Limits,
            _ => Self::Other,
        }
    }
}

/// Never the data: they are the client's.
impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event").field("kind", &self.kind).field("bytes", &self.data.len()).finish()
    }
}

impl Event {
    /// Its data as JSON, where they were short enough to be kept whole.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.data).ok()
    }
}

impl Observed {
    /// Whether nothing that follows can change what the answer came to.
    pub(crate) fn is_over(&self) -> bool {
        self.terminal.as_ref().is_some_and(|event| event.kind != EventKind::Error)
    }

    fn note(&mut self, event: Event) {
        match event.kind {
            EventKind::Completed | EventKind::Incomplete | EventKind::Failed | EventKind::Error => {
                self.first.get_or_insert(event.kind);
                if !self.is_over() {
                    self.terminal = Some(event);
                }
            }
            EventKind::Limits => self.limits = Some(event),
            EventKind::Other => drop(self.first.get_or_insert(event.kind)),
        }
    }
}

impl Observer {
    /// Looks at an answer with this head, if it is a stream of events that we can read.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is =
            |name, test: fn(&str) -> bool| headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(test);
        let is_stream = is(header::CONTENT_TYPE, |kind| {
            kind.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"))
        });
        let is_packed = is(header::CONTENT_ENCODING, |coding| !coding.trim().eq_ignore_ascii_case("identity"));
        let is_stream = is_stream && !is_packed;
        Self { scanner: is_stream.then(Scanner::default), is_stream, seen: Observed::default() }
    }

    /// Looks at nothing.
    pub(crate) fn blind() -> Self {
        Self { scanner: None, is_stream: false, seen: Observed::default() }
    }

    /// Whether it can read the answer, and has not seen its end yet.
    pub(crate) fn is_looking(&self) -> bool {
        self.scanner.is_some()
    }

    /// Looks at the next bytes.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            scanner.see(bytes, &mut self.seen);
            if self.seen.is_over() {
                self.scanner = None;
            }
        }
    }

    /// The answer has ended; an event that its end cut short of its blank line counts.
    pub(crate) fn end(&mut self) {
        if let Some(mut scanner) = self.scanner.take() {
            scanner.end(&mut self.seen);
        }
    }

    /// Whether this is a stream of events that we can read.
    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// The event that ended the answer, once.
    pub(crate) fn take_terminal(&mut self) -> Option<Event> {
        self.seen.terminal.take()
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> &Observed {
        &self.seen
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(kind: &'static str, coding: Option<&'static str>, expect: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        coding.map(|coding| headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
        let mut observer = Observer::of(&headers);
        observer.see(b"data: {\"type\":\"response.failed\"}\n\n");
        assert_eq!(observer.seen().is_over(), expect, "{kind} {coding:?}");
    }

    #[test]
    fn only_streams_that_can_be_read_are_looked_at() {
        check("text/event-stream", None, true);
        check("Text/Event-Stream; charset=utf-8", Some("identity"), true);
        check("text/event-stream", Some("gzip"), false);
        check("application/json", None, false);
    }
}
