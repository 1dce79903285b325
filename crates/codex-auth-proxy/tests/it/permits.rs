//! Capabilities: what each limit refuses, that none opens more than model routes, and what outlives the agent.

use std::time::Duration;

use codex_auth_core::{Permit, PermitTerms, StateDir, testing::SeededEntropy};
use codex_auth_proxy::{ControlError, attach};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{Place, Running},
    client::{Ask, Got},
    upstream::{Act, Upstream, event, json as said, served, stream_head},
    within,
    world::{NOW, Setup, World},
};

const HOUR: Duration = Duration::from_hours(1);

fn terms() -> PermitTerms {
    PermitTerms { lasts: HOUR, ..PermitTerms::default() }
}

async fn world() -> (Upstream, World) {
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup::default()).await;
    (upstream, world)
}

async fn issue(world: &World, terms: PermitTerms) -> (Permit, String) {
    let entropy = SeededEntropy::new(world.proxy.leases().permits().list().len() as u64);
    let made = world.proxy.leases().permits().issue(terms, false, &entropy, NOW).await;
    let (permit, secret) = made.expect("made");
    (permit, secret.expose().to_owned())
}

fn turn(secret: &str, model: &str) -> Ask {
    let body = json!({ "model": model, "input": [] }).to_string();
    Ask::stranger("POST", "/v1/responses").bearer(secret).body(body.as_bytes())
}

