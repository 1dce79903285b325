//! Real sockets, and an issuer that is a closure.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use codex_auth_core::{
    AccessToken, Timestamp,
    testing::{ManualClock, SeededEntropy},
};
use http::{Request, Response};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use url::Url;

use super::*;
use crate::{AuthorizeProfile, Endpoints, HttpClient, HttpError, LoginEvent, LoginEvents, NoEvents};

const PATIENCE: Duration = Duration::from_secs(30);
const TOKENS: &str = r#"{"access_token":"a","refresh_token":"r"}"#;

/// Answers every request with one status and text.
#[derive(Debug)]
struct Always(u16, &'static str);

#[async_trait]
impl HttpClient for Always {
    async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        Ok(Response::builder().status(self.0).body(self.1.as_bytes().to_vec()).expect("a good status"))
    }
}

/// Never answers.
#[derive(Debug)]
struct Never;

#[async_trait]
impl HttpClient for Never {
    async fn send(&self, _request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        std::future::pending().await
    }
}

fn endpoint(http: impl HttpClient + 'static) -> TokenEndpoint {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    TokenEndpoint::new(Endpoints::default(), Arc::new(http), clock, Duration::from_secs(15))
}

fn server() -> CallbackServer {
    CallbackServer::new([0], Arc::new(NoEvents))
}

/// A sign-in that waits in the background, with its port and its state.
struct Begun {
    port: u16,
    state: String,
    waits: JoinHandle<Result<codex_auth_core::Granted, HostLoginError>>,
}

async fn begun(server: &CallbackServer, look: Look, http: impl HttpClient + 'static) -> Begun {
    let profile = AuthorizeProfile::OPENCODE;
    let pending = server.begin(&Endpoints::default(), &profile, look, &SeededEntropy::new(5)).await.expect("it began");
    let url = Url::parse(pending.url()).expect("an address");
    let of = |key: &str| url.query_pairs().find(|(name, _)| name == key).expect("it is there").1.into_owned();
    let port = Url::parse(&of("redirect_uri")).expect("an address").port().expect("a port");
    Begun {
        port,
        state: of("state"),
        waits: tokio::spawn(async move { pending.tokens(&endpoint(http), PATIENCE).await }),
    }
}

async fn ask(port: u16, method: &str, target: &str, more: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("somebody listens");
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("writable");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("a whole answer");
    answer
}

async fn get(port: u16, target: &str) -> String {
    ask(port, "GET", target, "").await
}

#[track_caller]
fn says(answer: &str, status: &str, part: &str) {
    assert_eq!(answer.get(9..12), Some(status), "{answer}");
    assert!(answer.contains(part), "{answer}");
}

#[test]
fn only_this_machine_is_near() {
    let near = |text: &str| is_loopback(text.parse::<IpAddr>().expect("an address"));
    assert!(near("127.0.0.1") && near("127.9.9.9") && near("::1") && near("::ffff:127.0.0.1"));
    assert!(!near("10.0.0.2") && !near("::ffff:10.0.0.2") && !near("::") && !near("fe80::1"));
}

#[tokio::test]
async fn a_sign_in_that_goes_well() {
    let server = server();
    let Begun { port, state, waits } = begun(&server, Look::Native, Always(200, TOKENS)).await;
    says(&get(port, &format!("/auth/callback?code=AC&state={state}")).await, "200", "You are signed in");
    let granted = waits.await.expect("not aborted").expect("signed in");
    assert_eq!(granted.access.as_ref().map(AccessToken::expose), Some("a"));
    says(&get(port, &format!("/auth/callback?code=AC&state={state}")).await, "400", "Invalid state");
}

#[tokio::test]
async fn as_codex_the_browser_goes_to_the_last_page() {
    let server = server();
    let Begun { port, state, waits } = begun(&server, Look::Codex, Always(200, TOKENS)).await;
    let answer = get(port, &format!("/auth/callback?code=AC&state={state}")).await;
    says(&answer, "302", &format!("location: http://localhost:{port}/success?needs_setup=false&"));
    waits.await.expect("not aborted").expect("signed in");
    let last = get(port, "/success?needs_setup=true&org_id=o&platform_url=https%3A%2F%2Fplatform.openai.com").await;
    says(&last, "200", "content=\"3;url=https://platform.openai.com/org-setup?p=&amp;with_org=o&amp;project_id=\"");
}

#[tokio::test]
async fn a_failure_is_shown_again_to_whoever_knows_its_state() {
    let server = server();
    let Begun { port, state, waits } = begun(&server, Look::Native, Always(200, TOKENS)).await;
    let target = format!("/auth/callback?error=access_denied&error_description=No+thanks&state={state}");
    says(&get(port, &target).await, "200", "<blockquote>No thanks</blockquote>");
    assert_eq!(waits.await.expect("not aborted").map(drop), Err(HostLoginError::Denied { said: "No thanks".into() }));
    says(&get(port, &target).await, "200", "<blockquote>No thanks</blockquote>");
    says(&get(port, "/auth/callback?error=access_denied&state=x").await, "400", "Invalid state");
}

