//! Renewals that do not help: two presentations, then one clear word, however often the agent begins anew.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    AccessToken, AccountStore, DECLINED_REST, Granted, RefreshError, RefreshToken, SavedPool,
    UNAUTHORIZED_AFTER_REFRESH,
    testing::{ScriptedIssuer, pool},
};
use codex_auth_proxy::attach;

use crate::support::{
    agents::Place,
    client::{Ask, Got},
    upstream::{Seen, Upstream, json, served},
    world::{Setup, World},
};

/// An issuer that grants account 1 a token whenever it is asked.
fn generous() -> ScriptedIssuer {
    ScriptedIssuer::answering((1..=9).map(|n| {
        Ok(Granted {
            access: Some(AccessToken::new(format!("access-1-{n}"))),
            refresh: Some(RefreshToken::new(format!("refresh-1-{n}"))),
            ..Granted::default()
        })
    }))
}

/// A backend that refuses every token of account 1, and says no more than that.
async fn refusing() -> Upstream {
    let is_of_1 = |token: &str| token == "Bearer access-1" || token.starts_with("Bearer access-1-");
    let refuses = move |seen: &Seen| seen.head.header("authorization").is_some_and(is_of_1);
    Upstream::answering(move |seen: &Seen| if refuses(seen) { json(401, "{}") } else { served() }).await
}

fn presented(issuer: &ScriptedIssuer) -> Vec<String> {
    issuer.presented().iter().map(|token| token.expose().to_owned()).collect()
}

fn marks(pool: &SavedPool) -> Vec<Option<String>> {
    pool.accounts.iter().map(|held| held.account.needs_login.clone().map(|needs| needs.code)).collect()
}

#[tokio::test]
async fn a_backend_that_refuses_for_ever_costs_two_presentations_and_one_account() {
    let (upstream, issuer) = (refusing().await, generous());
    let world = World::before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    for _ in 0..8 {
        world.first_again();
        assert_eq!(Ask::turn().send(world.port).await.status(), 200, "another account serves");
        world.all_settled().await;
        world.clock.advance(Duration::from_secs(31));
    }
    assert_eq!(presented(&issuer), ["refresh-1", "refresh-1-1"]);
    world.proxy.settle_down().await;
    let marked = marks(&world.store.read().await.unwrap());
    assert_eq!(marked, [Some(UNAUTHORIZED_AFTER_REFRESH.to_owned()), None, None]);
}

/// One turn at an agent of its own, as each run of a client makes where no other runs.
async fn one_run(place: &Arc<Place>, seed: u64) -> Got {
    let agent = place.start(seed, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &|| Ok(())).await.unwrap();
    let answer = Ask::stranger("POST", "/v1/responses").bearer(attached.token.expose()).send(attached.port).await;
    agent.stop().await.unwrap();
    answer
}

#[tokio::test]
async fn agents_that_come_and_go_count_together() {
    let (upstream, issuer) = (refusing().await, generous());
    let place = Place::renewing(&upstream, pool(1), issuer.clone());
    let mut last = None;
    for seed in 1..=5 {
        last = Some(one_run(&place, seed).await);
    }
    assert_eq!(presented(&issuer), ["refresh-1", "refresh-1-1"]);
    let last = last.unwrap();
    assert_eq!((last.status(), last.code().as_str()), (400, "needs_login"));
    assert!(last.text().contains("codex-multi-auth login --account 1"), "{}", last.text());
}

#[tokio::test]
async fn what_the_issuer_declines_twice_is_not_presented_for_an_hour_and_never_marked() {
    let upstream = refusing().await;
    let declined = || Err(RefreshError::Declined { code: "http_403".into() });
    let issuer = ScriptedIssuer::answering((0..9).map(|_| declined()));
    let world = World::before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    for _ in 0..8 {
        world.first_again();
        assert_eq!(Ask::turn().send(world.port).await.status(), 200);
        world.clock.advance(Duration::from_secs(31));
    }
    assert_eq!(presented(&issuer), ["refresh-1"; 2]);
    world.clock.advance(DECLINED_REST);
    world.first_again();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(presented(&issuer), ["refresh-1"; 3]);
    assert_eq!(marks(&world.store.read().await.unwrap()), [None, None, None]);
}

#[tokio::test]
async fn a_pair_taken_over_from_another_program_is_renewed_once_when_it_is_refused_too() {
    let refuses = |seen: &Seen| {
        seen.head.header("authorization").is_some_and(|token| ["Bearer access-1", "Bearer old-1"].contains(&token))
    };
    let upstream = Upstream::answering(move |seen: &Seen| if refuses(seen) { json(401, "{}") } else { served() }).await;
    let issuer = generous();
    let setup = Setup { pool: pool(1), issuer: Arc::new(issuer.clone()), ..Setup::default() };
    let world = World::before(&upstream, setup).await;
    let other = world.store.edit(Box::new(|pool| {
        let credential = &mut pool.accounts[0].credential;
        credential.access = Some(AccessToken::new("old-1"));
        credential.refresh = RefreshToken::new("refresh-of-old-1");
        credential.generation += 1;
    }));
    other.await.unwrap();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(presented(&issuer), ["refresh-of-old-1"], "taken over, refused, and renewed once");
    assert_eq!(upstream.seen().len(), 3);
}
