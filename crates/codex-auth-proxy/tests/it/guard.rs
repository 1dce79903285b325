//! Who may talk to the agent, on every path, before any body is read.

use crate::support::{
    client::{Ask, Got, Line},
    upstream::{Upstream, served},
    world::{Setup, TOKEN, World},
};

const PATHS: [(&str, &str); 12] = [
    ("POST", "/backend-api/codex/responses"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/models"),
    ("GET", "/backend-api/codex/models"),
    ("GET", "/backend-api/codex/responses"),
    ("GET", "/backend-api/wham/accounts/check"),
    ("GET", "/backend-api/wham/usage"),
    ("GET", "/backend-api/wham/settings/user"),
    ("POST", "/oauth/revoke"),
    ("GET", "/health"),
    ("GET", "/"),
    ("GET", "/nowhere"),
];

async fn world() -> (Upstream, World) {
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup::default()).await;
    (upstream, world)
}

#[track_caller]
fn check_denied(got: &Got, case: &str) {
    let code = "runtime_rotation_proxy_unauthorized";
    assert_eq!((got.status(), got.code().as_str()), (401, code), "{case}: {}", got.text());
}

#[tokio::test]
async fn without_our_token_every_path_is_closed() {
    let (upstream, world) = world().await;
    for (method, path) in PATHS {
        let asked = Ask::stranger(method, path);
        check_denied(&asked.send(world.port).await, &format!("{method} {path} without a token"));
        for wrong in ["", "wrong", &TOKEN[1..], "access-1", "refresh-1"] {
            check_denied(
                &asked.clone().bearer(wrong).send(world.port).await,
                &format!("{method} {path} with {wrong:?}"),
            );
        }
        let basic = asked.header("authorization", &format!("Basic {TOKEN}"));
        check_denied(&basic.send(world.port).await, &format!("{method} {path} with another scheme"));
    }
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn our_token_opens_as_bearer_and_as_api_key() {
    let (_upstream, world) = world().await;
    let asked = Ask::stranger("POST", "/v1/responses");
    assert_eq!(asked.clone().bearer(TOKEN).send(world.port).await.status(), 200);
    assert_eq!(asked.header("x-api-key", TOKEN).send(world.port).await.status(), 200);
}

#[tokio::test]
async fn foreign_names_and_pages_are_refused_even_with_our_token() {
    let (upstream, world) = world().await;
    let (port, other) = (world.port, world.port.wrapping_add(1));
    let cases = [
        vec![("host", "evil.example".to_owned())],
        vec![("host", format!("evil.example:{port}"))],
        vec![("host", format!("127.0.0.1:{other}"))],
        vec![("host", "127.0.0.1".to_owned())],
        vec![("host", String::new())],
        vec![("host", format!("127.0.0.1:{port}")), ("host", "evil.example".to_owned())],
        vec![("host", format!("127.0.0.1:{port}")), ("host", format!("127.0.0.1:{port}"))],
        vec![("origin", "https://evil.example".to_owned())],
        vec![("origin", "null".to_owned())],
        vec![("origin", format!("http://localhost:{other}"))],
        vec![("origin", format!("http://127.0.0.1:{port}")), ("origin", "https://evil.example".to_owned())],
    ];
    for (method, path) in PATHS.into_iter().chain([("POST", "/oauth/token"), ("POST", "/backend-api/ps/mcp")]) {
        for case in &cases {
            let asked = Ask::stranger(method, path).bearer(TOKEN);
            let asked = case.iter().fold(asked, |asked, (name, value)| asked.header(name, value));
            check_denied(&asked.send(port).await, &format!("{method} {path} with {case:?}"));
        }
    }
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn our_own_names_are_ours() {
    let (_upstream, world) = world().await;
    let port = world.port;
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")] {
        let own = Ask::turn().header("host", &host).header("origin", &format!("http://{host}"));
        assert_eq!(own.send(port).await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_denied_request_is_answered_before_its_body_comes() {
    let (_upstream, world) = world().await;
    for (method, path) in PATHS {
        let asked = Ask::stranger(method, path).bearer("wrong").header("content-length", "1000000");
        let mut line = asked.open(world.port).await;
        assert_eq!(line.head().await.map(|head| head.status()), Some(401), "{method} {path}");
    }
}

#[tokio::test]
async fn a_lease_token_dies_with_its_lease() {
    let (upstream, world) = world().await;
    let lease = world.lease("lease-token", None);
    let asked = Ask::stranger("POST", "/v1/responses").bearer("lease-token");
    assert_eq!(asked.send(world.port).await.status(), 200);
    world.proxy.leases().close(lease);
    check_denied(&asked.send(world.port).await, "after the lease");
    assert_eq!(upstream.asked(), [1]);
}

#[tokio::test]
async fn a_lease_token_opens_model_routes_only() {
    let (_upstream, world) = world().await;
    world.lease("lease-token", None);
    for (method, path) in PATHS {
        let is_model =
            path.ends_with("/models") || path == "/health" || (path.ends_with("/responses") && method == "POST");
        let got = Ask::stranger(method, path).bearer("lease-token").send(world.port).await;
        assert_eq!(got.status() == 401, !is_model, "{method} {path}: {}", got.status());
    }
}

#[tokio::test]
async fn a_leased_home_is_known_by_its_current_and_its_previous_login() {
    let (_upstream, world) = world().await;
    let of = |token: &str| Ask::stranger("GET", "/backend-api/wham/accounts/check").bearer(token);
    world.homes.sign_in("/home", 1, Some(("first", "r1")));
    check_denied(&of("first").send(world.port).await, "a home without a lease");
    let lease = world.lease("lease-token", Some("/home"));
    assert_eq!(of("first").send(world.port).await.status(), 200);
    world.homes.sign_in("/home", 1, Some(("second", "r2")));
    for token in ["second", "first"] {
        assert_eq!(of(token).send(world.port).await.status(), 200, "{token}");
    }
    world.homes.sign_in("/home", 1, Some(("third", "r3")));
    assert_eq!(of("third").send(world.port).await.status(), 200);
    check_denied(&of("first").send(world.port).await, "two logins ago");
    world.proxy.leases().close(lease);
    for token in ["third", "second"] {
        check_denied(&of(token).send(world.port).await, "after the lease");
    }
}

#[tokio::test]
async fn the_gate_before_a_turn_names_the_face_account() {
    let (_upstream, world) = world().await;
    world.homes.sign_in("/home", 2, Some(("access-face", "r")));
    world.lease("lease-token", Some("/home"));
    let asked = Ask::stranger("GET", "/backend-api/wham/accounts/check").bearer("access-face");
    for (named, expect) in [(asked.clone().header("chatgpt-account-id", "ws-face"), "ws-face"), (asked, "ws-2")] {
        let body = named.send(world.port).await.json();
        let accounts = body["accounts"].as_array().unwrap();
        assert_eq!((accounts.len(), accounts[0]["id"].as_str()), (1, Some(expect)));
        assert_eq!(accounts[0]["workspace_backend_origin"], "https://chatgpt.com");
        assert_eq!(accounts[0]["account_routing_override"], "NO_CONSTRAINT");
    }
}

#[tokio::test]
async fn connectors_get_an_error_at_once_and_nothing_else() {
    let (upstream, world) = world().await;
    let call = br#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#;
    let got = Ask::stranger("POST", "/backend-api/ps/mcp").body(call).send(world.port).await;
    let body = got.json();
    assert_eq!((got.status(), body["id"].as_i64(), body["jsonrpc"].as_str()), (200, Some(7), Some("2.0")));
    assert!(body["error"]["code"].is_i64() && body.get("result").is_none(), "{body}");
    let other = Ask::stranger("GET", "/backend-api/ps/mcp").send(world.port).await;
    check_denied(&other, "the same path without our answer");
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn an_upgrade_is_answered_so_that_the_client_falls_back() {
    let (_upstream, world) = world().await;
    let asked = Ask::stranger("GET", "/backend-api/codex/responses").bearer(TOKEN);
    let asked = asked.header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(asked.send(world.port).await.status(), 426);
}

#[tokio::test]
async fn a_line_of_nonsense_ends_and_the_next_one_is_served() {
    let (_upstream, world) = world().await;
    for nonsense in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"HELO\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"] {
        let mut line = Line::open(world.port).await;
        line.say(nonsense).await;
        line.hang_up().await;
        assert_ne!(line.answer().await.status(), 200);
    }
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
}