#[tokio::test]
async fn a_code_that_buys_nothing() {
    let server = server();
    let Begun { port, state, waits } = begun(&server, Look::Codex, Always(400, r#"{"error":"invalid_grant"}"#)).await;
    let answer = get(port, &format!("/auth/callback?code=AC&state={state}")).await;
    says(&answer, "500", "OAuth token exchange failed");
    let error = waits.await.expect("not aborted").expect_err("nobody is signed in");
    assert_eq!(error.to_string(), "Token exchange failed: 400");
}

#[tokio::test]
async fn strangers_change_nothing() {
    let server = server();
    let Begun { port, state, waits } = begun(&server, Look::Native, Always(200, TOKENS)).await;
    says(&get(port, "/auth/callback?code=AC&state=wrong").await, "400", "Invalid state - potential CSRF attack");
    says(&get(port, "/auth/callback").await, "400", "Invalid state");
    says(&get(port, "/cancel").await, "400", "Invalid cancel state");
    let cancel = format!("/cancel?state={state}");
    says(&ask(port, "GET", &cancel, "Sec-Fetch-Site: cross-site\r\n").await, "400", "Invalid cancel state");
    says(&ask(port, "POST", &cancel, "").await, "405", "allow: GET");
    says(&get(port, "/favicon.ico").await, "404", "Not found");
    says(&get(port, &cancel).await, "200", "Login cancelled");
    assert_eq!(waits.await.expect("not aborted").map(drop), Err(HostLoginError::Cancelled));
}

#[tokio::test]
async fn there_is_one_sign_in_at_a_time_and_room_after_it() {
    let server = server();
    let Begun { port, waits, .. } = begun(&server, Look::Native, Never).await;
    let another = || async {
        let entropy = SeededEntropy::new(9);
        server.begin(&Endpoints::default(), &AuthorizeProfile::OPENCODE, Look::Native, &entropy).await
    };
    assert_eq!(another().await.map(drop), Err(HostLoginError::InProgress));
    waits.abort();
    assert!(waits.await.is_err());
    let again = another().await.expect("there is room");
    assert!(again.url().contains(&format!("localhost%3A{port}%2F")), "the port stayed open: {}", again.url());
}

#[tokio::test(start_paused = true)]
async fn nobody_comes_back() {
    let server = server();
    let waits = begun(&server, Look::Native, Never).await.waits;
    let error = waits.await.expect("not aborted").expect_err("nobody came");
    assert_eq!(error.to_string(), "OAuth callback timeout - authorization took too long");
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_is_not_answered_ends() {
    let error = endpoint(Never).exchange("AC", "http://localhost/x", "V").await.expect_err("no answer");
    assert_eq!(error.to_string(), "OAuth request timed out after 15000ms");
}

#[tokio::test]
async fn the_port_stays_for_its_grace_and_a_new_sign_in_keeps_it() {
    let server = server();
    let first = server.start().await.expect("started");
    server.stop_after(Duration::from_hours(1), "success").await;
    assert_eq!(server.start().await.expect("started"), first);
    let Begun { port, waits, .. } = begun(&server, Look::Native, Never).await;
    server.stop_after(Duration::ZERO, "exit").await;
    assert_eq!(waits.await.expect("not aborted").map(drop), Err(HostLoginError::Cancelled));
    let gone = async { while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {} };
    timeout(PATIENCE, gone).await.expect("nobody listens any more");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_held_is_passed_over_defect_4() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = held.local_addr().expect("bound").port();
    let told = Arc::new(Told::default());
    let server = CallbackServer::new([port, 0], told.clone());
    let elsewhere = server.start().await.expect("the second port is free");
    assert!(!elsewhere.contains(&format!(":{port}/")), "{elsewhere}");
    assert_eq!(told.names(), ["server_starting", "server_listen_attempt_failed", "server_started"]);
    let only = CallbackServer::new([port], Arc::new(NoEvents));
    let error = only.start().await.expect_err("it is held");
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

/// Keeps what it hears.
#[derive(Default)]
struct Told(Mutex<Vec<(LoginEvent, Value)>>);

impl Told {
    fn names(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(event, _)| event.name()).collect()
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Told")
    }
}

impl LoginEvents for Told {
    fn happened(&self, event: LoginEvent, meta: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((event, meta));
    }
}

#[tokio::test]
async fn what_happens_is_told_without_secrets() {
    let told = Arc::new(Told::default());
    let server = CallbackServer::new([0], told.clone());
    let Begun { port, state, waits } = begun(&server, Look::Native, Always(200, TOKENS)).await;
    get(port, &format!("/auth/callback?code=SECRET&state={state}")).await;
    waits.await.expect("not aborted").expect("signed in");
    let expect = [
        "server_starting",
        "server_started",
        "callback_wait_start",
        "callback_hit",
        "token_exchange_start",
        "token_exchange_success",
        "callback_wait_resolved",
    ];
    assert_eq!(told.names(), expect);
    let all = format!("{:?}", told.0.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(!all.contains("SECRET") && !all.contains(&state) && all.contains(&state[state.len() - 6..]), "{all}");
}
