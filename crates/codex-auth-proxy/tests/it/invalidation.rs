//! Accounts signed out by the issuer: the mark is durable first, one other account is asked, and a second one within
//! ten minutes stops everything that could cost a third.

use std::{
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

use codex_auth_core::{
    AccountStore, SavedPool,
    testing::{MemoryStore, ScriptedIssuer, pool},
};

use crate::support::{
    client::Ask,
    until,
    upstream::{Act, Gate, Seen, Upstream, json, served},
    world::{NOW, Setup, TOKEN, World},
};

fn invalidated() -> Vec<Act> {
    json(401, r#"{"error":{"code":"token_invalidated","message":"signed out"}}"#)
}

/// What memory says now; it never makes anybody wait.
fn read(store: &MemoryStore) -> SavedPool {
    match std::pin::pin!(store.read()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(pool) => pool.unwrap(),
        Poll::Pending => panic!("memory made us wait"),
    }
}

fn is_marked(pool: &SavedPool, number: usize) -> bool {
    pool.accounts[number - 1].account.needs_login.as_ref().is_some_and(|mark| mark.code == "token_invalidated")
}

/// A world whose upstream signs out the accounts in the list, which a test may change.
async fn signing_out(accounts: &[usize], issuer: &ScriptedIssuer) -> (Upstream, World, Arc<Mutex<Vec<usize>>>) {
    let out = Arc::new(Mutex::new(accounts.to_vec()));
    let list = out.clone();
    let script =
        move |seen: &Seen| if list.lock().unwrap().contains(&seen.account()) { invalidated() } else { served() };
    let upstream = Upstream::answering(script).await;
    let setup = Setup { pool: pool(4), issuer: Arc::new(issuer.clone()), ..Setup::default() };
    let world = World::before(&upstream, setup).await;
    (upstream, world, out)
}

#[tokio::test]
async fn the_mark_is_durable_before_another_account_is_asked() {
    let store = Arc::new(OnceLock::<MemoryStore>::new());
    let (seen_by_2, kept) = (Arc::new(Mutex::new(None)), store.clone());
    let note = seen_by_2.clone();
    let upstream = Upstream::answering(move |seen: &Seen| {
        if seen.account() == 1 {
            return invalidated();
        }
        *note.lock().unwrap() = Some(is_marked(&read(kept.get().unwrap()), 1));
        served()
    })
    .await;
    let world = World::before(&upstream, Setup::default()).await;
    store.set(world.store.clone()).unwrap();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(*seen_by_2.lock().unwrap(), Some(true));
    assert_eq!(upstream.asked(), [1, 2]);
}

#[tokio::test]
async fn at_most_one_other_account_is_asked_in_the_same_request() {
    let upstream = Upstream::answering(|seen: &Seen| match seen.account() {
        1 => invalidated(),
        2 => json(503, "{}"),
        _ => served(),
    })
    .await;
    let world = World::before(&upstream, Setup::default()).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 503);
    assert_eq!(upstream.asked(), [1, 2]);
}

#[tokio::test]
async fn a_second_one_within_ten_minutes_is_a_wave() {
    let issuer = ScriptedIssuer::default();
    let (upstream, world, _) = signing_out(&[1, 2], &issuer).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (400, "token_invalidated_wave"));
    for said in ["1 and 2", "`codex-multi-auth login --account 1`"] {
        assert!(got.text().contains(said), "{said} is missing in {}", got.text());
    }
    assert_eq!((upstream.asked(), issuer.presented().len()), (vec![1, 2], 0));
    let marked: Vec<_> = (1..=4).filter(|number| is_marked(&read(&world.store), *number)).collect();
    assert_eq!(marked, [1, 2]);
}

#[tokio::test]
async fn live_tokens_serve_on_during_a_wave_and_none_is_renewed() {
    let issuer = ScriptedIssuer::default();
    let (upstream, world, _) = signing_out(&[1, 2], &issuer).await;
    Ask::turn().send(world.port).await;
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(upstream.asked(), [1, 2, 3]);
    let ended = |pool: &mut SavedPool| pool.accounts[2].credential.expires_at = Some(NOW);
    world.store.edit(Box::new(ended)).await.unwrap();
    world.proxy.reload_if_changed().await.unwrap();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!((upstream.asked(), issuer.presented().len()), (vec![1, 2, 3, 4], 0));
}

#[tokio::test]
async fn a_second_one_after_ten_minutes_is_no_wave() {
    let (upstream, world, out) = signing_out(&[1], &ScriptedIssuer::default()).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    world.clock.advance(Duration::from_mins(10));
    out.lock().unwrap().push(2);
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(upstream.asked(), [1, 2, 2, 3]);
}

#[tokio::test]
async fn a_second_one_in_a_later_request_is_a_wave_too() {
    let (upstream, world, out) = signing_out(&[1], &ScriptedIssuer::default()).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    world.clock.advance(Duration::from_mins(9));
    out.lock().unwrap().push(2);
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (400, "token_invalidated_wave"));
    assert_eq!(upstream.asked(), [1, 2, 2]);
}

#[tokio::test]
async fn a_sign_in_made_meanwhile_is_not_marked() {
    let gate = Gate::closed();
    let held_back = gate.clone();
    let script = move |seen: &Seen| match seen.head.header("authorization") {
        Some("Bearer access-1") => [vec![Act::Wait(held_back.clone())], invalidated()].concat(),
        _ => served(),
    };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup::default()).await;
    let mut line = Ask::turn().open(world.port).await;
    upstream.came(1).await;
    let anew = |pool: &mut SavedPool| {
        pool.accounts[0].credential.access = Some(codex_auth_core::AccessToken::new("access-1-anew"));
    };
    world.store.edit(Box::new(anew)).await.unwrap();
    gate.open();
    assert_eq!(line.answer().await.status(), 200);
    assert!(!is_marked(&read(&world.store), 1), "the new sign-in was not the one signed out");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_take_the_mark_along() {
    let upstream = Upstream::answering(|_| invalidated()).await;
    let disk = Gate::closed();
    let world = World::before(&upstream, Setup { disk: disk.clone(), ..Setup::default() }).await;
    let line = Ask::turn().open(world.port).await;
    upstream.came(1).await;
    world.all_settled().await;
    assert_eq!(upstream.asked(), [1], "nobody else is asked before the mark is kept");
    drop(line);
    // By the time others were answered, the server has seen the client go.
    for _ in 0..3 {
        Ask::stranger("GET", "/health").bearer(TOKEN).send(world.port).await;
    }
    disk.open();
    until("the mark", || is_marked(&read(&world.store), 1)).await;
}
