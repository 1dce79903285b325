//! The answers the backend gives, by name, and what a reader must have received for one to count.

use std::fmt;
use std::str::FromStr;

/// Bytes of one event of a small answer and of a paced stream.
pub const EVENT: usize = 200;
/// Events of a small answer.
pub const SMALL_EVENTS: usize = 40;
/// Bytes of a long stream.
pub const LONG: usize = 20 * 1024 * 1024;
/// Bytes of the burst before a stream is held open.
pub const BURST: usize = 200 * 1024;
/// Name of the header that asks for a shape.
pub const HEADER: &str = "x-bench-shape";

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 8 KB in 40 chunks, written at once.
    Small,
    /// 20 MB in chunks of this many bytes.
    Long {
        /// Bytes per chunk.
        chunk: usize,
    },
    /// So many events, 10 ms apart, each with the instant just before it was written.
    Paced {
        /// How many.
        events: usize,
    },
    /// 200 KB, then nothing until the reader leaves.
    Held,
}

impl Shape {
    /// Bytes of body a complete answer has; `None` when it has no end.
    #[must_use]
    pub fn length(self) -> Option<usize> {
        match self {
            Self::Small => Some(SMALL_EVENTS * EVENT),
            Self::Long { chunk } => Some(LONG / chunk * chunk),
            Self::Paced { events } => Some(events * EVENT),
            Self::Held => None,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small => write!(out, "small"),
            Self::Long { chunk } => write!(out, "long-{chunk}"),
            Self::Paced { events } => write!(out, "paced-{events}"),
            Self::Held => write!(out, "held"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |rest: &str| rest.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("no number in {text}"));
        match text.split_once('-') {
            None if text == "small" => Ok(Self::Small),
            None if text == "held" => Ok(Self::Held),
            Some(("long", rest)) => Ok(Self::Long { chunk: number(rest)? }),
            Some(("paced", rest)) => Ok(Self::Paced { events: number(rest)? }),
            None | Some(_) => Err(format!("unknown shape {text}")),
        }
    }
}

/// Head of every answer.
pub const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: bench\r\ntransfer-encoding: chunked\r\n\r\n";

/// Appends `data` as one chunk.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// An event of [`EVENT`] bytes that carries `stamp`.
#[must_use]
pub fn event(stamp: u64) -> Vec<u8> {
    let mut event = format!("data: {stamp:020} ").into_bytes();
    event.resize(EVENT - 2, b'.');
    event.extend_from_slice(b"\n\n");
    event
}

/// The stamp of an event.
#[must_use]
pub fn stamp_of(event: &[u8]) -> Option<u64> {
    std::str::from_utf8(event.get(6..26)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for shape in [Shape::Small, Shape::Long { chunk: 200 }, Shape::Paced { events: 60 }, Shape::Held] {
            assert_eq!(shape.to_string().parse(), Ok(shape));
        }
        assert!("long-0".parse::<Shape>().is_err());
    }

    #[test]
    fn an_event_carries_its_stamp() {
        assert_eq!((event(42).len(), stamp_of(&event(42))), (EVENT, Some(42)));
    }
}
