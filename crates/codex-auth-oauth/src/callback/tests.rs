//! Real sockets on loopback, and callers of every kind.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use codex_auth_core::testing::SeededEntropy;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    callers::{CALLERS, HEADER_LIMIT},
    *,
};

fn state() -> State {
    State::new(&SeededEntropy::new(3))
}

fn target(rest: &str) -> String {
    format!("/auth/callback?state={}{rest}", state().expose())
}

/// A listener on any free port that waits already.
async fn waiting() -> (u16, JoinHandle<Return>) {
    let listener = CallbackListener::bind(&[0]).await.expect("a free port");
    let port = listener.port();
    (port, tokio::spawn(async move { listener.wait(&state()).await }))
}

async fn call(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("somebody listens")
}

async fn send(port: u16, method: &str, target: &str) -> TcpStream {
    let mut stream = call(port).await;
    let request = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the listener reads");
    stream
}

/// Everything until the other side closes; a reset ends it too.
async fn rest(mut stream: TcpStream) -> String {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        heard.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(heard).expect("text")
}

async fn get(port: u16, target: &str) -> String {
    rest(send(port, "GET", target).await).await
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

async fn code_of(waiting: JoinHandle<Return>) -> String {
    match waiting.await.expect("not aborted").result {
        Ok(code) => code.expose().to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Calls that must not end the wait: the code that comes afterwards is still heard.
#[track_caller]
fn goes_on_after(calls: &'static [(&'static str, &'static str, &'static str)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (port, waiting) = waiting().await;
        for (method, target, expect) in calls {
            let answer = rest(send(port, method, &target.replace("STATE", state().expose())).await).await;
            assert_eq!(status(&answer), *expect, "{method} {target}");
            assert!(!answer.contains("CANARY"), "{answer}");
        }
        let _browser = send(port, "GET", &target("&code=AC")).await;
        assert_eq!(code_of(waiting).await, "AC");
    });
}

#[test]
fn a_wrong_state_changes_nothing() {
    goes_on_after(&[
        ("GET", "/auth/callback?code=CANARY&state=wrong", "400"),
        ("GET", "/auth/callback?code=CANARY", "400"),
        ("GET", "/auth/callback?error=access_denied&state=CANARY", "400"),
    ]);
}

#[test]
fn nothing_but_get_is_heard() {
    goes_on_after(&[
        ("POST", "/auth/callback?code=CANARY&state=STATE", "405"),
        ("HEAD", "/auth/callback?code=CANARY&state=STATE", "405"),
        ("OPTIONS", "/cancel", "405"),
    ]);
}

#[test]
fn other_paths_are_not_there() {
    goes_on_after(&[("GET", "/favicon.ico?CANARY", "404"), ("GET", "/", "404"), ("GET", "/success", "404")]);
}

#[tokio::test]
async fn ends_without_a_code() {
    for (target, expect) in [
        (target(""), "the browser came back without an authorization code"),
        (target("&error=access_denied"), "the issuer refused the sign-in: access_denied"),
        ("/cancel".to_owned(), "the sign-in was cancelled"),
    ] {
        let (port, waiting) = waiting().await;
        let _caller = send(port, "GET", &target).await;
        assert_eq!(code_of(waiting).await, expect, "{target}");
    }
}

#[tokio::test]
async fn the_browser_waits_for_the_page_it_is_shown() {
    let (port, waiting) = waiting().await;
    let browser = send(port, "GET", &target("&code=CANARY")).await;
    let Return { result, browser: shown } = waiting.await.expect("not aborted");
    assert!(result.is_ok());
    shown.show(Page::SIGNED_IN).await;
    let answer = rest(browser).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("You are signed in") && !answer.contains("CANARY"), "{answer}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err(), "nobody listens afterwards");
}

