//! One request and its answer over a kept connection. An answer that is anything but a whole chunked 200 is an error.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::shape::{HEADER, Shape};

/// Longest wait for any single read or write.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a request body: a short prompt as the official client sends it.
const ASKED: usize = 2 * 1024;

/// A kept connection.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

/// An answer being read.
#[derive(Debug)]
pub struct Answer<'c> {
    reader: &'c mut BufReader<TcpStream>,
    /// Bytes left of the current chunk.
    left: usize,
    /// Bytes handed out last, still to be consumed.
    taken: usize,
    is_first: bool,
}

/// The bytes of a request for `shape` in a conversation of its own.
#[must_use]
pub fn request(port: u16, token: &str, session: usize, shape: Shape) -> Vec<u8> {
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n\
         session-id: bench-{session}\r\noriginator: bench\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\n{HEADER}: {shape}\r\ncontent-length: {ASKED}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + ASKED, b' ');
    bytes
}

impl Connection {
    /// Connects on loopback.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self { reader: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Sends a request and reads the head of its answer.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.reader.get_mut().write_all(request)?;
        let mut line = Vec::with_capacity(128);
        read_line(&mut self.reader, &mut line)?;
        if !line.starts_with(b"HTTP/1.1 200") {
            return Err(broken(&format!("status line {}", String::from_utf8_lossy(&line))));
        }
        let mut is_chunked = false;
        loop {
            read_line(&mut self.reader, &mut line)?;
            if line.is_empty() {
                break;
            }
            is_chunked |= line.eq_ignore_ascii_case(b"transfer-encoding: chunked");
        }
        if !is_chunked {
            return Err(broken("an answer that is not chunked"));
        }
        Ok(Answer { reader: &mut self.reader, left: 0, taken: 0, is_first: true })
    }
}

impl Answer<'_> {
    /// The next bytes of the body as they are at hand; `None` at its regular end.
    pub fn piece(&mut self) -> io::Result<Option<&[u8]>> {
        self.reader.consume(self.taken);
        self.left -= self.taken;
        self.taken = 0;
        if self.left == 0 && !self.next_chunk()? {
            return Ok(None);
        }
        let buffered = self.reader.fill_buf()?;
        if buffered.is_empty() {
            return Err(broken("the end of the connection inside a chunk"));
        }
        let piece = &buffered[..buffered.len().min(self.left)];
        self.taken = piece.len();
        Ok(Some(piece))
    }

    /// Reads to the end and counts.
    pub fn drain(&mut self) -> io::Result<usize> {
        let mut whole = 0;
        while let Some(piece) = self.piece()? {
            whole += piece.len();
        }
        Ok(whole)
    }

    /// Steps into the next chunk; false at the last one.
    fn next_chunk(&mut self) -> io::Result<bool> {
        let mut line = Vec::with_capacity(16);
        if !self.is_first {
            read_line(self.reader, &mut line)?;
            if !line.is_empty() {
                return Err(broken("a chunk longer than it said"));
            }
        }
        self.is_first = false;
        read_line(self.reader, &mut line)?;
        let size = std::str::from_utf8(&line).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        self.left = size.ok_or_else(|| broken("a chunk without a size"))?;
        if self.left > 0 {
            return Ok(true);
        }
        read_line(self.reader, &mut line)?;
        if line.is_empty() { Ok(false) } else { Err(broken("trailers")) }
    }
}

/// Reads a line without its end.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    reader.read_until(b'\n', line)?;
    match line.strip_suffix(b"\r\n").map(<[u8]>::len) {
        Some(length) => {
            line.truncate(length);
            Ok(())
        }
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

fn broken(found: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, found.to_owned())
}
