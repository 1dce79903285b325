//! Limits: bodies over the cap, heads that could hide a second request or never end, connections beyond the most.

use crate::support::{
    client::{Ask, Line},
    upstream::{Upstream, served},
    world::{Setup, TOKEN, World},
};

const CAP: usize = 64 * 1024 * 1024;

async fn world() -> (Upstream, World) {
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup::default()).await;
    (upstream, world)
}

#[tokio::test]
async fn an_announced_body_over_the_cap_is_refused_before_a_byte_of_it() {
    let (upstream, world) = world().await;
    for length in [CAP + 1, usize::MAX / 2] {
        let mut line = Ask::turn().header("content-length", &length.to_string()).body(b"").open(world.port).await;
        let got = line.answer().await;
        assert_eq!((got.status(), got.code().as_str()), (413, "runtime_rotation_proxy_payload_too_large"));
        assert!(got.text().contains("64 MiB"), "{}", got.text());
        assert_eq!(got.header("connection"), Some("close"));
    }
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn a_chunked_body_over_the_cap_is_refused_before_it_is_all_sent() {
    let (upstream, world) = world().await;
    let mut line = Ask::turn().header("transfer-encoding", "chunked").body(b"").open(world.port).await;
    let chunk = [b"100000\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    // Far more than the cap: a proxy that reads on would take it all.
    while sent < 2 * CAP && line.say(&chunk).await {
        sent += 1 << 20;
    }
    assert!(sent < 2 * CAP, "the proxy read on after the cap");
    assert_eq!(upstream.asked(), [0; 0]);
    assert_eq!(Ask::turn().send(world.port).await.status(), 200, "others are served as before");
}

#[tokio::test]
async fn a_chunked_body_just_over_the_cap_is_told_so() {
    let upstream = Upstream::answering(|_| served()).await;
    let world =
        World::before(&upstream, Setup { config: |config| config.largest_body = 1000, ..Setup::default() }).await;
    let chunked = |length: usize| {
        let body = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        Ask::turn().header("transfer-encoding", "chunked").body(body.as_bytes())
    };
    assert_eq!(chunked(1001).send(world.port).await.status(), 413);
    assert_eq!(Ask::turn().body(&[b'x'; 1001]).send(world.port).await.status(), 413);
    assert_eq!(upstream.asked(), [0; 0]);
    assert_eq!(chunked(1000).send(world.port).await.status(), 200);
    assert_eq!(upstream.seen()[0].body.len(), 1000);
}

#[tokio::test]
async fn bodies_that_are_their_own_credential_must_be_small() {
    let (_upstream, world) = world().await;
    for path in ["/oauth/token", "/backend-api/ps/mcp"] {
        let long = Ask::stranger("POST", path).header("content-length", &(64 * 1024 + 1).to_string());
        let mut line = long.open(world.port).await;
        assert_eq!(line.answer().await.status(), 413, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_nobodys_turn() {
    let (upstream, world) = world().await;
    let mut line = Ask::turn().header("content-length", "100").body(b"only this").open(world.port).await;
    line.hang_up().await;
    assert_ne!(line.answer().await.status(), 200);
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn a_request_with_two_lengths_is_read_by_its_chunks_and_nothing_behind_it() {
    for lengths in [["transfer-encoding", "content-length"], ["content-length", "transfer-encoding"]] {
        let (upstream, world) = world().await;
        let value = |name| if name == "content-length" { "5" } else { "chunked" };
        let asked = lengths.into_iter().fold(Ask::turn(), |asked, name| asked.header(name, value(name)));
        let mut line = asked.body(b"0\r\n\r\n").open(world.port).await;
        line.repeat(&Ask::turn_of("hidden"), world.port).await;
        assert_eq!(line.answer().await.header("connection"), Some("close"));
        assert_eq!(line.answer().await.status(), 0, "the connection is over");
        let turns: Vec<_> = upstream.seen().iter().map(|seen| seen.head.header("session-id").is_some()).collect();
        assert_eq!(turns, [false]);
    }
}

/// Sends a head with `lines` and a body behind which another request hides; neither is served.
async fn check_smuggling(lines: &str, body: &str) {
    let (upstream, world) = world().await;
    let port = world.port;
    let hidden = format!("POST /v1/hidden HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    let head = format!("POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {TOKEN}\r\n");
    let mut line = Line::open(port).await;
    line.say(format!("{head}{lines}\r\n{body}{hidden}").as_bytes()).await;
    line.hang_up().await;
    let first = line.answer().await;
    let turns: Vec<_> = upstream.seen().into_iter().map(|seen| seen.head.line).collect();
    assert_eq!((first.status(), turns.len()), (400, 0), "{lines:?}: {turns:?}");
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    check_smuggling("content-length: 5\r\ncontent-length: 0\r\n", "12345").await;
    check_smuggling("content-length: 0, 5\r\n", "12345").await;
    check_smuggling("content-length: +5\r\n", "12345").await;
    check_smuggling("content-length: 0x5\r\n", "12345").await;
    check_smuggling("content-length: -1\r\n", "").await;
    check_smuggling("content-length : 5\r\n", "12345").await;
    check_smuggling("x-a: 1\r\n content-length: 5\r\n", "12345").await;
    check_smuggling("content-length:\r\n 5\r\n", "12345").await;
    check_smuggling("transfer-encoding: xchunked\r\n", "0\r\n\r\n").await;
    check_smuggling("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n").await;
    check_smuggling("transfer-encoding: chunked\r\n", "zz\r\n").await;
    check_smuggling("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n").await;
    check_smuggling("transfer-encoding: chunked\r\n", "-1\r\n").await;
    check_smuggling("x-a: 1\rcontent-length: 5\r\n", "12345").await;
    check_smuggling("x-a: 1\0\r\n", "").await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (upstream, world) = world().await;
    for long in [Ask::turn().header("x-long", &"x".repeat(64 * 1024)), Ask::stranger("GET", &"/x".repeat(40_000))] {
        let status = long.send(world.port).await.status();
        // A peer that is still writing may find the line reset before it reads the answer.
        assert!([431, 414, 400, 0].contains(&status), "{status}");
    }
    let many = (0..200).fold(Ask::turn(), |asked, n| asked.header(&format!("x-{n}"), "1"));
    assert!([431, 400].contains(&many.send(world.port).await.status()));
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn beyond_the_most_connections_one_waits_for_a_place() {
    let upstream = Upstream::answering(|_| served()).await;
    let setup = Setup { config: |config| config.most_connections = 2, ..Setup::default() };
    let world = World::before(&upstream, setup).await;
    let (first, mut second) = (Line::open(world.port).await, Line::open(world.port).await);
    second.repeat(&Ask::turn(), world.port).await;
    assert_eq!(second.answer().await.status(), 200, "both places are taken now");
    let mut waiting = Ask::turn().open(world.port).await;
    drop(first);
    assert_eq!(waiting.answer().await.status(), 200);
}
