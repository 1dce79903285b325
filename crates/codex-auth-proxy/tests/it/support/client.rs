//! A client that sees every byte, and tells a clean end from a broken one.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::within;

/// The head of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// Request or status line.
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head off the front of `bytes`, with its length; `None` while it is not whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = text.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap_or_default();
        let pair = |line: String| {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Some((Self { line, headers: lines.map(pair).collect() }, end + 4))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// A request without a credential.
    pub(crate) fn stranger(method: &str, path: &str) -> Self {
        Self { line: format!("{method} {path} HTTP/1.1"), headers: Vec::new(), body: Vec::new() }
    }

    /// A model call of our own client.
    pub(crate) fn turn() -> Self {
        Self::stranger("POST", "/backend-api/codex/responses").bearer(super::world::TOKEN).body(b"{\"model\":\"m\"}")
    }

    /// A model call of this session.
    pub(crate) fn turn_of(session: &str) -> Self {
        Self::turn().header("session-id", session)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    fn bytes(&self, port: u16) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mut lines = vec![self.line.clone()];
        if !has("host") {
            lines.push(format!("host: 127.0.0.1:{port}"));
        }
        if !has("content-length") && !has("transfer-encoding") {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let head = lines.join("\r\n");
        [head.as_bytes(), b"\r\n\r\n", &self.body].concat()
    }

    /// Sends it on a connection of its own and hears the answer to its end.
    pub(crate) async fn send(&self, port: u16) -> Got {
        let mut line = Line::open(port).await;
        line.say(&self.bytes(port)).await;
        line.answer().await
    }

    /// Sends it and leaves the answer to be heard piece by piece.
    pub(crate) async fn open(&self, port: u16) -> Line {
        let mut line = Line::open(port).await;
        line.say(&self.bytes(port)).await;
        line
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    /// `None` when the connection ended before a head.
    pub(crate) head: Option<Head>,
    pub(crate) body: Vec<u8>,
    /// Whether the message came to the end it announced.
    pub(crate) is_whole: bool,
}

impl Got {
    pub(crate) fn status(&self) -> u16 {
        self.head.as_ref().map_or(0, Head::status)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `error.code` of the body.
    pub(crate) fn code(&self) -> String {
        self.json().pointer("/error/code").and_then(|code| code.as_str()).unwrap_or_default().to_owned()
    }
}

/// A connection.
pub(crate) struct Line {
    stream: TcpStream,
    buffer: Vec<u8>,
    left: Left,
}

/// How much of a body is still to come.
#[derive(Clone, Copy)]
enum Left {
    Bytes(usize),
    Chunks,
    UntilTheEnd,
}

impl Line {
    pub(crate) async fn open(port: u16) -> Self {
        let stream = within("a connection", TcpStream::connect(("127.0.0.1", port))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), left: Left::Bytes(0) }
    }

    /// Writes; a peer that has hung up already says so when its answer is read.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> bool {
        within("room to write", self.stream.write_all(bytes)).await.is_ok()
    }

    /// Asks again on the same connection.
    pub(crate) async fn repeat(&mut self, ask: &Ask, port: u16) {
        self.say(&ask.bytes(port)).await;
    }

    /// Says that nothing more will come.
    pub(crate) async fn hang_up(&mut self) {
        // A peer that has closed already makes this fail, which is as good.
        let _closed_already = self.stream.shutdown().await;
    }

    async fn more(&mut self) -> bool {
        let read = within("an answer", self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(1..))
    }

    /// The head of the next answer; `None` when the connection ended first.
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let head = loop {
            if let Some((head, length)) = Head::read(&self.buffer) {
                self.buffer.drain(..length);
                break head;
            }
            if !self.more().await {
                return None;
            }
        };
        self.left = if head.header("transfer-encoding").is_some() {
            Left::Chunks
        } else {
            let length = head.header("content-length").map(|length| length.parse().unwrap());
            length.map_or(Left::UntilTheEnd, Left::Bytes)
        };
        Some(head)
    }

    /// The next piece of the body: `Ok(None)` at its end, an error when it broke off.
    pub(crate) async fn piece(&mut self) -> Result<Option<Vec<u8>>, ()> {
        loop {
            match self.left {
                Left::Bytes(0) => return Ok(None),
                Left::Bytes(left) if !self.buffer.is_empty() => {
                    let piece: Vec<u8> = self.buffer.drain(..left.min(self.buffer.len())).collect();
                    self.left = Left::Bytes(left - piece.len());
                    return Ok(Some(piece));
                }
                Left::Chunks => {
                    if let Some((piece, length)) = chunk(&self.buffer) {
                        self.buffer.drain(..length);
                        return Ok((!piece.is_empty()).then_some(piece));
                    }
                }
                Left::UntilTheEnd if !self.buffer.is_empty() => return Ok(Some(std::mem::take(&mut self.buffer))),
                Left::Bytes(_) | Left::UntilTheEnd => {}
            }
            if !self.more().await {
                return if matches!(self.left, Left::UntilTheEnd) { Ok(None) } else { Err(()) };
            }
        }
    }

    /// The next answer to its end.
    pub(crate) async fn answer(&mut self) -> Got {
        let head = self.head().await;
        let mut body = Vec::new();
        let is_whole = head.is_some()
            && loop {
                match self.piece().await {
                    Ok(Some(piece)) => body.extend(piece),
                    Ok(None) => break true,
                    Err(()) => break false,
                }
            };
        Got { head, body, is_whole }
    }
}

/// A chunk off the front of `bytes`, with its length on the wire.
fn chunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?, 16).ok()?;
    let all = end + 2 + size + 2;
    (bytes.len() >= all).then(|| (bytes[end + 2..end + 2 + size].to_vec(), all))
}
