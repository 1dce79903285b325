//! The demo's browser: opens an address on this machine and follows where it is sent, as a person's would.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// More redirects than any sign-in has.
const MOST_HOPS: usize = 5;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Opens `url` and follows redirects to the end.
pub(super) fn open(url: &str) -> io::Result<()> {
    let mut next = url.to_owned();
    for _ in 0..MOST_HOPS {
        match location(&next)? {
            Some(further) => next = further,
            None => return Ok(()),
        }
    }
    Err(io::Error::other("the sign-in page sends us round in circles"))
}

/// One request; where its answer sends us, if anywhere.
fn location(url: &str) -> io::Result<Option<String>> {
    let rest = url.strip_prefix("http://").ok_or_else(|| io::Error::other("the demo stays on this machine"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer);
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    let field = |line: &str| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("location"))
            .map(|(_, to)| to.trim().to_owned())
    };
    Ok(head.lines().find_map(field))
}
