//! What a client is told when nobody can serve it: one answer per cause.

use std::time::Duration;

use codex_auth_core::{NeedsLogin, Rest, RestReason, SavedPool, testing::pool};

use crate::support::{
    client::{Ask, Got},
    upstream::{Upstream, json, served},
    world::{FORMS, NOW, Setup, World},
};

/// Asks a pool of two that `ail` has been at; nobody may be asked upstream.
async fn refused(ail: impl FnOnce(&mut SavedPool)) -> Got {
    let mut pool = pool(2);
    ail(&mut pool);
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup { pool, ..Setup::default() }).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!(upstream.asked(), [0; 0], "nobody can serve, so nobody is asked");
    got
}

fn rest(pool: &mut SavedPool, index: usize, secs: u64) {
    let until = NOW.after(Duration::from_secs(secs));
    pool.accounts[index].account.rest(Rest::of_account(RestReason::UsageLimit, until, NOW));
}

fn sign_out(pool: &mut SavedPool, index: usize) {
    let needs = NeedsLogin { code: "refresh_token_reused".into(), at: NOW };
    pool.accounts[index].account.needs_login = Some(needs);
}

#[track_caller]
fn check(got: &Got, status: u16, code: &str, says: &[&str]) {
    assert_eq!((got.status(), got.code().as_str()), (status, code), "{}", got.text());
    for said in says {
        assert!(got.text().contains(said), "{said} is missing in {}", got.text());
    }
}

#[tokio::test]
async fn all_resting_names_the_earliest_reset() {
    let got = refused(|pool| {
        rest(pool, 0, 900);
        rest(pool, 1, 300);
    })
    .await;
    check(&got, 429, "codex_runtime_rotation_pool_exhausted", &["usage_limit_reached", "rate-limited"]);
    let body = got.json();
    let error = &body["error"];
    assert_eq!(error["resets_at"].as_i64(), Some(NOW.as_millis() / 1000 + 300), "{error}");
    assert_eq!((error["retry_after_ms"].as_u64(), error["plan_type"].as_str()), (Some(300_000), Some("plus")));
    assert_eq!(error["account_skip_reasons"].as_object().map(serde_json::Map::len), Some(2));
    assert!(error["message"].is_string() && error["hint"].is_string() && error["reason"].is_string());
    assert_eq!(got.header("retry-after"), Some("300"));
}

#[tokio::test]
async fn one_resting_and_one_signed_out_still_names_the_reset() {
    let got = refused(|pool| {
        rest(pool, 0, 900);
        sign_out(pool, 1);
    })
    .await;
    check(&got, 429, "codex_runtime_rotation_pool_exhausted", &["usage_limit_reached"]);
    assert_eq!(got.header("retry-after"), Some("900"));
}

#[tokio::test]
async fn all_signed_out_names_each_account_and_the_command() {
    let got = refused(|pool| (0..2).for_each(|index| sign_out(pool, index))).await;
    check(
        &got,
        400,
        "needs_login",
        &[
            "refresh_token_reused: no account can serve",
            "account 1: refresh_token_reused",
            "account 2: refresh_token_reused",
            "Run: codex-multi-auth login --account 1",
        ],
    );
}

#[tokio::test]
async fn all_disabled_is_for_the_user_too() {
    let got = refused(|pool| pool.accounts.iter_mut().for_each(|held| held.account.enabled = false)).await;
    check(&got, 400, "needs_login", &["account 1: disabled", "account 2: disabled", "`codex-multi-auth "]);
}

#[tokio::test]
async fn an_empty_pool_says_how_to_begin() {
    check(&refused(|pool| pool.accounts.clear()).await, 400, "needs_login", &["`codex-multi-auth login`"]);
}

#[tokio::test]
async fn a_pin_serves_and_never_spills() {
    let upstream = Upstream::answering(|_| json(503, "{}")).await;
    let mut pool = pool(3);
    pool.pin = Some(pool.accounts[1].account.record.clone());
    let world = World::before(&upstream, Setup { pool, ..Setup::default() }).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 503);
    assert_eq!(upstream.asked(), [2]);
}

#[tokio::test]
async fn a_pinned_account_that_rests_is_waited_for() {
    let got = refused(|pool| {
        pool.pin = Some(pool.accounts[1].account.record.clone());
        rest(pool, 1, 60);
    })
    .await;
    check(&got, 429, "codex_pinned_account_unavailable", &["usage_limit_reached", "account 2", "unpin"]);
    assert_eq!(got.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn a_pinned_account_that_is_signed_out_fails_closed() {
    let got = refused(|pool| {
        pool.pin = Some(pool.accounts[0].account.record.clone());
        sign_out(pool, 0);
    })
    .await;
    check(&got, 400, "codex_pinned_account_unavailable", &["account 1", "login --account 1", "unpin"]);
}

#[tokio::test]
async fn a_backend_out_of_reach_is_a_503_with_a_wait() {
    for form in FORMS {
        let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let backend = format!("http://{}/backend-api", nobody.local_addr().unwrap());
        drop(nobody);
        let world = World::at(&backend, Setup { form, ..Setup::default() }).await;
        let got = Ask::turn().send(world.port).await;
        check(&got, 503, "codex_runtime_rotation_pool_exhausted", &["codex-multi-auth status"]);
        assert_eq!(got.header("retry-after"), Some("5"));
        let rests = world.proxy.rotation().pool().accounts.iter().all(|held| held.account.rests.len() == 1);
        assert!(rests, "{form:?}: a backend out of reach is asked again after a while only");
    }
}
