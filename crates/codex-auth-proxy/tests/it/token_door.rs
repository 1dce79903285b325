//! Renewal for wrapped clients: however many ask, the issuer sees one presentation, and an old token sees none.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use codex_auth_core::{
    Account, AccountStore, Granted, RefreshError, RefreshReason, RefreshToken, Strategy, TokenIssuer,
    testing::{ScriptedIssuer, pool},
};
use tokio::task::JoinSet;

use crate::support::{
    client::{Ask, Got},
    upstream::{Gate, Upstream, json, served},
    world::{NOW, Setup, World, renewed},
};

/// An issuer that answers only when it is let.
#[derive(Debug, Clone)]
struct Slow {
    gate: Gate,
    asked: Arc<AtomicUsize>,
    inner: ScriptedIssuer,
}

#[async_trait]
impl TokenIssuer for Slow {
    async fn refresh(
        &self,
        account: &Account,
        token: &RefreshToken,
        why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.passed().await;
        self.inner.refresh(account, token, why).await
    }
}

impl Slow {
    fn renewing() -> Self {
        Self { gate: Gate::closed(), asked: Arc::default(), inner: ScriptedIssuer::answering([Ok(renewed(1))]) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A world with a leased home, signed in as account 1.
async fn before(upstream: &Upstream, setup: Setup) -> World {
    let world = World::before(upstream, setup).await;
    world.homes.sign_in("/home", 1, None);
    world.lease("lease-token", Some("/home"));
    world
}

async fn world(answers: Vec<Result<Granted, RefreshError>>) -> (World, ScriptedIssuer) {
    let issuer = ScriptedIssuer::answering(answers);
    let upstream = Upstream::answering(|_| served()).await;
    (before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await, issuer)
}

/// A refresh request as the official client sends it.
fn ask(token: &str) -> Ask {
    let body = format!(r#"{{"client_id":"c","grant_type":"refresh_token","refresh_token":"{token}"}}"#);
    Ask::stranger("POST", "/oauth/token").header("content-type", "application/json").body(body.as_bytes())
}

#[track_caller]
fn check_pair(got: &Got, access: &str, refresh: &str) {
    let body = got.json();
    let pair = (body["access_token"].as_str(), body["refresh_token"].as_str());
    assert_eq!((got.status(), pair), (200, (Some(access), Some(refresh))), "{}", got.status());
}

#[tokio::test]
async fn eight_at_once_are_one_presentation() {
    let issuer = Slow::renewing();
    let upstream = Upstream::answering(|_| served()).await;
    let world = before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    let mut lines = Vec::new();
    for _ in 0..8 {
        lines.push(ask("refresh-1").open(world.port).await);
    }
    let mut answers: JoinSet<Got> = lines.into_iter().map(|mut line| async move { line.answer().await }).collect();
    issuer.gate.open();
    while let Some(got) = answers.join_next().await {
        check_pair(&got.unwrap(), "access-1-renewed", "refresh-1-renewed");
    }
    assert_eq!((issuer.asked(), issuer.inner.presented().len()), (1, 1));
}

#[tokio::test]
async fn an_old_token_gets_the_current_pair_without_a_presentation() {
    let (world, issuer) = world(vec![Ok(renewed(1))]).await;
    check_pair(&ask("refresh-1").send(world.port).await, "access-1-renewed", "refresh-1-renewed");
    for _ in 0..3 {
        check_pair(&ask("refresh-1").send(world.port).await, "access-1-renewed", "refresh-1-renewed");
    }
    assert_eq!(issuer.presented().len(), 1);
}

#[tokio::test]
async fn a_token_several_generations_old_gets_the_current_pair_without_any_lease() {
    let issuer = ScriptedIssuer::answering([Ok(renewed(1)), Ok(renewed(2))]);
    let upstream = Upstream::answering(|_| served()).await;
    let world = World::before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    check_pair(&ask("refresh-1").send(world.port).await, "access-1-renewed", "refresh-1-renewed");
    check_pair(&ask("refresh-1-renewed").send(world.port).await, "access-2-renewed", "refresh-2-renewed");
    for old in ["refresh-1", "refresh-1-renewed"] {
        check_pair(&ask(old).send(world.port).await, "access-2-renewed", "refresh-2-renewed");
    }
    assert_eq!(issuer.presented().len(), 2, "a spent token is never presented");
}

#[tokio::test]
async fn a_pair_the_client_wrote_itself_is_known_at_once() {
    let (world, issuer) = world(vec![Ok(renewed(1))]).await;
    world.homes.sign_in("/home", 1, Some(("access-own", "refresh-own")));
    let got = ask("refresh-own").send(world.port).await;
    assert_eq!(got.status(), 200, "{}", got.text());
    assert!(issuer.presented().len() <= 1);
}

#[tokio::test]
async fn the_issuer_hears_why_the_client_asks() {
    let (world, issuer) = world(vec![Ok(renewed(1))]).await;
    let body = r#"{"refresh_token":"refresh-1","refresh_reason":"unauthorized_recovery"}"#;
    let ask = Ask::stranger("POST", "/oauth/token").body(body.as_bytes());
    assert_eq!(ask.send(world.port).await.status(), 200);
    assert_eq!(issuer.reasons(), [RefreshReason::UnauthorizedRecovery]);
}

#[tokio::test]
async fn a_form_is_as_good_as_a_document() {
    let (world, _) = world(vec![Ok(renewed(1))]).await;
    let form = Ask::stranger("POST", "/oauth/token").body(b"grant_type=refresh_token&refresh_token=refresh-1&x=1");
    check_pair(&form.send(world.port).await, "access-1-renewed", "refresh-1-renewed");
}

#[tokio::test]
async fn a_token_nobody_knows_is_shown_to_nobody() {
    let (world, issuer) = world(vec![Ok(renewed(1))]).await;
    for body in ["refresh-9", "", "access-1", "refresh-1 "] {
        let got = ask(body).send(world.port).await;
        let is_known = body.trim() == "refresh-1";
        assert_eq!(got.status() == 401, !is_known, "{body:?}");
    }
    for body in [&b""[..], b"{}", b"[]", b"\xff\xfe", b"{\"refresh_token\":7}"] {
        assert_eq!(Ask::stranger("POST", "/oauth/token").body(body).send(world.port).await.status(), 401);
    }
    assert_eq!(issuer.presented().len(), 1);
}

#[tokio::test]
async fn a_home_that_is_not_in_the_pool_is_told_how_to_come_in() {
    let (world, issuer) = world(vec![Ok(renewed(1))]).await;
    world.homes.sign_in("/stranger", 7, None);
    world.lease("other-token", Some("/stranger"));
    let got = ask("refresh-7").send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (503, "login_not_in_pool"));
    assert!(got.text().contains("codex-multi-auth import-current"));
    assert_eq!(issuer.presented().len(), 0);
}

#[tokio::test]
async fn a_refused_renewal_names_the_account_and_the_command() {
    let refused = Err(RefreshError::Refused { code: "refresh_token_reused".into() });
    let (world, issuer) = world(vec![refused]).await;
    for _ in 0..2 {
        let got = ask("refresh-1").send(world.port).await;
        assert_eq!((got.status(), got.code().as_str()), (400, "needs_login"));
        let told = "refresh_token_reused: account 1 needs a new sign-in. Run: codex-multi-auth login --account 1";
        assert!(got.text().contains(told), "{}", got.text());
    }
    assert_eq!(issuer.presented().len(), 1, "a refused token is never presented again");
}

#[tokio::test]
async fn a_lost_answer_costs_one_presentation() {
    let lost = Err(RefreshError::Lost { why: "reset".into() });
    let (world, issuer) = world(vec![lost, Ok(renewed(1))]).await;
    for _ in 0..3 {
        assert_ne!(ask("refresh-1").send(world.port).await.status(), 200);
    }
    assert_eq!(issuer.presented().len(), 1);
}

#[tokio::test]
async fn an_issuer_out_of_reach_may_be_asked_again() {
    let unsent = Err(RefreshError::Unsent { why: "refused".into() });
    let (world, issuer) = world(vec![unsent, Ok(renewed(1))]).await;
    assert_eq!(ask("refresh-1").send(world.port).await.status(), 503);
    check_pair(&ask("refresh-1").send(world.port).await, "access-1-renewed", "refresh-1-renewed");
    assert_eq!(issuer.presented().len(), 2);
}

#[tokio::test]
async fn turns_and_clients_share_one_renewal() {
    let issuer = Slow::renewing();
    let upstream = Upstream::answering(|seen| match seen.head.header("authorization") {
        Some("Bearer access-1") => json(401, "{}"),
        _ => served(),
    })
    .await;
    let mut expired = pool(1);
    expired.accounts[0].credential.expires_at = Some(NOW);
    let setup =
        Setup { pool: expired, issuer: Arc::new(issuer.clone()), strategy: Strategy::Hybrid, ..Setup::default() };
    let world = before(&upstream, setup).await;
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(Ask::turn().open(world.port).await);
        lines.push(ask("refresh-1").open(world.port).await);
    }
    issuer.gate.open();
    for mut line in lines {
        assert_eq!(line.answer().await.status(), 200);
    }
    assert_eq!(issuer.asked(), 1);
    assert_eq!(upstream.asked(), [1; 4]);
}

#[tokio::test]
async fn a_renewal_survives_the_client_that_asked_for_it() {
    let issuer = Slow::renewing();
    let upstream = Upstream::answering(|_| served()).await;
    let world = before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    let line = ask("refresh-1").open(world.port).await;
    crate::support::until("the issuer to be asked", || issuer.asked() == 1).await;
    drop(line);
    issuer.gate.open();
    let mut waits = ask("refresh-1").open(world.port).await;
    check_pair(&waits.answer().await, "access-1-renewed", "refresh-1-renewed");
    assert_eq!(world.store.read().await.unwrap().accounts[0].credential.generation, 1);
    assert_eq!(issuer.asked(), 1);
}
