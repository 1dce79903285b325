//! The agent's life: one per directory, as long as somebody holds a lease, and back on its port when it is killed.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use codex_auth_core::{AccountStore, Strategy};
use codex_auth_proxy::{AgentError, ControlError, attach, hold};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{Place, Running},
    client::Ask,
    upstream::{Upstream, served},
    within,
};

async fn place() -> (Upstream, Arc<Place>) {
    let upstream = Upstream::answering(|_| served()).await;
    let place = Place::before(&upstream);
    (upstream, place)
}

/// A start that may not happen.
fn nobody() -> io::Result<()> {
    panic!("an agent runs, so none is started")
}

fn turn_of(token: &str) -> Ask {
    Ask::stranger("POST", "/v1/responses").bearer(token)
}

async fn hello(place: &Place) -> Result<Value, ControlError> {
    place.client().ask(Method::GET, "/v1/hello", &Value::Null).await
}

#[tokio::test]
async fn a_second_agent_refuses_and_the_first_goes_on() {
    let (_upstream, place) = place().await;
    let first = place.start(1, None).await.unwrap();
    assert!(matches!(place.start(2, None).await, Err(AgentError::AlreadyServed)));
    assert_eq!(hello(&place).await.unwrap()["port"], first.port());
    first.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_that_was_demanded_and_is_taken_is_an_error() {
    let (_upstream, place) = place().await;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = place.start(1, Some(port)).await;
    assert!(matches!(refused, Err(AgentError::PortTaken { port: named }) if named == port));
}

#[tokio::test]
async fn a_lease_serves_until_it_is_dropped_and_the_agent_goes_after_the_last() {
    let (_upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    let first = attach(&place.client(), &Place::request(), &nobody).await.unwrap();
    let last = attach(&place.client(), &Place::request(), &nobody).await.unwrap();
    let (port, token) = (first.port, first.token.clone());
    assert_eq!((port, first.token == last.token), (agent.port(), false));
    assert_eq!(turn_of(token.expose()).send(port).await.status(), 200);
    drop(first);
    let dropped_at = Instant::now();
    let closed = async { while turn_of(token.expose()).send(port).await.status() != 401 {} };
    within("the dropped lease's token to be worth nothing", closed).await;
    // Longer than an agent without any lease lives.
    while dropped_at.elapsed() < Duration::from_millis(2200) {
        assert_eq!(turn_of(last.token.expose()).send(port).await.status(), 200);
        tokio::task::yield_now().await;
    }
    drop(last);
    let dropped_at = Instant::now();
    agent.ended().await.unwrap();
    let lived_on = dropped_at.elapsed();
    assert!(lived_on >= Duration::from_millis(1900), "it left {lived_on:?} after its last client");
    assert!(matches!(hello(&place).await, Err(ControlError::NotRunning)));
}

#[tokio::test]
async fn attaching_starts_an_agent_where_none_runs() {
    let (_upstream, place) = place().await;
    let begun: Mutex<Vec<Running>> = Mutex::default();
    let start = || {
        begun.lock().unwrap().push(place.begin(1, None));
        Ok(())
    };
    let attached = attach(&place.client(), &Place::request(), &start).await.unwrap();
    assert_eq!(turn_of(attached.token.expose()).send(attached.port).await.status(), 200);
    assert_eq!(begun.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_said_so_at_once() {
    let (_upstream, place) = place().await;
    let start = || Err(io::ErrorKind::NotFound.into());
    let refused = attach(&place.client(), &Place::request(), &start).await;
    assert!(matches!(refused, Err(ControlError::NotStarted(_))));
}

#[tokio::test]
async fn a_killed_agent_comes_back_on_its_port_under_the_same_token() {
    let (upstream, place) = place().await;
    let first = place.start(1, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &nobody).await.unwrap();
    let (port, token) = (attached.port, attached.token.clone());
    assert_eq!(turn_of(token.expose()).send(port).await.status(), 200);

    first.kill().await;
    let thief = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    assert_eq!(thief.map_err(|error| error.kind()).unwrap_err(), io::ErrorKind::AddrInUse);
    let mut waiting = turn_of(token.expose()).open(port).await;

    let begun = Arc::new(Mutex::new(Vec::new()));
    let (again, place_of) = (begun.clone(), place.clone());
    let start = move || {
        again.lock().unwrap().push(place_of.begin(2, None));
        Ok(())
    };
    let holding = tokio::spawn(hold(place.client(), Place::request(), Arc::new(start), attached));
    let got = waiting.answer().await;
    assert_eq!((got.status(), got.is_whole), (200, true), "the connection made in between is answered");
    assert_eq!(turn_of(token.expose()).send(port).await.status(), 200);
    assert_eq!(hello(&place).await.unwrap()["port"], port);
    assert_eq!(upstream.asked(), [1, 1, 1]);

    let second = begun.lock().unwrap().pop().unwrap();
    second.kill().await;
    assert_eq!(turn_of(token.expose()).send(port).await.status(), 200, "and once more");
    holding.abort();
}

#[tokio::test]
async fn a_stopped_agent_leaves_its_port_and_token_to_the_next() {
    let (_upstream, place) = place().await;
    let first = place.start(1, None).await.unwrap();
    let (before, socket) = (first.ready().record, first.ready().record.socket);
    first.stop().await.unwrap();
    assert!(!std::path::Path::new(&socket).exists(), "nobody finds a socket behind which nobody answers");
    let second = place.start(2, None).await.unwrap();
    let after = second.ready().record;
    assert_eq!((after.port, after.client_token), (before.port, before.client_token));
    second.stop().await.unwrap();
}

#[tokio::test]
async fn changes_of_other_programs_are_taken_in() {
    let (upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &nobody).await.unwrap();
    let chosen = async |number: u64| {
        let asked = async {
            while place.client().ask(Method::POST, "/v1/decide", &Value::Null).await.unwrap()["account"] != number {
                tokio::task::yield_now().await;
            }
        };
        within("the choice to change", asked).await;
    };
    chosen(1).await;
    place.store.edit(Box::new(|pool| pool.accounts[0].account.enabled = false)).await.unwrap();
    chosen(2).await;
    assert_eq!(turn_of(attached.token.expose()).send(attached.port).await.status(), 200);
    assert_eq!(upstream.asked(), [2]);
    place.store.edit(Box::new(|pool| pool.accounts[0].account.enabled = true)).await.unwrap();
    chosen(2).await;
    *place.settings.0.lock().unwrap() = Strategy::Manual;
    chosen(1).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_status_lists_who_is_served_by_whom() {
    let (_upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &nobody).await.unwrap();
    turn_of(attached.token.expose()).send(attached.port).await;
    let status = place.client().ask(Method::GET, "/v1/status", &Value::Null).await.unwrap();
    let session = &status["sessions"][0];
    assert_eq!((session["pid"].as_u64(), session["cwd"].as_str()), (Some(7), Some("/work-place")));
    assert_eq!((session["account"].as_u64(), session["requests"].as_u64()), (Some(1), Some(1)));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_control_socket_refuses_what_it_does_not_know() {
    let (_upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    let code = async |method: Method, path: &str, body: Value| match place.client().ask(method, path, &body).await {
        Err(ControlError::Refused { code, .. }) => code,
        other => format!("{other:?}"),
    };
    assert_eq!(code(Method::GET, "/v1/nothing", Value::Null).await, "not_found");
    assert_eq!(code(Method::POST, "/v1/lease", json!({ "pid": "x" })).await, "bad_lease");
    assert_eq!(code(Method::POST, "/v1/refresh", json!({ "recordId": "x" })).await, "no_such_account");
    assert_eq!(code(Method::POST, "/v1/refresh", json!({ "x": "y".repeat(100_000) })).await, "unreadable");
    let unknown = json!({ "of": "a later version" });
    assert!(place.client().ask(Method::POST, "/v1/decide", &unknown).await.is_ok());
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_that_is_asked_to_hand_over_ends() {
    let (_upstream, place) = place().await;
    let agent = place.start(1, None).await.unwrap();
    place.client().ask(Method::POST, "/v1/handover", &Value::Null).await.unwrap();
    agent.ended().await.unwrap();
}
