//! The two heads of an exchange over HTTP/1.1: the request's as bytes, the answer's out of bytes (RFC 9112, 3 to 5).

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header, response::Parts,
};

use super::framing::{Framing, Malformed};

/// More headers than this are not an answer of the backend's.
const MOST_HEADERS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    /// Its status and headers.
    pub(super) parts: Parts,
    /// The body that follows.
    pub(super) framing: Framing,
    /// Whether the connection serves again when that is over.
    pub(super) keeps_alive: bool,
}

/// The head of this request, which asks for a path and not for an address; its length is told, whatever it says.
pub(super) fn of_request(request: &Request<Bytes>, host: &HeaderValue) -> Vec<u8> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let parts = [request.method().as_str(), " ", path, " HTTP/1.1\r\n"];
    let of_line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let length =
        parts.iter().map(|part| part.len()).sum::<usize>() + request.headers().iter().map(of_line).sum::<usize>();
    let mut head = Vec::with_capacity(length + host.len() + 64);
    for part in parts {
        head.extend_from_slice(part.as_bytes());
    }
    let mut add = |name: &HeaderName, value: &[u8]| {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    add(&header::HOST, host.as_bytes());
    let is_ours = |name: &HeaderName| [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name);
    request.headers().iter().filter(|(name, _)| !is_ours(name)).for_each(|(name, value)| add(name, value.as_bytes()));
    // Where a body is expected, none is told as well.
    let expects_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if expects_body || !request.body().is_empty() {
        add(&header::CONTENT_LENGTH, request.body().len().to_string().as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

impl Head {
    /// The final head these bytes begin with, in answer to such a request, and its length with the interim ones before
    /// it; `None` while it is not whole.
    pub(super) fn read(bytes: &[u8], method: &Method) -> Result<Option<(Self, usize)>, Malformed> {
        let mut used = 0;
        loop {
            let Some((head, length)) = Self::read_one(&bytes[used..], method)? else { return Ok(None) };
            used += length;
            match head.parts.status {
                StatusCode::SWITCHING_PROTOCOLS => return Err(Malformed("it changes to a protocol nobody asked for")),
                status if status.is_informational() => {}
                _ => return Ok(Some((head, used))),
            }
        }
    }

    fn read_one(bytes: &[u8], method: &Method) -> Result<Option<(Self, usize)>, Malformed> {
        let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut read = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, bytes, &mut room);
        let length = match parsed {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed("it has too many headers")),
            Err(_) => return Err(Malformed("its head is no HTTP")),
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status =
            read.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed("its status is none"))?;
        parts.version = if read.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
        parts.headers = headers(bytes, length, read.headers)?;
        let framing = Framing::of(method, parts.status, &parts.headers)?;
        let keeps_alive =
            parts.version == Version::HTTP_11 && framing != Framing::UntilClose && !closes(&parts.headers);
        Ok(Some((Self { parts, framing, keeps_alive }, length)))
    }
}

/// The headers, whose values share one copy of the head.
fn headers(bytes: &[u8], length: usize, read: &[httparse::Header<'_>]) -> Result<HeaderMap, Malformed> {
    let wild = |_| Malformed("a header of it is none");
    let head = Bytes::copy_from_slice(&bytes[..length]);
    let mut headers = HeaderMap::with_capacity(read.len());
    for line in read {
        let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| Malformed("a header of it is none"))?;
        let start = line.value.as_ptr().addr() - bytes.as_ptr().addr();
        let value = head.slice(start..start + line.value.len());
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(wild)?);
    }
    Ok(headers)
}

fn closes(headers: &HeaderMap) -> bool {
    let said = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|text| text.split(',')).any(|word| word.trim().eq_ignore_ascii_case("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: &Request<Bytes>) -> String {
        String::from_utf8(of_request(request, &HeaderValue::from_static("127.0.0.1:9"))).expect("plain text")
    }

    #[test]
    fn a_request_tells_its_length_and_our_host() {
        let request = Request::post("http://127.0.0.1:9/codex/responses?x=1")
            .header("originator", "codex_exec")
            .header("content-length", "7")
            .header("transfer-encoding", "chunked")
            .header("host", "elsewhere")
            .body(Bytes::from_static(b"{}"))
            .expect("a request");
        let expect = "POST /codex/responses?x=1 HTTP/1.1\r\nhost: 127.0.0.1:9\r\noriginator: codex_exec\r\n\
                      content-length: 2\r\n\r\n";
        assert_eq!(text(&request), expect);
    }

    #[test]
    fn only_where_a_body_is_expected_none_is_told() {
        let of = |method| {
            let request = Request::builder().method(method).uri("http://127.0.0.1:9").body(Bytes::new());
            text(&request.expect("a request"))
        };
        assert_eq!(of("GET"), "GET / HTTP/1.1\r\nhost: 127.0.0.1:9\r\n\r\n");
        assert_eq!(of("POST"), "POST / HTTP/1.1\r\nhost: 127.0.0.1:9\r\ncontent-length: 0\r\n\r\n");
    }

    fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        Head::read(bytes, &Method::POST)
    }

    #[test]
    fn interim_heads_are_passed_over() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
                      Content-Length: 2\r\nx-two: a\r\nx-two: b\r\n\r\nok";
        for cut in 0..bytes.len() - 2 {
            assert!(read(&bytes[..cut]).expect("well formed").is_none(), "cut after {cut}");
        }
        let (head, used) = read(bytes).expect("well formed").expect("whole");
        assert_eq!((head.parts.status, head.framing, used), (StatusCode::OK, Framing::Length(2), bytes.len() - 2));
        assert_eq!(head.parts.headers.get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(head.keeps_alive);
    }

    #[track_caller]
    fn check_kept(head: &str, expect: bool) {
        let (head, _) = read(head.as_bytes()).expect("well formed").expect("whole");
        assert_eq!(head.keeps_alive, expect);
    }

    #[test]
    fn a_connection_is_kept_where_both_know_the_end() {
        check_kept("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true);
        check_kept("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x, Close\r\n\r\n", false);
        check_kept("HTTP/1.1 200 OK\r\n\r\n", false);
        check_kept("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MOST_HEADERS + 1));
        for wild in [
            "HTTP/2 200\r\n\r\n",
            "SSH-2.0-x\r\n",
            "HTTP/1.1 101 Y\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            &many,
        ] {
            assert!(read(wild.as_bytes()).is_err(), "{wild}");
        }
    }
}
