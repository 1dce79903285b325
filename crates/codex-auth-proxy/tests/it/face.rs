//! Calls that concern the account the client believes to be go out with that account's credential and no other's.

use std::time::Duration;

use codex_auth_core::{Rest, RestReason, testing::pool};

use crate::support::{
    client::{Ask, Got},
    upstream::{Act, Seen, Upstream, json},
    world::{NOW, Setup, TOKEN, World},
};

/// A world with two leased homes: account 2 of the pool, and somebody who is not in it.
async fn world(script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> (Upstream, World) {
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup::default()).await;
    world.homes.sign_in("/home", 2, Some(("access-2-of-home", "r2")));
    world.homes.sign_in("/stranger", 7, Some(("access-7-of-home", "r7")));
    world.lease("lease-2", Some("/home"));
    world.lease("lease-7", Some("/stranger"));
    (upstream, world)
}

async fn settings(world: &World, bearer: &str, face: &str) -> Got {
    let asked = Ask::stranger("GET", "/backend-api/wham/settings/user?a=b").bearer(bearer);
    asked.header("chatgpt-account-id", face).send(world.port).await
}

#[tokio::test]
async fn a_face_in_the_pool_wears_the_pools_token() {
    let (upstream, world) = world(|_| json(418, "{\"theirs\":1}")).await;
    let got = settings(&world, "access-2-of-home", "ws-2").await;
    assert_eq!((got.status(), got.text().as_str()), (418, "{\"theirs\":1}"));
    let seen = upstream.seen().remove(0).head;
    assert_eq!(seen.line, "GET /backend-api/wham/settings/user?a=b HTTP/1.1");
    assert_eq!(seen.header("authorization"), Some("Bearer access-2"));
    assert_eq!(seen.header("chatgpt-account-id"), Some("ws-2"));
}

#[tokio::test]
async fn a_face_outside_the_pool_wears_its_own() {
    let (upstream, world) = world(|_| json(200, "{}")).await;
    assert_eq!(settings(&world, "access-7-of-home", "ws-7").await.status(), 200);
    let seen = upstream.seen().remove(0).head;
    assert_eq!(seen.header("authorization"), Some("Bearer access-7-of-home"));
}

#[tokio::test]
async fn a_call_that_is_nobodys_goes_nowhere() {
    let (upstream, world) = world(|_| json(200, "{}")).await;
    for (bearer, face) in [(TOKEN, "ws-1"), ("access-2-of-home", "ws-1"), ("access-7-of-home", "ws-2")] {
        assert_eq!(settings(&world, bearer, face).await.status(), 404, "{bearer} as {face}");
    }
    assert_eq!(upstream.asked(), [0; 0]);
}

#[tokio::test]
async fn a_refused_token_of_a_face_is_no_401_for_the_client() {
    let (_upstream, world) = world(|_| json(401, "{}")).await;
    assert_eq!(settings(&world, "access-2-of-home", "ws-2").await.status(), 404);
}

#[tokio::test]
async fn quotas_are_those_of_who_serves_under_the_faces_names() {
    let usage = r#"{"account_id":"ws-1","user_id":"user-1","email":"person1@example.test","rate_limit":{"used":7}}"#;
    let (upstream, world) = world(move |_| json(200, usage)).await;
    let asked = Ask::stranger("GET", "/backend-api/wham/usage").bearer("access-2-of-home");
    let body = asked.header("chatgpt-account-id", "ws-2").send(world.port).await.json();
    assert_eq!(upstream.asked(), [1]);
    let names = ["account_id", "user_id", "email"].map(|key| body[key].as_str().unwrap_or_default().to_owned());
    assert_eq!(names, ["ws-2", "user-2", "person2@example.test"]);
    assert_eq!(body["rate_limit"]["used"], 7);
}

#[tokio::test]
async fn a_backend_that_falls_silent_keeps_nobody_waiting() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
    let upstream = Upstream::answering(move |_| vec![Act::Send(head.clone()), Act::Hang]).await;
    let setup = Setup { config: |config| config.silence = Duration::from_millis(100), ..Setup::default() };
    let world = World::before(&upstream, setup).await;
    world.homes.sign_in("/home", 2, Some(("access-2-of-home", "r2")));
    world.lease("lease-2", Some("/home"));
    let asked = Ask::stranger("GET", "/backend-api/wham/usage").bearer("access-2-of-home");
    assert_eq!(asked.header("chatgpt-account-id", "ws-2").send(world.port).await.status(), 503);
    let cut = settings(&world, "access-2-of-home", "ws-2").await;
    assert!(!cut.is_whole, "what is not whole does not look whole");
}

#[tokio::test]
async fn the_catalogue_is_the_union_over_those_who_can_serve() {
    let script = |seen: &Seen| match seen.account() {
        1 => json(200, r#"{"models":[{"slug":"a"},{"slug":"b","of":1}]}"#),
        2 => json(200, r#"{"models":[{"slug":"b","of":2},{"slug":"c"}]}"#),
        _ => json(500, "{}"),
    };
    let upstream = Upstream::answering(script).await;
    let mut four = pool(4);
    four.accounts[3].account.rest(Rest::of_account(RestReason::UsageLimit, NOW.after(Duration::from_mins(1)), NOW));
    let world = World::before(&upstream, Setup { pool: four, ..Setup::default() }).await;
    let asked = Ask::stranger("GET", "/v1/models?client_version=1").bearer(TOKEN);
    let got = asked.send(world.port).await;
    let body = got.json();
    let slugs: Vec<_> =
        body["models"].as_array().unwrap().iter().map(|model| model["slug"].as_str().unwrap()).collect();
    assert_eq!((slugs.as_slice(), body["models"][1]["of"].as_u64()), (&["a", "b", "c"][..], Some(1)));
    let mut accounts = upstream.asked();
    accounts.sort_unstable();
    assert_eq!(accounts, [1, 2, 3], "who rests is not asked");
    assert_eq!(upstream.seen()[0].head.line, "GET /backend-api/codex/models?client_version=1 HTTP/1.1");
    let etag = got.header("etag").unwrap().to_owned();
    assert_eq!(asked.send(world.port).await.header("etag"), Some(etag.as_str()));
}
