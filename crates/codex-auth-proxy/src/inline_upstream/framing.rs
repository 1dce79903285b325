//! Where the body of an answer ends, and which of the bytes that came are the body (RFC 9112, sections 6 and 7.1).
//!
//! Whatever could be read in two ways is refused: a body whose end two programs see in two places is how one person's
//! answer reaches another.

use http::{HeaderMap, Method, StatusCode, header};
use memchr::memchr;

/// The longest line that tells a chunk's size; nobody sends extensions.
const LONGEST_LINE: usize = 1024;
/// What the trailers of an answer may come to. They are not passed on: nobody may ask for them through us.
const LONGEST_TRAILERS: usize = 16 * 1024;

/// An answer that cannot be understood, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, from here on.
    Chunked(Chunk),
    /// All there is until the peer closes.
    UntilClose,
}

/// Where in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// Before the line that tells the next one's size.
    Size,
    /// In one that has so many bytes left.
    Data(u64),
    /// Before the line end that follows its bytes.
    DataEnd,
    /// In the trailers, which may come to so many bytes more.
    Trailers(usize),
    /// After everything.
    Over,
}

impl Framing {
    /// The body that follows this head of an answer to such a request.
    pub(super) fn of(method: &Method, status: StatusCode, headers: &HeaderMap) -> Result<Self, Malformed> {
        let is_bare = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if is_bare || method == Method::HEAD {
            return Ok(Self::Length(0));
        }
        let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
        if let Some(coding) = codings.next() {
            let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !is_chunked || codings.next().is_some() {
                return Err(Malformed("its transfer coding is not understood"));
            }
            if headers.contains_key(header::CONTENT_LENGTH) {
                return Err(Malformed("it tells both a length and a transfer coding"));
            }
            return Ok(Self::Chunked(Chunk::Size));
        }
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let Some(length) = lengths.next() else { return Ok(Self::UntilClose) };
        if lengths.any(|other| other != length) {
            return Err(Malformed("it tells two lengths"));
        }
        number(length.as_bytes(), 10).map(Self::Length).ok_or(Malformed("its length is no number"))
    }

    /// Whether nothing more follows.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Adds to `body` what of these bytes belongs to it, and returns how many were used up; those that are not are to
    /// come again with what follows them.
    pub(super) fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => Ok(some(left, bytes, body)),
            Self::UntilClose => {
                body.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Self::Chunked(chunk) => {
                let mut used = 0;
                while let Some(step) = chunk.step(&bytes[used..], body)? {
                    used += step;
                }
                Ok(used)
            }
        }
    }
}

impl Chunk {
    /// One step; `None` where it takes more bytes.
    fn step(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Malformed> {
        let (next, used) = match self {
            Self::Size => {
                let Some(line) = line(bytes)? else { return Ok(None) };
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let size = number(digits.trim_ascii_end(), 16).ok_or(Malformed("a chunk's size is no number"))?;
                let next = if size == 0 { Self::Trailers(LONGEST_TRAILERS) } else { Self::Data(size) };
                (next, line.len() + 2)
            }
            Self::Data(_) if bytes.is_empty() => return Ok(None),
            Self::Data(left) => {
                let used = some(left, bytes, body);
                (if *left == 0 { Self::DataEnd } else { Self::Data(*left) }, used)
            }
            Self::DataEnd => match bytes {
                [b'\r', b'\n', ..] => (Self::Size, 2),
                [] | [b'\r'] => return Ok(None),
                _ => return Err(Malformed("a chunk is longer than its size")),
            },
            Self::Trailers(left) => {
                let Some(line) = line(bytes)? else { return Ok(None) };
                let used = line.len() + 2;
                let left = left.checked_sub(used).ok_or(Malformed("its trailers do not end"))?;
                (if line.is_empty() { Self::Over } else { Self::Trailers(left) }, used)
            }
            Self::Over => return Ok(None),
        };
        *self = next;
        Ok(Some(used))
    }
}

/// Moves what there is of so many bytes, and tells how many there were.
fn some(left: &mut u64, bytes: &[u8], body: &mut Vec<u8>) -> usize {
    let count = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    body.extend_from_slice(&bytes[..count]);
    *left -= count as u64;
    count
}

/// The line these bytes begin with, without its end; `None` while that is not there.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    match memchr(b'\n', bytes) {
        Some(end) if end > LONGEST_LINE => Err(Malformed("a line of its body is too long")),
        Some(end) => bytes[..end].strip_suffix(b"\r").map(Some).ok_or(Malformed("a line of its body ends too soon")),
        None if bytes.len() > LONGEST_LINE => Err(Malformed("a line of its body is too long")),
        None => Ok(None),
    }
}

