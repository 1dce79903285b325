//! The scanner: finds lines, looks at the beginning of each, and copies only the data of events that mean something.
//!
//! The kind of an event is the `type` of its JSON, as the official client reads it; the `event:` line speaks only
//! where the JSON cannot be read.

use std::{borrow::Cow, fmt};

use memchr::memchr;
use serde::Deserialize;

use super::{BEGINNING, Event, EventKind, LARGEST_EVENT, Observed};

/// How much of a line is looked at to tell what it is.
const LOOKED_AT: usize = 128;

/// Where the scanner stands in a stream.
#[derive(Default)]
pub(super) struct Scanner {
    line: Line,
    /// The beginning of a line that its chunk cut.
    begun: Vec<u8>,
    /// What the `event:` line of this event says.
    named: Option<EventKind>,
    /// The event being copied.
    copy: Option<Kept>,
}

/// Where in a line.
#[derive(Default, Clone, Copy)]
enum Line {
    /// In the part that tells what it is.
    #[default]
    Beginning,
    /// In a rest that means nothing.
    Passed,
    /// In the data of the event being copied.
    Copied,
}

/// The copy of one event's data.
struct Kept {
    /// Its kind, where the beginning told.
    kind: Option<EventKind>,
    data: Vec<u8>,
}

/// What passes is nobody else's business.
impl fmt::Debug for Scanner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Scanner")
    }
}

impl Scanner {
    pub(super) fn see(&mut self, mut bytes: &[u8], seen: &mut Observed) {
        while !bytes.is_empty() {
            bytes = match self.line {
                Line::Beginning => self.begin(bytes, seen),
                Line::Passed => match memchr(b'\n', bytes) {
                    Some(end) => {
                        self.line = Line::Beginning;
                        &bytes[end + 1..]
                    }
                    None => return,
                },
                Line::Copied => {
                    let end = memchr(b'\n', bytes);
                    if let Some(copy) = &mut self.copy {
                        copy.add(&bytes[..end.unwrap_or(bytes.len())]);
                    }
                    let Some(end) = end else { return };
                    self.line = Line::Beginning;
                    &bytes[end + 1..]
                }
            };
        }
    }

    pub(super) fn end(&mut self, seen: &mut Observed) {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.look(&begun, true, seen);
        }
        self.close(seen);
    }

    /// Looks at the beginning of a line and returns what follows it.
    fn begin<'a>(&mut self, bytes: &'a [u8], seen: &mut Observed) -> &'a [u8] {
        let room = &bytes[..bytes.len().min(LOOKED_AT - self.begun.len())];
        let end = memchr(b'\n', room);
        let part = &room[..end.unwrap_or(room.len())];
        if end.is_none() && self.begun.len() + part.len() < LOOKED_AT {
            self.begun.extend_from_slice(part);
            return &[];
        }
        if self.begun.is_empty() {
            self.look(part, end.is_some(), seen);
        } else {
            let mut begun = std::mem::take(&mut self.begun);
            begun.extend_from_slice(part);
            self.look(&begun, end.is_some(), seen);
            begun.clear();
            self.begun = begun;
        }
        &bytes[end.map_or(room.len(), |end| end + 1)..]
    }

    /// Tells what a line is by its beginning; `whole`: there is no more of it.
    fn look(&mut self, line: &[u8], whole: bool, seen: &mut Observed) {
        self.line = if whole { Line::Beginning } else { Line::Passed };
        let line = if whole { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        if line.is_empty() {
            self.close(seen);
        } else if let Some(name) = field(line, b"event") {
            self.named = Some(if whole { EventKind::of(name) } else { EventKind::Other });
        } else if let Some(data) = field(line, b"data") {
            self.data(data, whole, seen);
        }
    }

    fn data(&mut self, data: &[u8], whole: bool, seen: &mut Observed) {
        match &mut self.copy {
            Some(copy) => copy.add(b"\n"),
            None if data.first() != Some(&b'{') => {
                seen.first.get_or_insert(EventKind::Other);
                return;
            }
            None => match kind_of(data) {
                Some(EventKind::Other) => {
                    seen.first.get_or_insert(EventKind::Other);
                    return;
                }
                kind => self.copy = Some(Kept { kind, data: Vec::new() }),
            },
        }
        if let Some(copy) = &mut self.copy {
            copy.add(data);
        }
        if !whole {
            self.line = Line::Copied;
        }
    }

    /// An event is over.
    fn close(&mut self, seen: &mut Observed) {
        let named = self.named.take();
        let Some(mut copy) = self.copy.take() else { return };
        copy.cut();
        let Kept { kind, data } = copy;
        let kind = kind.or_else(|| kind_in(&data)).or(named).unwrap_or(EventKind::Other);
        seen.note(Event { kind, data });
    }
}

impl Kept {
    const END: usize = LARGEST_EVENT - BEGINNING;

