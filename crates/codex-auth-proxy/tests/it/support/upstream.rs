//! An upstream that writes exactly the bytes a test names, and breaks off where it says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::{client::Head, within};

/// A request as it came over the wire.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The number of the account whose token it carries; 0 for a stranger's.
    pub(crate) fn account(&self) -> usize {
        let bearer = self.head.header("authorization").unwrap_or_default();
        let number = bearer.strip_prefix("Bearer access-").and_then(|rest| rest.split('-').next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

/// One thing the upstream does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Waits until the gate is open.
    Wait(Gate),
    /// Says nothing more, and waits for the other side to leave.
    Hang,
    /// Closes the connection.
    Close,
}

/// Holds an upstream back until a test lets it go on.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub(crate) async fn passed(&self) {
        // It is never taken away, since whoever waits holds a part of it.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

type Script = Arc<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

/// A running upstream; it ends with the runtime of its test.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// How many requests came, and how many connections were left while they hung.
    counts: watch::Sender<(usize, usize)>,
}

impl Upstream {
    /// Listens, and answers every request by what `script` makes of it.
    pub(crate) async fn answering(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = watch::Sender::new((0, 0));
        let upstream = Self { port, script: Arc::new(script), seen: Arc::default(), counts };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serving.clone().converse(stream));
            }
        });
        upstream
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The accounts asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<usize> {
        self.seen().iter().map(Seen::account).collect()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn came(&self, count: usize) {
        let mut counts = self.counts.subscribe();
        within("requests at the upstream", counts.wait_for(|(came, _)| *came >= count)).await.unwrap();
    }

    /// Waits until so many hanging connections were left by the other side.
    pub(crate) async fn left(&self, count: usize) {
        let mut counts = self.counts.subscribe();
        within("the proxy to leave the upstream", counts.wait_for(|(_, left)| *left >= count)).await.unwrap();
    }

    async fn converse(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some(seen) = request(&mut stream, &mut buffer).await {
            self.seen.lock().unwrap().push(seen.clone());
            self.counts.send_modify(|(came, _)| *came += 1);
            for act in (self.script)(&seen) {
                match act {
                    Act::Send(bytes) => {
                        if stream.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Act::Wait(gate) => gate.passed().await,
                    Act::Hang => {
                        // Whatever ends the wait, an end or a reset: the other side has left.
                        let _left = stream.read(&mut [0; 1]).await;
                        return self.counts.send_modify(|(_, left)| *left += 1);
                    }
                    Act::Close => return,
                }
            }
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Seen> {
    let head = loop {
        if let Some((head, length)) = Head::read(buffer) {
            buffer.drain(..length);
            break head;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer.drain(..length).collect();
    Some(Seen { head, body })
}

/// A whole answer with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> Vec<Act> {
    whole(status, "content-type: application/json\r\n", body.as_bytes())
}

/// A whole answer.
pub(crate) fn whole(status: u16, headers: &str, body: &[u8]) -> Vec<Act> {
    let mut bytes = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    vec![Act::Send(bytes)]
}

/// The head of an event stream.
pub(crate) fn stream_head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n{headers}\r\n")
        .into_bytes()
}

/// One event as a chunk.
pub(crate) fn event(text: &str) -> Vec<u8> {
    let event = format!("data: {text}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// The end of a stream.
pub(crate) const LAST: &[u8] = b"0\r\n\r\n";

/// A short stream of events, served well.
pub(crate) fn served() -> Vec<Act> {
    let bytes = [stream_head(""), event("one"), event("two"), LAST.to_vec()].concat();
    vec![Act::Send(bytes)]
}
