//! Which account is asked, which one next, and what the client gets to see of it.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{AccountStore, RefreshError, Strategy, testing::ScriptedIssuer};

use crate::support::{
    client::Ask,
    upstream::{Act, Seen, Upstream, json, served, whole},
    world::{FORMS, NOW, Setup, World, renewed},
};

/// A 429 of the backend whose quota starts anew after so many seconds.
fn limited(after_secs: i64) -> Vec<Act> {
    let resets_at = NOW.as_millis() / 1000 + after_secs;
    json(429, &format!(r#"{{"error":{{"type":"usage_limit_reached","resets_at":{resets_at}}}}}"#))
}

fn hybrid() -> Setup {
    Setup { strategy: Strategy::Hybrid, ..Setup::default() }
}

/// An upstream that answers these accounts with `refusal` and all others well.
async fn refusing(accounts: &'static [usize], refusal: Vec<Act>) -> Upstream {
    Upstream::answering(move |seen: &Seen| if accounts.contains(&seen.account()) { refusal.clone() } else { served() })
        .await
}

#[tokio::test]
async fn a_spent_account_rests_until_its_reset_and_the_next_one_serves() {
    for form in FORMS {
        let spent = move |seen: &Seen| if seen.account() == 1 { limited(600) } else { served() };
        let upstream = Upstream::answering(spent).await;
        let world = World::before(&upstream, Setup { form, ..Setup::default() }).await;
        let got = Ask::turn().send(world.port).await;
        assert_eq!((got.status(), got.text().as_str()), (200, "data: one\n\ndata: two\n\n"));
        Ask::turn().send(world.port).await;
        assert_eq!(upstream.asked(), [1, 2, 2], "{form:?}");
        world.proxy.settle_down().await;
        let kept = world.store.read().await.unwrap().accounts[0].account.rests.clone();
        assert_eq!(kept[0].until, NOW.after(Duration::from_mins(10)));
        world.clock.advance(Duration::from_mins(10));
        world.first_again();
        Ask::turn().send(world.port).await;
        assert_eq!(upstream.asked(), [1, 2, 2, 1, 2], "{form:?}: it is asked again, and still refuses");
    }
}

#[tokio::test]
async fn the_body_is_sent_again_whole_to_the_next_account() {
    let upstream = refusing(&[1], limited(60)).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().body(b"\x28\xb5\x2f\xfd all of it").send(world.port).await;
    let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, vec![b"\x28\xb5\x2f\xfd all of it".to_vec(); 2]);
}

#[tokio::test]
async fn a_session_stays_on_its_account() {
    let upstream = Upstream::answering(|_| served()).await;
    let sticky = Setup { strategy: Strategy::Sticky, ..Setup::default() };
    let world = World::before(&upstream, sticky).await;
    for session in ["a", "b", "a", "c", "b", "a", "c"] {
        Ask::turn_of(session).send(world.port).await;
        world.all_settled().await;
        world.clock.advance(Duration::from_secs(1));
    }
    let asked = upstream.asked();
    assert_eq!([asked[2], asked[5]], [asked[0]; 2]);
    assert_eq!(asked[4], asked[1]);
    assert_eq!(asked[6], asked[3]);
    assert!(asked[0] != asked[1] && asked[1] != asked[3] && asked[0] != asked[3], "sessions spread: {asked:?}");
}

#[tokio::test]
async fn a_session_comes_back_when_nobody_served_it_meanwhile() {
    let upstream =
        Upstream::answering(
            |seen: &Seen| {
                if seen.head.header("x-weather") == Some("bad") { json(503, "{}") } else { served() }
            },
        )
        .await;
    let world = World::before(&upstream, hybrid()).await;
    Ask::turn_of("a").send(world.port).await;
    world.all_settled().await;
    let bad = Ask::turn_of("a").header("x-weather", "bad").send(world.port).await;
    assert_eq!(bad.status(), 503);
    world.clock.advance(Duration::from_mins(1));
    Ask::turn_of("a").send(world.port).await;
    let asked = upstream.asked();
    assert_eq!(asked.first(), asked.last(), "{asked:?}");
}

/// Answers 401 to account 1's first token, and to its second one as well where told.
async fn check_401(issuer: ScriptedIssuer, is_second_refused: bool, asked: &[usize], presented: usize) -> World {
    let script = move |seen: &Seen| match seen.head.header("authorization") {
        Some("Bearer access-1") => json(401, r#"{"error":{"code":"token_expired"}}"#),
        Some("Bearer access-1-renewed") if is_second_refused => json(401, "{}"),
        _ => served(),
    };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup { issuer: Arc::new(issuer.clone()), ..Setup::default() }).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!(got.status(), 200, "a 401 never reaches the client");
    assert_eq!((upstream.asked().as_slice(), issuer.presented().len()), (asked, presented));
    world
}

#[tokio::test]
async fn an_expired_token_is_renewed_once_and_its_account_asked_again() {
    let world = check_401(ScriptedIssuer::answering([Ok(renewed(1))]), false, &[1, 1], 1).await;
    let kept = world.store.read().await.unwrap().accounts[0].credential.clone();
    assert_eq!((kept.refresh.expose(), kept.generation), ("refresh-1-renewed", 1));
}

#[tokio::test]
async fn an_account_refused_right_after_its_renewal_is_left_for_another() {
    check_401(ScriptedIssuer::answering([Ok(renewed(1))]), true, &[1, 1, 2], 1).await;
}

#[tokio::test]
async fn an_account_whose_renewal_is_refused_is_marked_and_left() {
    let refused = Err(RefreshError::Refused { code: "refresh_token_reused".into() });
    let world = check_401(ScriptedIssuer::answering([refused]), false, &[1, 2], 1).await;
    let mark = world.store.read().await.unwrap().accounts[0].account.needs_login.clone();
    assert_eq!(mark.map(|mark| mark.code).as_deref(), Some("refresh_token_reused"));
}

#[tokio::test]
async fn an_issuer_out_of_reach_costs_no_account() {
    let unsent = Err(RefreshError::Unsent { why: "refused".into() });
    let world = check_401(ScriptedIssuer::answering([unsent]), false, &[1, 2], 1).await;
    assert_eq!(world.store.read().await.unwrap().accounts[0].account.needs_login, None);
}

#[tokio::test]
async fn a_fault_of_the_backend_everywhere_is_passed_on_as_it_came() {
    let fault = whole(502, "content-type: text/plain\r\nx-request-id: theirs\r\n", b"theirs");
    let upstream = refusing(&[1, 2, 3], fault).await;
    let world = World::before(&upstream, Setup::default()).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.text().as_str(), got.header("x-request-id")), (502, "theirs", Some("theirs")));
    assert_eq!(upstream.asked(), [1, 2, 3]);
}

