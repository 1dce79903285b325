//! The one place that names reqwest for small requests: TLS provider, timeouts, proxies and how its errors are sorted.

use std::{error::Error, fmt, sync::OnceLock, time::Duration};

use async_trait::async_trait;
use http::{Request, Response, Uri, uri::Scheme};
use reqwest::{Client, ClientBuilder, redirect, retry};

use crate::{
    endpoints::is_loopback_host,
    http::{BODY_LIMIT, HttpClient, HttpError},
};

/// How we name ourselves to issuer and backend.
pub const USER_AGENT: &str = concat!("codex-multi-auth/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest reason kept of a failed request, in characters.
const WHY_LIMIT: usize = 200;

/// [`HttpClient`] over reqwest. Costs nothing until its first request.
///
/// This machine is asked directly, past any proxy; everything else through the proxy of the environment, where there is
/// one, and by https only: tokens are in these requests.
pub struct ReqwestClient {
    user_agent: String,
    plain: OnceLock<Client>,
    near: OnceLock<Client>,
    far: OnceLock<Client>,
}

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Plain http to this machine.
    Plain,
    /// https to this machine.
    Near,
    /// https to another machine.
    Far,
}

impl ReqwestClient {
    /// A client that calls itself `user_agent`; see [`USER_AGENT`].
    pub fn new(user_agent: impl Into<String>) -> Self {
        let (plain, near, far) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Self { user_agent: user_agent.into(), plain, near, far }
    }

    fn client_for(&self, way: Way) -> Result<&Client, HttpError> {
        let slot = match way {
            Way::Plain => &self.plain,
            Way::Near => &self.near,
            Way::Far => &self.far,
        };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let builder = self.builder();
        let builder = match way {
            // Plain http needs no certificates; reading the system's takes time, and fails where there are none.
            Way::Plain => builder.no_proxy().tls_certs_only([]),
            Way::Near => builder.no_proxy(),
            Way::Far => builder,
        };
        let built = builder.build().map_err(sorted)?;
        Ok(slot.get_or_init(|| built))
    }

    fn builder(&self) -> ClientBuilder {
        // Without a process default the builder panics. A provider that is installed already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(&self.user_agent)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            // A kept connection may be dead without our knowing, and a token would be lost with it.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
    }
}

impl Default for ReqwestClient {
    fn default() -> Self {
        Self::new(USER_AGENT)
    }
}

impl fmt::Debug for ReqwestClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ReqwestClient").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for ReqwestClient {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let client = self.client_for(way(request.uri())?)?;
        let request = reqwest::Request::try_from(request).map_err(sorted)?;
        let mut answer = client.execute(request).await.map_err(sorted)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(sorted)? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(HttpError::BrokeOff { why: format!("the answer is longer than {BODY_LIMIT} bytes") });
            }
            body.extend_from_slice(&chunk);
        }
        let mut whole = Response::new(body);
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(whole)
    }
}

fn way(uri: &Uri) -> Result<Way, HttpError> {
    let is_secure = uri.scheme() == Some(&Scheme::HTTPS);
    match (is_secure, uri.host().is_some_and(is_loopback_host)) {
        (false, true) => Ok(Way::Plain),
        (true, true) => Ok(Way::Near),
        (true, false) => Ok(Way::Far),
        (false, false) => Err(HttpError::Unsent { why: "plain http to another machine".to_owned() }),
    }
}

/// Only an error before the connection stood is certain to have sent nothing.
fn sorted(error: reqwest::Error) -> HttpError {
    let is_unsent = error.is_connect() || error.is_builder();
    let why = reason(&error.without_url());
    if is_unsent { HttpError::Unsent { why } } else { HttpError::BrokeOff { why } }
}

/// The chain of causes, each said once.
fn reason(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = next.source();
    }
    said.chars().take(WHY_LIMIT).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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

    #[test]
    fn only_other_machines_are_asked_through_a_proxy() {
        let way = |uri: &str| way(&uri.parse().expect("a URI")).ok();
        assert_eq!(way("http://127.0.0.1:9/a"), Some(Way::Plain));
        assert_eq!(way("http://[::1]:9/a"), Some(Way::Plain));
        assert_eq!(way("https://localhost:9/a"), Some(Way::Near));
        assert_eq!(way("https://auth.openai.com/a"), Some(Way::Far));
        assert_eq!(way("/a"), None);
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
        let first = tokio::time::timeout(CONNECT_TIMEOUT, served).await.expect("we were called").expect("served");
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
