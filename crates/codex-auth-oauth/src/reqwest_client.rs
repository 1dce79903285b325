//! [`HttpClient`] over codex-auth-net, which owns the client, its proxies, authorities and limits.

use std::sync::Arc;

use async_trait::async_trait;
use codex_auth_net::{Caller, Failure, Network};
use http::{Request, Response};
use http_body_util::BodyExt as _;

use crate::http::{BODY_LIMIT, HttpClient, HttpError};

/// How we name ourselves to issuer and backend.
pub const USER_AGENT: &str = concat!("codex-multi-auth/", env!("CARGO_PKG_VERSION"));

/// [`HttpClient`] over reqwest. Costs nothing until its first request.
///
/// This machine is asked directly, past any proxy; everything else through the proxy of the network's settings, where
/// there is one, and by https only: tokens are in these requests.
#[derive(Debug)]
pub struct ReqwestClient(Caller);

impl ReqwestClient {
    /// A client that goes out by `network` and calls itself `user_agent`; see [`USER_AGENT`].
    pub fn over(network: Arc<Network>, user_agent: impl Into<String>) -> Self {
        Self(Caller::small(network, user_agent))
    }
}

/// For an issuer on this machine: no proxy, the platform's authorities.
impl Default for ReqwestClient {
    fn default() -> Self {
        Self::over(Arc::default(), USER_AGENT)
    }
}

#[async_trait]
impl HttpClient for ReqwestClient {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let (head, mut body) = self.0.send(request).await?.into_parts();
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            if whole.len() + chunk.len() > BODY_LIMIT {
                return Err(HttpError::BrokeOff { why: format!("the answer is longer than {BODY_LIMIT} bytes") });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(Response::from_parts(head, whole))
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsent { why } => Self::Unsent { why },
            Failure::BrokeOff { why } => Self::BrokeOff { why },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    const SECRET: &str = "CANARY-refresh";

    async fn ask(port: u16) -> Result<Response<Vec<u8>>, HttpError> {
        let request = Request::post(format!("http://127.0.0.1:{port}/oauth/token?secret={SECRET}"));
        let request = request.body(SECRET.as_bytes().to_vec()).expect("the request is well formed");
        ReqwestClient::default().send(request).await
    }

    /// A server that reads one request and answers with exactly these bytes; gives back what it read.
    async fn answering(bytes: Vec<u8>) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let heard = read_request(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            heard
        });
        (port, served)
    }

    async fn read_request(stream: &mut TcpStream) -> String {
        let mut heard = Vec::new();
        while !heard.ends_with(SECRET.as_bytes()) {
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer).await.expect("readable");
            assert_ne!(read, 0, "the request broke off");
            heard.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(heard).expect("text")
    }

    #[tokio::test]
    async fn an_answer_of_any_status_is_an_answer_and_we_name_ourselves() {
        let (port, served) =
            answering(b"HTTP/1.1 418 No\r\ncontent-length: 3\r\nretry-after: 7\r\n\r\ntea".into()).await;
        let answer = ask(port).await.expect("a whole answer");
        assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (418, b"tea".as_slice()));
        assert_eq!(answer.headers()["retry-after"], "7");
        let heard = served.await.expect("served").to_ascii_lowercase();
        assert!(heard.contains(&format!("user-agent: {USER_AGENT}\r\n")), "{heard}");
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let (port, _served) =
            answering(b"HTTP/1.1 307 No\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\n\r\n".into()).await;
        assert_eq!(ask(port).await.expect("a whole answer").status(), 307);
    }

    #[tokio::test]
    async fn a_refused_connection_sent_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let error = ask(port).await.expect_err("nobody listens");
        assert!(matches!(error, HttpError::Unsent { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }

    #[tokio::test]
    async fn plain_http_never_leaves_this_machine() {
        let request = Request::post("http://auth.example.test/oauth/token").body(Vec::new()).expect("a request");
        let error = ReqwestClient::default().send(request).await.expect_err("refused");
        assert_eq!(error, HttpError::Unsent { why: "plain http to another machine".to_owned() });
    }

    #[tokio::test]
    async fn a_failed_handshake_sent_nothing() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut hello = [0; 1];
            stream.read_exact(&mut hello).await.expect("a first byte");
            hello[0]
        });
        let request = Request::get(format!("https://127.0.0.1:{port}/")).body(Vec::new()).expect("a request");
        let error = ReqwestClient::default().send(request).await.expect_err("nobody speaks TLS");
        assert!(matches!(error, HttpError::Unsent { .. }), "{error}");
        let first =
            tokio::time::timeout(Duration::from_secs(10), served).await.expect("we were called").expect("served");
        assert_eq!(first, 22, "a TLS handshake record");
    }

    #[tokio::test]
    async fn a_closed_connection_broke_off() {
        let (port, _served) = answering(Vec::new()).await;
        let error = ask(port).await.expect_err("no answer");
        assert!(matches!(error, HttpError::BrokeOff { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }

    #[tokio::test]
    async fn half_a_body_broke_off() {
        let (port, _served) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".into()).await;
        assert!(matches!(ask(port).await, Err(HttpError::BrokeOff { .. })));
    }

    #[tokio::test]
    async fn an_endless_body_broke_off() {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + BODY_LIMIT + 1, b'x');
        let (port, _served) = answering(bytes).await;
        let error = ask(port).await.expect_err("too long");
        assert_eq!(error, HttpError::BrokeOff { why: "the answer is longer than 1048576 bytes".to_owned() });
    }
}