/// Digits and nothing else, as a number.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let is_digits = digits.iter().all(|byte| char::from(*byte).is_digit(radix));
    let text = std::str::from_utf8(digits).ok().filter(|_| is_digits)?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const CHUNKS: Framing = Framing::Chunked(Chunk::Size);

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expect: Result<Framing, ()>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(Framing::of(&Method::POST, StatusCode::OK, &headers).map_err(drop), expect, "{headers:?}");
    }

    #[test]
    fn a_head_tells_its_body_in_one_way_or_is_refused() {
        check(&[], Ok(Framing::UntilClose));
        check(&[("content-length", "0")], Ok(Framing::Length(0)));
        check(&[("content-length", "12"), ("content-length", "12")], Ok(Framing::Length(12)));
        check(&[("content-length", "12"), ("content-length", "13")], Err(()));
        for wild in ["", "+1", "-1", "1 2", "0x1", "1, 1", "18446744073709551616"] {
            check(&[("content-length", wild)], Err(()));
        }
        check(&[("transfer-encoding", "Chunked")], Ok(CHUNKS));
        check(&[("transfer-encoding", "gzip, chunked")], Err(()));
        check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Err(()));
        check(&[("transfer-encoding", "chunked"), ("content-length", "2")], Err(()));
    }

    #[test]
    fn some_answers_have_no_body_whatever_they_tell() {
        let headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::EARLY_HINTS] {
            assert_eq!(Framing::of(&Method::GET, status, &headers), Ok(Framing::Length(0)));
        }
        assert_eq!(Framing::of(&Method::HEAD, StatusCode::OK, &headers), Ok(Framing::Length(0)));
    }

    /// Hands over the stream in pieces, what was not used up in front of the next one, as a connection does.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let (mut at_hand, mut body) = (Vec::new(), Vec::new());
        for piece in pieces {
            at_hand.extend_from_slice(piece);
            let used = framing.take(&at_hand, &mut body)?;
            at_hand.drain(..used);
        }
        Ok((body, framing.is_over(), at_hand.len()))
    }

    #[test]
    fn a_chunked_body_is_the_same_however_it_is_cut() {
        let stream: &[u8] =
            b"5\r\nhello\r\n0006 ;name=value\r\n world\r\nA;x\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\nHTTP/1.1";
        let whole = Ok((b"hello world0123456789".to_vec(), true, 8));
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(read(CHUNKS, &pieces), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_chunked_body_that_was_cut_short_is_not_over() {
        let stream: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";
        for cut in 0..stream.len() {
            assert!(!read(CHUNKS, &[&stream[..cut]]).expect("well formed").1, "cut after {cut}");
        }
    }

    #[test]
    fn chunks_that_can_be_read_in_two_ways_are_refused() {
        let wild: [&[u8]; 10] = [
            b"\r\n",
            b"x\r\n",
            b"+5\r\nhello",
            b"0x5\r\nhello",
            b"5\nhello\r\n",
            b"5\r\nhelloo\r\n",
            b"5\r\nhello\n0\r\n",
            b" 5\r\nhello",
            b"ffffffffffffffff0\r\n",
            b"-0\r\n\r\n",
        ];
        for stream in wild {
            assert!(read(CHUNKS, &[stream]).is_err(), "{}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn lines_and_trailers_end_some_time() {
        assert!(read(CHUNKS, &[&[b'0'; LONGEST_LINE + 1]]).is_err());
        let mut endless = b"0\r\n".to_vec();
        endless.extend_from_slice(&b"name: value\r\n".repeat(LONGEST_TRAILERS / 13 + 1));
        assert!(read(CHUNKS, &[&endless]).is_err());
    }

    #[test]
    fn a_length_is_neither_more_nor_less() {
        assert_eq!(read(Framing::Length(5), &[b"he", b"llo", b"HTTP"]), Ok((b"hello".to_vec(), true, 4)));
        assert_eq!(read(Framing::Length(5), &[b"hell"]), Ok((b"hell".to_vec(), false, 0)));
        assert_eq!(read(Framing::UntilClose, &[b"he", b"llo"]), Ok((b"hello".to_vec(), false, 0)));
    }
}
