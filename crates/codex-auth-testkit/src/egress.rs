//! Owns the refusing proxy: it lets nothing out, and writes down who tried to go where.

use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock::real_now_ms;
use crate::fake::StartError;
use crate::server::{Listeners, Serving};

/// Longest request head that is read.
const HEAD_LIMIT: usize = 64 << 10;
const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One attempt to leave the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// `CONNECT`, or the method of a plain request.
    pub method: String,
    /// `host:port`; never a path, which may carry a secret.
    pub target: String,
}

/// A running proxy that answers 403 to everything. Dropping it stops it.
#[derive(Debug)]
pub struct Egress {
    port: u16,
    attempts: Arc<Mutex<Attempts>>,
    serving: Option<Serving>,
}

#[derive(Debug, Default)]
struct Attempts {
    all: Vec<Attempt>,
    file: Option<File>,
}

impl Egress {
    /// Listens on a loopback port (0 = any); attempts go to the file too, as JSON lines.
    pub fn start(port: u16, log_file: Option<&Utf8Path>) -> Result<Self, StartError> {
        let create = |path: &Utf8Path| {
            File::create(path).map_err(|source| StartError::LogFile { path: Utf8PathBuf::from(path), source })
        };
        let file = log_file.map(create).transpose()?;
        let listeners = Listeners::bind(port).map_err(|source| StartError::Listen { port, source })?;
        let port = listeners.port;
        let attempts = Arc::new(Mutex::new(Attempts { file, ..Attempts::default() }));
        let book = Arc::clone(&attempts);
        let refuse = move |stream| refuse(stream, Arc::clone(&book));
        let serving = Serving::start("refusing-proxy", listeners, refuse).map_err(StartError::Thread)?;
        Ok(Self { port, attempts, serving: Some(serving) })
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `HTTP_PROXY` and `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that tried to leave, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// Stops.
    pub fn stop(mut self) {
        drop(self.serving.take());
    }
}

async fn refuse(mut stream: TcpStream, book: Arc<Mutex<Attempts>>) {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    // The first line is all that matters, but a client wants its whole head read before the answer.
    while head.len() < HEAD_LIMIT && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => head.extend_from_slice(&chunk[..read]),
        }
    }
    if head.is_empty() {
        return;
    }
    let (method, target) = aim(&head);
    let attempt = Attempt { at_ms: real_now_ms(), method, target };
    write_down(&book, attempt);
    let _ = stream.write_all(REFUSAL).await;
    let _ = stream.shutdown().await;
}

fn write_down(book: &Mutex<Attempts>, attempt: Attempt) {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    if let (Some(file), Ok(line)) = (&mut book.file, serde_json::to_string(&attempt)) {
        // A full disk must not let anybody out.
        let _ = writeln!(file, "{line}");
    }
    book.all.push(attempt);
}

/// Method and `host:port` of a request line.
fn aim(head: &[u8]) -> (String, String) {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().chars().take(16).collect::<String>();
    let target = words.next().unwrap_or_default();
    if method == "CONNECT" {
        return (method, target.chars().take(255).collect());
    }
    let url = url::Url::parse(target).ok();
    let place = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let target = place.map_or_else(|| "unknown".to_owned(), |(host, port)| format!("{host}:{port}"));
    (method, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: (&str, &str)) {
        let (method, target) = aim(line.as_bytes());
        assert_eq!((method.as_str(), target.as_str()), expect);
    }

    #[test]
    fn the_target_of_every_form() {
        check("CONNECT chatgpt.com:443 HTTP/1.1\r\n", ("CONNECT", "chatgpt.com:443"));
        check("GET http://example.test/a?token=x HTTP/1.1\r\n", ("GET", "example.test:80"));
        check("POST http://example.test:8080/ HTTP/1.1\r\n", ("POST", "example.test:8080"));
        check("GET / HTTP/1.1\r\n", ("GET", "unknown"));
        check("\u{16}\u{3}\u{1}", ("\u{16}\u{3}\u{1}", "unknown"));
    }
}