#[tokio::test]
async fn a_second_code_is_ignored() {
    let (port, waiting) = waiting().await;
    let mut second = call(port).await;
    second.write_all(b"GET ").await.expect("the listener reads");
    // The first caller is served only after the second one was let in: connections are taken in order.
    let browser = send(port, "GET", &target("&code=FIRST")).await;
    let Return { result, browser: shown } = waiting.await.expect("not aborted");
    let line = format!("{} HTTP/1.1\r\nHost: x\r\n\r\n", target("&code=SECOND"));
    second.write_all(line.as_bytes()).await.expect("the listener reads");
    assert_eq!(status(&rest(second).await), "409");
    shown.show(Page::SIGNED_IN).await;
    assert_eq!(result.map(|code| code.expose().to_owned()), Ok("FIRST".to_owned()));
    assert_eq!(status(&rest(browser).await), "200");
}

#[tokio::test]
async fn many_slow_callers_do_not_keep_the_browser_out() {
    let (port, waiting) = waiting().await;
    let mut slow = Vec::new();
    for _ in 0..3 * CALLERS {
        let mut caller = call(port).await;
        caller.write_all(b"GET /auth/callback?code=").await.expect("a socket takes a few bytes");
        slow.push(caller);
    }
    let _browser = send(port, "GET", &target("&code=AC")).await;
    assert_eq!(code_of(waiting).await, "AC");
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_is_sent_away() {
    let (port, waiting) = waiting().await;
    let mut slow = call(port).await;
    slow.write_all(b"GET /auth/callback?code=AC").await.expect("the listener reads");
    rest(slow).await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn a_long_head_is_refused() {
    let (port, waiting) = waiting().await;
    let answer = get(port, &target(&format!("&code={}", "x".repeat(2 * HEADER_LIMIT)))).await;
    assert!(matches!(status(&answer), "414" | "431" | "none"), "{answer}");
    let _browser = send(port, "GET", &target("&code=AC")).await;
    assert_eq!(code_of(waiting).await, "AC");
}

#[tokio::test]
async fn the_browser_may_come_by_ipv6() {
    let (port, waiting) = waiting().await;
    let Ok(mut browser) = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await else {
        // This machine has no IPv6; then nobody can come that way.
        return;
    };
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target("&code=AC"));
    browser.write_all(request.as_bytes()).await.expect("the listener reads");
    assert_eq!(code_of(waiting).await, "AC");
}

async fn held_port() -> (TcpListener, u16) {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = held.local_addr().expect("bound").port();
    (held, port)
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_is_asked_to_cancel_gives_the_port_away() {
    let first = CallbackListener::bind(&[0]).await.expect("a free port");
    let port = first.port();
    let first = tokio::spawn(async move {
        let Return { result, browser: shown } = first.wait(&state()).await;
        shown.show(Page::of(result.as_ref().expect_err("no code came"))).await;
        result.err()
    });
    let second = CallbackListener::bind(&[port, 0]).await.expect("the port is given away");
    assert_eq!(second.port(), port);
    assert_eq!(first.await.expect("not aborted"), Some(LoginError::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_stays_is_asked_once_and_passed_over() {
    let (held, port) = held_port().await;
    let done = Arc::new(Notify::new());
    let asked = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut asked = Vec::new();
            loop {
                tokio::select! {
                    biased;
                    Ok((stream, _)) = held.accept() => asked.push(first_line(stream).await),
                    () = done.notified() => return asked,
                }
            }
        }
    });
    let listener = CallbackListener::bind(&[port, 0]).await.expect("the second port is free");
    assert_ne!(listener.port(), port);
    done.notify_one();
    assert_eq!(asked.await.expect("not aborted"), ["GET /cancel HTTP/1.1"]);
}

async fn first_line(mut stream: TcpStream) -> String {
    let mut buffer = [0; 1024];
    let read = stream.read(&mut buffer).await.expect("readable");
    String::from_utf8_lossy(&buffer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn without_a_port_there_is_no_sign_in() {
    assert!(matches!(CallbackListener::bind(&[]).await, Err(LoginError::Listen { port: 0, .. })));
}

#[tokio::test(start_paused = true)]
async fn without_a_free_port_there_is_no_sign_in() {
    let (held, port) = held_port().await;
    assert_eq!(CallbackListener::bind(&[port]).await.err(), Some(LoginError::PortBusy { port }));
    drop(held);
}

#[test]
fn pages_load_nothing_and_say_so() {
    let answer = Reply::Page(Page::SIGNED_IN).response();
    let policy = answer.headers()["content-security-policy"].to_str().expect("text");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
}
