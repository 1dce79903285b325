//! The inline upstream against a peer that says exactly what a test tells it to, byte for byte.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;
use crate::body::StreamError;

/// Everything here happens at once or never.
const SOON: Duration = Duration::from_secs(10);

/// What the peer does on one connection: answers to requests in turn; after the last one it closes.
type Answers = &'static [&'static [u8]];

const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const EMPTY: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
const UNFINISHED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
const CLOSING: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// A peer with a script per connection; it reports each request with the number of its connection.
struct Peer {
    upstream: InlineUpstream,
    uri: Uri,
    asked: mpsc::UnboundedReceiver<usize>,
    closed: mpsc::UnboundedReceiver<usize>,
}

impl Peer {
    async fn with(script: &'static [Answers]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let uri: Uri = format!("http://{}", listener.local_addr().expect("bound")).parse().expect("an address");
        let (ask, asked) = mpsc::unbounded_channel();
        let (close, closed) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for (number, answers) in script.iter().enumerate() {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (ask, close) = (ask.clone(), close.clone());
                tokio::spawn(async move {
                    speak(stream, answers, &|| ask.send(number).expect("the test listens")).await;
                    close.send(number).expect("the test listens");
                });
            }
            std::future::pending::<()>().await;
        });
        Self { upstream: InlineUpstream::towards(&uri).expect("plain http"), uri, asked, closed }
    }

    async fn send(&self) -> Result<Response<BodyStream>, UpstreamError> {
        let mut request = Request::new(Bytes::from_static(b"{}"));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = format!("{}codex/responses", self.uri).parse().expect("an address");
        tokio::time::timeout(SOON, self.upstream.send(request)).await.expect("an answer or an error")
    }

    async fn read(&self) -> Result<Bytes, StreamError> {
        read(self.send().await.expect("a head").into_body()).await
    }

    /// The connections that were asked so far, in turn.
    fn connections(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }

    /// Waits until the peer closed a connection.
    async fn closes(&mut self) {
        tokio::time::timeout(SOON, self.closed.recv()).await.expect("it closes").expect("the peer lives");
        // The end travels through the event loop; a pass over it brings it in.
        tokio::task::yield_now().await;
    }
}

async fn read(body: BodyStream) -> Result<Bytes, StreamError> {
    let collected = tokio::time::timeout(SOON, body.collect()).await.expect("the body ends");
    collected.map(http_body_util::Collected::to_bytes)
}

async fn speak(mut stream: TcpStream, answers: Answers, asked: &(dyn Fn() + Sync)) {
    let mut buffer = vec![0; 4096];
    for answer in answers {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n{}") {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => request.extend_from_slice(&buffer[..count]),
            }
        }
        asked();
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_serves_again_after_every_kind_of_body() {
    let mut peer = Peer::with(&[&[LENGTH, EMPTY, CHUNKED, LENGTH]]).await;
    for expect in ["ok", "", "abcde", "ok"] {
        assert_eq!(peer.read().await, Ok(Bytes::from(expect)));
    }
    assert_eq!(peer.connections(), [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_body_not_read_to_its_end_closes_its_connection() {
    let mut peer = Peer::with(&[&[UNFINISHED, LENGTH], &[LENGTH]]).await;
    let mut body = peer.send().await.expect("a head").into_body();
    let first = body.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert_eq!(first, "abc");
    drop(body);
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.connections(), [0, 1]);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used() {
    let mut peer = Peer::with(&[&[LENGTH], &[LENGTH]]).await;
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    peer.closes().await;
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.connections(), [0, 1]);
}

#[tokio::test]
async fn an_announced_close_is_honoured() {
    let mut peer = Peer::with(&[&[CLOSING], &[LENGTH]]).await;
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.connections(), [0, 1]);
}

#[tokio::test]
async fn a_request_that_may_have_been_carried_out_is_not_sent_again() {
    let mut peer = Peer::with(&[&[LENGTH, b""], &[LENGTH]]).await;
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert!(matches!(peer.send().await, Err(UpstreamError::Broken(_))));
    assert_eq!(peer.connections(), [0, 0]);
}

#[tokio::test]
async fn what_comes_after_an_answer_is_no_answer() {
    const TWO: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let mut peer = Peer::with(&[&[TWO, LENGTH], &[LENGTH]]).await;
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.connections(), [0, 1]);
}

#[tokio::test]
async fn a_head_without_end_is_broken_off() {
    for start in ["", "HTTP/1.1 200 OK\r\nx: "] {
        let endless = [start.as_bytes(), &vec![b'x'; 64 * 1024]].concat();
        let script: Answers = Box::leak(Box::new([&*endless.leak()]));
        let peer = Peer::with(Box::leak(Box::new([script]))).await;
        assert!(matches!(peer.send().await, Err(UpstreamError::Broken(_))), "{start:?}");
    }
}

#[tokio::test]
async fn a_body_until_the_close_ends_with_it() {
    let mut peer = Peer::with(&[&[b"HTTP/1.1 200 OK\r\n\r\nall there is"], &[LENGTH]]).await;
    assert_eq!(peer.read().await, Ok(Bytes::from("all there is")));
    assert_eq!(peer.read().await, Ok(Bytes::from("ok")));
    assert_eq!(peer.connections(), [0, 1]);
}