/// A usage limit whose end is known.
fn exhausted() -> Vec<Act> {
    let resets_at = NOW.as_secs_ceil() + 3600;
    said(429, &format!(r#"{{"error":{{"type":"usage_limit_reached","resets_at":{resets_at}}}}}"#))
}

#[track_caller]
fn check(got: &Got, status: u16, code: &str) {
    assert_eq!((got.status(), got.code().as_str()), (status, code), "{}", got.text());
}

#[tokio::test]
async fn a_capability_opens_model_routes_and_nothing_else() {
    let (_upstream, world) = world().await;
    let (_, secret) = issue(&world, terms()).await;
    for path in ["/v1/responses", "/backend-api/codex/responses", "/v1/images/generations"] {
        assert_eq!(Ask::stranger("POST", path).bearer(&secret).send(world.port).await.status(), 200, "{path}");
    }
    assert_eq!(
        Ask::stranger("POST", "/v1/responses").header("x-api-key", &secret).send(world.port).await.status(),
        200
    );
    assert_eq!(Ask::stranger("GET", "/v1/models").bearer(&secret).send(world.port).await.status(), 200);
    for (method, path) in [
        ("GET", "/backend-api/wham/accounts/check"),
        ("GET", "/backend-api/wham/usage"),
        ("GET", "/backend-api/wham/settings/user"),
        ("POST", "/backend-api/codex/analytics-events/events"),
        ("POST", "/oauth/revoke"),
        ("POST", "/oauth/token"),
        ("GET", "/v1/permits"),
        ("POST", "/v1/permits"),
        ("POST", "/v1/permits/revoke"),
        ("POST", "/v1/handover"),
        ("GET", "/nowhere"),
    ] {
        let got = Ask::stranger(method, path).bearer(&secret).send(world.port).await;
        let opens = got.status() == 200 && !path.starts_with("/v1/");
        assert!(!opens, "{method} {path}: {}", got.status());
        assert!(!got.text().contains("cma_cap_"), "{method} {path}");
    }
    for (method, path) in [("GET", "/backend-api/wham/usage"), ("POST", "/oauth/revoke"), ("POST", "/oauth/token")] {
        let got = Ask::stranger(method, path).bearer(&secret).send(world.port).await;
        check(&got, 401, "runtime_rotation_proxy_unauthorized");
    }
}

#[tokio::test]
async fn what_resembles_a_capability_is_refused_without_a_wait() {
    let (upstream, world) = world().await;
    let (_, secret) = issue(&world, terms()).await;
    let last = if secret.ends_with('0') { '1' } else { '0' };
    let other = format!("{}{last}", &secret[..secret.len() - 1]);
    for wrong in [&secret[..secret.len() - 1], &other, "cma_cap_", &format!("{secret}0"), &secret.to_uppercase()] {
        let began = Instant::now();
        check(&turn(wrong, "m").send(world.port).await, 401, "runtime_rotation_proxy_unauthorized");
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn a_capability_ends_with_its_time() {
    let (_upstream, world) = world().await;
    let (_, secret) = issue(&world, terms()).await;
    assert_eq!(turn(&secret, "m").send(world.port).await.status(), 200);
    world.clock.advance(HOUR);
    check(&turn(&secret, "m").send(world.port).await, 401, "runtime_rotation_proxy_unauthorized");
}

#[tokio::test]
async fn its_requests_are_counted_however_many_come_at_once() {
    let (upstream, world) = world().await;
    let (_, secret) = issue(&world, PermitTerms { requests: Some(40), ..terms() }).await;
    let asked: Vec<_> = (0..60)
        .map(|_| {
            let (ask, port) = (turn(&secret, "m"), world.port);
            tokio::spawn(async move { ask.send(port).await })
        })
        .collect();
    let mut let_in = 0;
    for got in asked {
        let got = got.await.expect("asked");
        if got.status() == 200 {
            let_in += 1;
        } else {
            check(&got, 429, "capability_requests_spent");
            assert_eq!(got.json()["error"]["resets_at"], NOW.as_secs_ceil() + 3600, "{}", got.text());
        }
    }
    assert_eq!((let_in, upstream.asked().len()), (40, 40));
    // The catalogue is no request of a model.
    assert_eq!(Ask::stranger("GET", "/v1/models").bearer(&secret).send(world.port).await.status(), 200);
}

#[tokio::test]
async fn another_model_is_refused_and_not_counted() {
    let (upstream, world) = world().await;
    let limits = PermitTerms { models: vec!["gpt-5.5".into()], requests: Some(2), ..terms() };
    let (_, secret) = issue(&world, limits).await;
    let refused = [
        turn(&secret, "gpt-6"),
        turn(&secret, "gpt-5.5 "),
        turn(&secret, ""),
        turn(&secret, "gpt-5.5").body(b""),
        turn(&secret, "m").body(br#"{"model":"gpt-5.5","model":"gpt-6"}"#),
        turn(&secret, "m").body(br#"{"model":"gpt-6","model":"gpt-5.5"}"#),
        turn(&secret, "gpt-6").header("x-codex-routing-hint", "model=gpt-5.5"),
        turn(&secret, "gpt-5.5").header("content-encoding", "gzip"),
        Ask::stranger("GET", "/v1/files").bearer(&secret),
    ];
    for ask in refused {
        check(&ask.send(world.port).await, 403, "capability_model_not_allowed");
    }
    assert_eq!(upstream.asked(), [0; 0]);
    let packed = zstd::bulk::compress(br#"{"model":"gpt-5.5"}"#, 3).expect("compresses");
    let packed = turn(&secret, "").header("content-encoding", "zstd").body(&packed);
    assert_eq!(packed.send(world.port).await.status(), 200);
    assert_eq!(turn(&secret, "gpt-5.5").send(world.port).await.status(), 200);
    check(&turn(&secret, "gpt-5.5").send(world.port).await, 429, "capability_requests_spent");
}

#[tokio::test]
async fn its_account_serves_or_nobody_does() {
    let upstream = Upstream::answering(|seen| if seen.account() == 2 { exhausted() } else { served() }).await;
    let world = World::before(&upstream, Setup::default()).await;
    let record = world.proxy.rotation().pool().accounts[1].account.record.clone();
    let (_, secret) = issue(&world, PermitTerms { account: Some(record), ..terms() }).await;
    let got = turn(&secret, "m").send(world.port).await;
    check(&got, 429, "codex_pinned_account_unavailable");
    assert!(got.text().contains("Account 2") && got.json()["error"]["resets_at"].is_i64(), "{}", got.text());
    assert_eq!(upstream.asked(), [2]);
    // Nobody else is kept from the pool.
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(upstream.asked(), [2, 1]);
}

#[tokio::test]
async fn an_account_that_left_leaves_its_capability_without_any() {
    let (upstream, world) = world().await;
    let record = codex_auth_core::RecordId::parse("record:gone");
    let (_, secret) = issue(&world, PermitTerms { account: record, ..terms() }).await;
    check(&turn(&secret, "m").send(world.port).await, 400, "codex_pinned_account_unavailable");
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn a_revoked_capability_stops_in_mid_answer() {
    let upstream = Upstream::answering(|_| vec![Act::Send([stream_head(""), event("one")].concat()), Act::Hang]).await;
    let world = World::before(&upstream, Setup::default()).await;
    let (permit, secret) = issue(&world, terms()).await;
    let mut line = turn(&secret, "m").open(world.port).await;
    assert_eq!(line.head().await.map(|head| head.status()), Some(200));
    assert!(line.piece().await.expect("a first event").is_some());
    let began = Instant::now();
    let gone = world.proxy.leases().permits().revoke(Some(permit.id.clone())).await.expect("revoked");
    assert_eq!(gone, [permit.id]);
    assert_eq!(line.piece().await, Err(()), "the answer breaks off");
    check(&turn(&secret, "m").send(world.port).await, 401, "runtime_rotation_proxy_unauthorized");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    world.all_settled().await;
    upstream.left(1).await;
}

/// An agent of a place, and what is asked of its control socket.
struct Asked {
    upstream: Upstream,
    place: std::sync::Arc<Place>,
    agent: Running,
}

impl Asked {
    async fn new() -> Self {
        let upstream = Upstream::answering(|_| served()).await;
        let place = Place::before(&upstream);
        let agent = place.start(1, None).await.unwrap();
        Self { upstream, place, agent }
    }

    async fn ask(&self, path: &str, body: Value) -> Result<Value, ControlError> {
        self.place.client().ask(Method::POST, path, &body).await
    }

    async fn issue(&self, limits: Value) -> Result<Value, ControlError> {
        let mut body = json!({ "name": null, "account": null, "models": [], "requests": null,
            "lastsMs": 3_600_000, "reopens": false });
        for (key, value) in limits.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.ask("/v1/permits", body).await
    }

    async fn list(&self) -> Value {
        self.place.client().ask(Method::GET, "/v1/permits", &Value::Null).await.unwrap()["permits"].clone()
    }

    /// Kills the agent and starts another one in its place.
    async fn killed(self, seed: u64) -> Self {
        let Self { upstream, place, agent } = self;
        agent.kill().await;
        let agent = place.start(seed, None).await.unwrap();
        Self { upstream, place, agent }
    }

    fn file(&self) -> String {
        String::from_utf8(self.place.directory.read("capabilities.json").unwrap().unwrap()).unwrap()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_capability_outlives_a_killed_agent_and_so_does_its_count() {
    let asked = Asked::new().await;
    let made = asked.issue(json!({ "requests": 3, "name": "ci" })).await.unwrap();
    let (secret, port) = (text(&made["token"]), asked.agent.port());
    assert_eq!(made["port"], port);
    assert!(!asked.file().contains(&secret) && !asked.list().await.to_string().contains(&secret));
    assert_eq!(turn(&secret, "m").send(port).await.status(), 200);
    let asked = asked.killed(2).await;
    assert_eq!(asked.agent.port(), port);
    assert_eq!(turn(&secret, "m").send(port).await.status(), 200);
    let asked = asked.killed(3).await;
    assert_eq!(asked.list().await[0]["used"], 2);
    assert_eq!(turn(&secret, "m").send(port).await.status(), 200);
    check(&turn(&secret, "m").send(port).await, 429, "capability_requests_spent");
    let asked = asked.killed(4).await;
    check(&turn(&secret, "m").send(port).await, 429, "capability_requests_spent");
    assert_eq!(asked.upstream.asked().len(), 3);
    // Under its name the same one is asked for again, and its count goes on.
    let again = asked.issue(json!({ "requests": 3, "name": "ci" })).await.unwrap();
    assert_eq!((&again["id"], again["token"] == made["token"]), (&made["id"], false));
    check(&turn(&text(&again["token"]), "m").send(port).await, 429, "capability_requests_spent");
}

#[tokio::test]
async fn an_agent_that_ends_well_keeps_the_exact_count() {
    let asked = Asked::new().await;
    let made = asked.issue(json!({ "requests": 1000 })).await.unwrap();
    let port = asked.agent.port();
    assert_eq!(turn(&text(&made["token"]), "m").send(port).await.status(), 200);
    let Asked { upstream, place, agent } = asked;
    agent.stop().await.unwrap();
    let agent = place.start(2, None).await.unwrap();
    let asked = Asked { upstream, place, agent };
    assert_eq!(asked.list().await[0]["used"], 1);
    let asked = asked.killed(3).await;
    assert_eq!(asked.list().await[0]["used"], 1);
}

#[tokio::test]
async fn a_revocation_outlives_a_killed_agent_and_closes_the_name() {
    let asked = Asked::new().await;
    let made = asked.issue(json!({ "name": "ci" })).await.unwrap();
    let port = asked.agent.port();
    let gone = asked.ask("/v1/permits/revoke", json!({ "which": "ci" })).await.unwrap();
    assert_eq!(gone["revoked"], json!([made["id"]]));
    check(&turn(&text(&made["token"]), "m").send(port).await, 401, "runtime_rotation_proxy_unauthorized");
    let asked = asked.killed(2).await;
    check(&turn(&text(&made["token"]), "m").send(port).await, 401, "runtime_rotation_proxy_unauthorized");
    let refused = asked.issue(json!({ "name": "ci" })).await;
    assert!(matches!(refused, Err(ControlError::Refused { code, .. }) if code == "capability_revoked"));
    let again = asked.issue(json!({ "name": "ci", "reopens": true })).await.unwrap();
    assert_eq!(turn(&text(&again["token"]), "m").send(port).await.status(), 200);
    asked.ask("/v1/permits/revoke", json!({ "all": true })).await.unwrap();
    check(&turn(&text(&again["token"]), "m").send(port).await, 401, "runtime_rotation_proxy_unauthorized");
    for nothing in [json!({}), json!({ "all": false }), Value::Null] {
        assert!(asked.ask("/v1/permits/revoke", nothing).await.is_err());
    }
}

#[tokio::test]
async fn the_agent_stays_as_long_as_a_capability_is_good_for_a_request() {
    let asked = Asked::new().await;
    let attached = attach(&asked.place.client(), &Place::request(), &|| Ok(())).await.unwrap();
    let made = asked.issue(json!({ "requests": 1 })).await.unwrap();
    drop(attached);
    let dropped_at = Instant::now();
    // Longer than an agent without any lease lives.
    while dropped_at.elapsed() < Duration::from_millis(2500) {
        assert_eq!(asked.list().await.as_array().unwrap().len(), 1);
        tokio::task::yield_now().await;
    }
    assert_eq!(turn(&text(&made["token"]), "m").send(asked.agent.port()).await.status(), 200);
    let spent_at = Instant::now();
    within("the agent to end", asked.agent.ended()).await.unwrap();
    let lived_on = spent_at.elapsed();
    assert!(lived_on >= Duration::from_millis(1900), "it left {lived_on:?} after the last request");
}

#[tokio::test]
async fn a_damaged_file_lets_nobody_in_and_is_left_as_it_is() {
    let asked = Asked::new().await;
    let made = asked.issue(json!({})).await.unwrap();
    let port = asked.agent.port();
    for damage in [&asked.file()[1..], "{\"version\":2}", "null"] {
        let whole = asked.file();
        let directory = asked.place.directory.clone();
        let Asked { upstream, place, agent } = Asked::new().await;
        place.directory.replace("capabilities.json", damage.as_bytes()).unwrap();
        let asked = Asked { upstream, place, agent }.killed(5).await;
        check(
            &turn(&text(&made["token"]), "m").send(asked.agent.port()).await,
            401,
            "runtime_rotation_proxy_unauthorized",
        );
        let refused = asked.issue(json!({})).await;
        assert!(matches!(refused, Err(ControlError::Refused { code, .. }) if code == "storage"));
        assert_eq!(asked.file(), damage);
        // Once it is mended, it counts again.
        asked.place.directory.remove("capabilities.json").unwrap();
        assert!(asked.issue(json!({})).await.is_ok());
        directory.replace("capabilities.json", whole.as_bytes()).unwrap();
    }
    assert_eq!(turn(&text(&made["token"]), "m").send(port).await.status(), 200);
}

#[tokio::test]
async fn the_socket_refuses_what_no_capability_may_be() {
    let asked = Asked::new().await;
    let cases = [
        (json!({ "lastsMs": 0 }), "capability_refused"),
        (json!({ "lastsMs": 31_u64 * 24 * 3_600_000 }), "capability_refused"),
        (json!({ "account": "record:nobody" }), "no_such_account"),
        (json!({ "account": "" }), "no_such_account"),
        (json!({ "models": null }), "bad_capability"),
        (json!({ "requests": -1 }), "bad_capability"),
    ];
    for (limits, expect) in cases {
        let refused = asked.issue(limits.clone()).await;
        assert!(matches!(&refused, Err(ControlError::Refused { code, .. }) if code == expect), "{limits}: {refused:?}");
    }
    assert_eq!(asked.list().await, json!([]));
}
