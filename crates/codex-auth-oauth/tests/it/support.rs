//! An issuer that is a closure, and a browser that is a socket.

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use codex_auth_oauth::{HttpClient, HttpError, LoginError, LoginUi};
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

/// These answers one after the other, then the last one again and again.
pub(crate) fn in_turn(answers: Vec<Answer>) -> impl Fn() -> Answer + Send + Sync {
    let answers = Mutex::new(VecDeque::from(answers));
    move || {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        next.expect("at least one answer")
    }
}

/// Never answers.
#[derive(Debug)]
pub(crate) struct Silent;

#[async_trait]
impl HttpClient for Silent {
    async fn send(&self, _: Request<Vec<u8>>) -> Answer {
        pending().await
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
    /// How long each line takes, and what it is; `STATE` in it stands for the right one, `None` closes the input.
    lines: Mutex<VecDeque<(Duration, Option<&'static str>)>>,
    seen: Mutex<Seen>,
}

/// What a sign-in showed the person.
#[derive(Default)]
struct Seen {
    url: String,
    port: u16,
    page: Option<JoinHandle<String>>,
    goes_on: Vec<String>,
}

impl<V: Fn(&Url) -> Option<Url>> Person<V> {
    /// `visit` makes the address the browser ends at of the one it is given; `None` = no browser.
    pub(crate) fn new(visit: V) -> Self {
        Self { visit, lines: Mutex::default(), seen: Mutex::default() }
    }

    /// The same person, who pastes these lines and then nothing more.
    pub(crate) fn pasting(self, lines: &[(Duration, Option<&'static str>)]) -> Self {
        Self { lines: Mutex::new(lines.iter().copied().collect()), ..self }
    }

    /// What failed without ending the sign-in.
    pub(crate) fn went_on_after(&self) -> Vec<String> {
        self.lock().goes_on.clone()
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

#[async_trait]
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

    async fn pasted(&self) -> Option<String> {
        let next = self.lines.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some((takes, line)) = next else { return pending().await };
        tokio::time::sleep(takes).await;
        let state = query(&Url::parse(&self.url()).expect("a URL was shown"), "state");
        Some(line?.replace("STATE", &state))
    }

    fn goes_on(&self, after: &LoginError) {
        let said = format!("{after} > {}", after.next_step());
        self.lock().goes_on.push(said);
    }
}

/// A parameter of an address.
pub(crate) fn query(url: &Url, key: &str) -> String {
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned()).expect("it is in the query")
}

/// Where the issuer sends a browser that opens `url`.
pub(crate) async fn sent_to(url: &str) -> String {
    let answer = get(&Url::parse(url).expect("a URL")).await;
    location(&answer).expect("somewhere").to_owned()
}

fn location(answer: &str) -> Option<&str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find_map(|(name, value)| name.eq_ignore_ascii_case("location").then_some(value))
}

/// Follows redirects from here, as a browser does, and gives back the last answer.
async fn browse(mut url: Url) -> String {
    loop {
        let answer = get(&url).await;
        let Some(location) = location(&answer) else { return answer };
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