#[tokio::test]
async fn a_fault_of_one_account_is_hidden_by_the_next() {
    let upstream = refusing(&[1, 2], json(500, "{}")).await;
    let world = World::before(&upstream, Setup::default()).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(upstream.asked(), [1, 2, 3]);
}

#[tokio::test]
async fn a_policy_refusal_is_relayed_and_never_taken_to_a_second_account() {
    for (status, code) in [(400, "cyber_policy"), (403, "cyber_policy_violation"), (429, "content_policy_violation")] {
        let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        let upstream = refusing(&[1, 2, 3], json(status, &body)).await;
        let world = World::before(&upstream, Setup::default()).await;
        let got = Ask::turn().send(world.port).await;
        assert_eq!((got.status(), got.text()), (status, body), "{code}");
        assert_eq!(upstream.asked(), [1], "{code}");
    }
}

#[tokio::test]
async fn an_error_of_the_clients_own_is_the_clients() {
    for status in [400, 404, 413, 422] {
        let upstream = refusing(&[1], json(status, r#"{"error":{"code":"invalid_prompt"}}"#)).await;
        let world = World::before(&upstream, Setup::default()).await;
        assert_eq!(Ask::turn().send(world.port).await.status(), status);
        assert_eq!(upstream.asked(), [1]);
    }
}

#[tokio::test]
async fn turn_state_never_crosses_accounts() {
    let upstream = Upstream::answering(|seen: &Seen| match (seen.account(), seen.head.header("x-weather")) {
        (1, Some("bad")) => limited(60),
        (account, _) => whole(200, &format!("x-codex-turn-state: of-{account}\r\n"), b"{}"),
    })
    .await;
    let world = World::before(&upstream, Setup::default()).await;
    let stranger = Ask::turn_of("a").header("x-codex-turn-state", "of-nobody").send(world.port).await;
    assert_eq!(stranger.header("x-codex-turn-state"), Some("of-1"));
    let turn = Ask::turn_of("a").header("x-codex-turn-state", "of-1");
    turn.send(world.port).await;
    turn.clone().header("x-weather", "bad").send(world.port).await;
    let states: Vec<_> = upstream
        .seen()
        .iter()
        .map(|seen| (seen.account(), seen.head.header("x-codex-turn-state").map(str::to_owned)))
        .collect();
    let of_1 = Some("of-1".to_owned());
    assert_eq!(states[..3], [(1, None), (1, of_1.clone()), (1, of_1)]);
    assert!(states[3].0 != 1 && states[3].1.is_none(), "{states:?}");
}

/// Refuses reasoning that another account encrypted, as long as there is any in the body.
async fn check_ciphertext(body: &str, bodies: &[&str], status: u16) {
    let upstream = Upstream::answering(|seen: &Seen| {
        let is_foreign = String::from_utf8_lossy(&seen.body).contains("foreign");
        if is_foreign { json(400, r#"{"error":{"code":"invalid_encrypted_content"}}"#) } else { served() }
    })
    .await;
    let world = World::before(&upstream, hybrid()).await;
    let got = Ask::turn_of("a").body(body.as_bytes()).send(world.port).await;
    let seen: Vec<_> = upstream.seen().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert_eq!((got.status(), seen.iter().map(String::as_str).collect::<Vec<_>>().as_slice()), (status, bodies));
    let asked = upstream.asked();
    assert!(asked.iter().all(|account| *account == asked[0]), "the same account is asked again: {asked:?}");
}

#[tokio::test]
async fn foreign_ciphertext_is_left_out_once() {
    let with = r#"{"model":"m","input":[{"encrypted_content":"foreign","id":"i"}]}"#;
    check_ciphertext(with, &[with, r#"{"model":"m","input":[{"id":"i"}]}"#], 200).await;
    let elsewhere = r#"{"model":"foreign","input":[{"encrypted_content":"foreign"}]}"#;
    check_ciphertext(elsewhere, &[elsewhere, r#"{"model":"foreign","input":[{}]}"#], 400).await;
    let nowhere = r#"{"model":"foreign","input":[]}"#;
    check_ciphertext(nowhere, &[nowhere], 400).await;
}
