//! An issuer that is a closure, and a browser that is a socket.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_oauth::{HttpClient, HttpError, LoginUi};
use http::{Request, Response};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use url::Url;

/// What a request comes to.
pub(crate) type Answer = Result<Response<Vec<u8>>, HttpError>;

/// Answers by a function and keeps what it was asked.
pub(crate) struct Scripted<F> {
    answer: F,
    asked: Mutex<Vec<Request<Vec<u8>>>>,
}

impl<F: Fn() -> Answer> Scripted<F> {
    pub(crate) fn new(answer: F) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::new(Vec::new()) })
    }

    /// Every request so far: method, URL, content type and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = asked.iter().map(|request| {
            let content_type = request.headers()["content-type"].to_str().expect("text");
            let body = String::from_utf8_lossy(request.body());
            format!("{} {} {content_type} {body}", request.method(), request.uri())
        });
        shown.collect()
    }
}

impl<F> fmt::Debug for Scripted<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Scripted")
    }
}

#[async_trait]
impl<F: Fn() -> Answer + Send + Sync> HttpClient for Scripted<F> {
    async fn send(&self, request: Request<Vec<u8>>) -> Answer {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        (self.answer)()
    }
}

/// An answer of this status and body.
#[expect(clippy::unnecessary_wraps, reason = "an answer may also be an error, and scripts hold both")]
pub(crate) fn says(status: u16, body: &str) -> Answer {
    Ok(Response::builder().status(status).body(body.as_bytes().to_vec()).expect("a good status"))
}

/// An unsigned token with these claims.
pub(crate) fn jwt(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    format!("{header}.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A person whose browser goes, for every address it is given, wherever `visit` says.
pub(crate) struct Person<V> {
    visit: V,
    seen: Mutex<Seen>,
}

/// What a sign-in showed the person.
#[derive(Default)]
struct Seen {
    url: String,
    port: u16,
    page: Option<JoinHandle<String>>,
}

impl<V: Fn(&Url) -> Option<Url>> Person<V> {
    /// `visit` makes the address the browser ends at of the one it is given; `None` = no browser.
    pub(crate) fn new(visit: V) -> Self {
        Self { visit, seen: Mutex::default() }
    }

    pub(crate) fn url(&self) -> String {
        self.lock().url.clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.lock().port
    }

    /// What the browser showed in the end.
    pub(crate) async fn page(&self) -> String {
        let page = self.lock().page.take().expect("a browser was opened");
        page.await.expect("the browser did not fail")
    }
}

impl<V> Person<V> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> fmt::Debug for Person<V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Person")
    }
}

impl<V: Fn(&Url) -> Option<Url> + Send + Sync> LoginUi for Person<V> {
    fn show_url(&self, url: &str) {
        url.clone_into(&mut self.lock().url);
    }

    fn open_browser(&self, url: &str) -> bool {
        let Some(target) = (self.visit)(&Url::parse(url).expect("a URL")) else { return false };
        self.lock().page = Some(tokio::spawn(browse(target)));
        true
    }

    fn waiting(&self, port: u16) {
        self.lock().port = port;
    }
}

/// Follows redirects from here, as a browser does, and gives back the last answer.
async fn browse(mut url: Url) -> String {
    loop {
        let answer = get(&url).await;
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        let location = head
            .lines()
            .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
        let Some((_, location)) = location else { return answer };
        url = url.join(location).expect("a good location");
    }
}

async fn get(url: &Url) -> String {
    let address = (url.host_str().expect("a host"), url.port().expect("a port"));
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request = format!("GET {}{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", url.path(), address.0);
    stream.write_all(request.as_bytes()).await.expect("writable");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a whole answer");
    answer
}