/// More than a connection holds on its way.
const LARGE: usize = 32 * 1024 * 1024;

/// Sends a large request to a peer that does this once its head is there.
async fn large<P: Future<Output = ()> + Send + 'static>(peer: fn(TcpStream) -> P) -> Response<BodyStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let uri: Uri = format!("http://{}/x", listener.local_addr().expect("bound")).parse().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut seen).await.expect("a head");
        }
        peer(stream).await;
    });
    let upstream = InlineUpstream::towards(&uri).expect("plain http");
    let mut request = Request::new(Bytes::from(vec![b'x'; LARGE]));
    (*request.method_mut(), *request.uri_mut()) = (http::Method::POST, uri);
    tokio::time::timeout(SOON, upstream.send(request)).await.expect("in time").expect("an answer")
}

#[tokio::test]
async fn an_answer_counts_that_comes_before_the_request_is_sent() {
    let refused = large(|mut stream| async move {
        const REFUSAL: &[u8] = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
        stream.write_all(REFUSAL).await.expect("it listens");
        std::future::pending::<()>().await;
    });
    let refused = refused.await;
    assert_eq!(refused.status(), 413);
    assert_eq!(read(refused.into_body()).await, Ok(Bytes::from("no")));
}

#[tokio::test]
async fn a_peer_may_answer_while_it_reads() {
    let echoed = large(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it listens");
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.expect("both go on");
    });
    let mut body = echoed.await.into_body();
    let mut count = 0;
    while count < LARGE / 2 {
        let frame = tokio::time::timeout(SOON, body.frame()).await.expect("in time").expect("more").expect("whole");
        count += frame.into_data().expect("data").len();
    }
}

#[tokio::test]
async fn nobody_there_means_unsent() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr().expect("bound");
    let uri: Uri = format!("http://{free}/x").parse().expect("an address");
    let upstream = InlineUpstream::towards(&uri).expect("plain http");
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri;
    assert!(matches!(upstream.send(request).await, Err(UpstreamError::Unsent(_))));
}

#[tokio::test]
async fn another_address_is_refused() {
    let upstream = InlineUpstream::towards(&Uri::from_static("http://127.0.0.1:1")).expect("plain http");
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = Uri::from_static("http://127.0.0.1:2/x");
    assert!(matches!(upstream.send(request).await, Err(UpstreamError::Unsent(_))));
}

#[test]
fn only_plain_http_is_ours() {
    assert!(InlineUpstream::towards(&Uri::from_static("https://example.test/backend-api")).is_none());
    assert!(InlineUpstream::towards(&Uri::from_static("http://user@127.0.0.1:1/")).is_none());
    assert!(InlineUpstream::towards(&Uri::from_static("http://127.0.0.1:1/backend-api")).is_some());
}

#[tokio::test]
async fn a_stream_cut_anywhere_is_never_taken_for_whole() {
    for cut in 1..CHUNKED.len() {
        let script: Answers = Box::leak(Box::new([&CHUNKED[..cut]]));
        let peer = Peer::with(Box::leak(Box::new([script]))).await;
        let whole = match peer.send().await {
            Ok(answer) => read(answer.into_body()).await.is_ok(),
            Err(UpstreamError::Broken(_)) => false,
            Err(UpstreamError::Unsent(why)) => panic!("cut after {cut}: sent, but called unsent: {why}"),
        };
        assert!(!whole, "cut after {cut} of {} bytes", CHUNKED.len());
    }
}

#[tokio::test]
async fn what_is_ready_leaves_together() {
    let peer = Peer::with(&[&[CHUNKED]]).await;
    let mut body = peer.send().await.expect("a head").into_body();
    let only = body.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert_eq!((only, body.is_end_stream()), (Bytes::from("abcde"), true));
}

#[tokio::test]
async fn a_lone_event_waits_for_nothing() {
    let peer = Peer::with(&[&[UNFINISHED, b""]]).await;
    let mut body = peer.send().await.expect("a head").into_body();
    let first = tokio::time::timeout(SOON, body.frame()).await.expect("at once");
    assert_eq!(first.expect("a frame").expect("whole").into_data().expect("data"), "abc");
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn long_streams_come_in_bounded_pieces() {
    const CHUNK: &[u8] = b"400\r\n";
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..256 {
        answer.extend_from_slice(CHUNK);
        answer.resize(answer.len() + 1024, b'x');
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    let script: Answers = Box::leak(Box::new([&*answer.leak()]));
    let peer = Peer::with(Box::leak(Box::new([script]))).await;
    let mut body = peer.send().await.expect("a head").into_body();
    let (mut whole, mut longest) = (0, 0);
    while let Some(frame) = tokio::time::timeout(SOON, body.frame()).await.expect("it goes on") {
        let length = frame.expect("whole").into_data().expect("data").len();
        whole += length;
        longest = longest.max(length);
    }
    assert_eq!(whole, 256 * 1024);
    assert!(longest <= 32 * 1024, "{longest}");
}