    /// Adds what follows. What no longer fits goes from the middle, so rarely that each byte is moved once.
    fn add(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(Self::END) {
            self.data.extend_from_slice(part);
            if self.data.len() >= LARGEST_EVENT + Self::END {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.data.len() > LARGEST_EVENT {
            self.data.drain(BEGINNING..self.data.len() - Self::END);
        }
    }
}

/// The value of a field, if the line has this name.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// The `type` of an object, where it stands before anything nested.
fn kind_of(object: &[u8]) -> Option<EventKind> {
    let mut rest = object.strip_prefix(b"{")?.trim_ascii_start();
    loop {
        let (key, after) = plain_text(rest)?;
        let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        if key == b"type" {
            return plain_text(value).map(|(kind, _)| EventKind::of(kind));
        }
        let after = match plain_text(value) {
            Some((_, after)) => after,
            None => number(value)?,
        };
        rest = after.trim_ascii_start().strip_prefix(b",")?.trim_ascii_start();
    }
}

/// A JSON text without escapes, and what follows it.
fn plain_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.strip_prefix(b"\"")?;
    let end = memchr(b'"', inner)?;
    let text = &inner[..end];
    memchr(b'\\', text).is_none().then_some((text, &inner[end + 1..]))
}

/// What follows a number.
fn number(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))?;
    (end > 0).then(|| &bytes[end..])
}

/// The `type` of an object, wherever it stands.
fn kind_in(data: &[u8]) -> Option<EventKind> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    serde_json::from_slice::<Typed<'_>>(data).ok().map(|typed| EventKind::of(typed.kind.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen_in(stream: &[u8], piece: usize) -> Observed {
        let (mut scanner, mut seen) = (Scanner::default(), Observed::default());
        for bytes in stream.chunks(piece) {
            scanner.see(bytes, &mut seen);
        }
        scanner.end(&mut seen);
        seen
    }

    /// What is seen is the same however the stream is cut.
    #[track_caller]
    fn check(stream: &str, first: EventKind, terminal: Option<(EventKind, &str)>) -> Observed {
        let whole = seen_in(stream.as_bytes(), stream.len());
        let told = whole.terminal.as_ref().map(|event| (event.kind, std::str::from_utf8(&event.data).expect("text")));
        assert_eq!((whole.first, told), (Some(first), terminal), "{stream:?}");
        for piece in 1..stream.len().min(300) {
            assert_eq!(seen_in(stream.as_bytes(), piece), whole, "in pieces of {piece}: {stream:?}");
        }
        whole
    }

    const DELTA: &str =
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\n";

    #[test]
    fn the_terminal_event_is_found_and_kept() {
        let done = r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1}}}"#;
        let created = "event: response.created\r\ndata: {\"type\":\"response.created\"}\r\n\r\n";
        let stream = format!("{created}: still there\n\n{DELTA}data: {done}\n\ndata: [DONE]\n\n");
        check(&stream, EventKind::Other, Some((EventKind::Completed, done)));
        check(&format!("data:{done}\r\n"), EventKind::Completed, Some((EventKind::Completed, done)));
        check(DELTA, EventKind::Other, None);
        check("data: one\n\n", EventKind::Other, None);
    }

    #[test]
    fn the_json_tells_the_kind_and_the_name_only_where_it_cannot_be_read() {
        let late = r#"{"sequence_number":-3,"response":{"error":{"code":"x"}},"type":"response.failed"}"#;
        check(
            &format!("event: response.completed\ndata: {late}\n\n"),
            EventKind::Failed,
            Some((EventKind::Failed, late)),
        );
        let after = r#"{"id":"a","sequence_number":7,"type":"response.incomplete"}"#;
        check(&format!("data: {after}\n\n"), EventKind::Incomplete, Some((EventKind::Incomplete, after)));
        check("event: response.failed\ndata: {broken\n\n", EventKind::Failed, Some((EventKind::Failed, "{broken")));
        check("data: {\"type\":\"a\",\"x\":\"\\\"type\\\":\\\"response.failed\\\"\"}\n\n", EventKind::Other, None);
    }

    #[test]
    fn data_on_several_lines_are_one_event() {
        let stream = "data: {\"type\":\"response.failed\",\ndata: \"a\":1}\n\n";
        let told = "{\"type\":\"response.failed\",\n\"a\":1}";
        check(stream, EventKind::Failed, Some((EventKind::Failed, told)));
    }

    #[test]
    fn quotas_are_told_beside_the_answer() {
        let limits = r#"{"type":"codex.rate_limits","rate_limits":{}}"#;
        let seen = check(&format!("data: {limits}\n\n{DELTA}"), EventKind::Other, None);
        assert_eq!(seen.limits.map(|event| event.data), Some(limits.into()));
    }

    #[test]
    fn an_error_counts_until_a_proper_end_comes() {
        let (error, done) = (r#"{"type":"error","code":"x"}"#, r#"{"type":"response.completed"}"#);
        check(&format!("data: {error}\n\n"), EventKind::Error, Some((EventKind::Error, error)));
        check(&format!("data: {error}\n\ndata: {done}\n\n"), EventKind::Error, Some((EventKind::Completed, done)));
    }

    #[test]
    fn of_a_long_event_the_beginning_and_the_end_are_kept() {
        for length in [LARGEST_EVENT - 1, LARGEST_EVENT, 3 * LARGEST_EVENT, 1_000_003] {
            let text = format!(r#"{{"type":"response.completed","x":"{}","end":1}}"#, "y".repeat(length));
            for piece in [1000, 4096, usize::MAX] {
                let kept = seen_in(format!("data: {text}\n\n").as_bytes(), piece).terminal.expect("it came").data;
                let end = LARGEST_EVENT - BEGINNING;
                assert_eq!(kept.len(), LARGEST_EVENT, "{length} in {piece}");
                assert_eq!(&kept[..BEGINNING], &text.as_bytes()[..BEGINNING]);
                assert_eq!(&kept[BEGINNING..], &text.as_bytes()[text.len() - end..]);
            }
        }
    }
}
