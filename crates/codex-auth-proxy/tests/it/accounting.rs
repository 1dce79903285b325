//! Every model request is written down once, however it ended, with its attempts beside it.

use codex_auth_core::{RequestSpent, TokenUse, UsageOperation, UsageOutcome};

use crate::support::{
    client::Ask,
    upstream::{Act, LAST, Upstream, event, json, stream_head, whole},
    world::{FORMS, Setup, World},
};

const TOOK: TokenUse = TokenUse { input: 1000, cached_input: 400, output: 200, reasoning: 50 };
const USAGE: &str = r#""usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":200,"output_tokens_details":{"reasoning_tokens":50},"total_tokens":1200}"#;

/// A stream that ends with this event.
fn ending(kind: &str, more: &str) -> Vec<Act> {
    let last = format!(r#"{{"type":"{kind}","response":{{"id":"resp_1","model":"gpt-5.5"{more}}}}}"#);
    let created = event(r#"{"type":"response.created"}"#);
    vec![Act::Send([stream_head(""), created, event(&last), LAST.to_vec()].concat())]
}

fn completed() -> Vec<Act> {
    ending("response.completed", &format!(",{USAGE}"))
}

/// What is written down once everything has ended, in order.
async fn written(world: &World, count: usize) -> Vec<RequestSpent> {
    crate::support::until("requests to be written down", || world.book.requests().len() >= count).await;
    let requests = world.book.requests();
    assert_eq!(requests.len(), count, "{requests:?}");
    requests
}

/// The one request: how it ended, with which code, and how its attempts did.
async fn one(world: &World) -> Ended {
    let request = written(world, 1).await.remove(0);
    let attempts = request.attempts.iter().map(|attempt| (attempt.outcome, attempt.status)).collect();
    (request.outcome, request.error_code, attempts)
}

#[tokio::test]
async fn a_served_turn_has_the_tokens_of_its_last_event() {
    for form in FORMS {
        let upstream = Upstream::answering(|_| completed()).await;
        let world = World::before(&upstream, Setup { form, ..Setup::default() }).await;
        world.lease("lease-token", None);
        let asked = Ask::stranger("POST", "/v1/responses").bearer("lease-token").header("session-id", "s-1");
        assert!(asked.header("x-codex-routing-hint", "model=gpt-5.5;tier=x").send(world.port).await.is_whole);
        let request = written(&world, 1).await.remove(0);
        assert_eq!((request.outcome, request.tokens, request.status), (UsageOutcome::Success, TOOK, Some(200)));
        assert_eq!((request.model.as_deref(), request.response.as_deref()), (Some("gpt-5.5"), Some("resp_1")));
        assert_eq!((request.operation, request.cwd.as_deref()), (UsageOperation::Responses, Some("/")));
        assert_eq!(request.session.as_ref().map(codex_auth_core::SessionKey::as_str), Some("s-1"));
        assert_eq!((request.attempts.len(), request.attempts[0].tokens), (1, TOOK));
        assert_eq!(request.account, Some(request.attempts[0].account.clone()));
    }
}

#[tokio::test]
async fn a_retry_is_one_request_with_two_attempts() {
    let limit = r#"{"error":{"type":"usage_limit_reached","resets_at":1800003600}}"#;
    let script =
        move |seen: &crate::support::upstream::Seen| if seen.account() == 1 { json(429, limit) } else { completed() };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    let request = written(&world, 1).await.remove(0);
    let attempts: Vec<_> = request.attempts.iter().map(|one| (one.outcome, one.status, one.tokens)).collect();
    let none = TokenUse::default();
    assert_eq!(attempts, [(UsageOutcome::Failure, Some(429), none), (UsageOutcome::Success, Some(200), TOOK)]);
    assert_eq!((request.outcome, request.tokens), (UsageOutcome::Success, TOOK));
    assert_eq!(request.attempts[0].error_code.as_deref(), Some("usage_limit_reached"));
}

#[tokio::test]
async fn refusals_that_are_passed_on_are_failures() {
    for status in [400, 404, 422] {
        let body = r#"{"error":{"code":"invalid_prompt","message":"A sentence."}}"#;
        let upstream = Upstream::answering(move |_| json(status, body)).await;
        let world = World::before(&upstream, Setup::default()).await;
        assert_eq!(Ask::turn().send(world.port).await.status(), status);
        let attempts = vec![(UsageOutcome::Failure, Some(status))];
        assert_eq!(one(&world).await, (UsageOutcome::Failure, Some("invalid_prompt".into()), attempts), "{status}");
    }
}

#[tokio::test]
async fn what_is_passed_on_for_want_of_a_better_answer_has_its_own_code() {
    let fault = r#"{"error":{"code":"server_is_overloaded","message":"A sentence."}}"#;
    let script = move |seen: &crate::support::upstream::Seen| {
        if seen.account() == 1 { json(503, fault) } else { vec![Act::Close] }
    };
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup::default()).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 503);
    let (outcome, code, attempts) = one(&world).await;
    assert_eq!((outcome, code.as_deref()), (UsageOutcome::Failure, Some("server_is_overloaded")));
    assert_eq!(attempts.last(), Some(&(UsageOutcome::Failure, None)), "the last one did not even answer");
}

/// How a request ended, its code, and the same of its attempts.
type Ended = (UsageOutcome, Option<String>, Vec<(UsageOutcome, Option<u16>)>);

#[track_caller]
fn expect_failure(seen: &Ended, code: &str) {
    assert_eq!(*seen, (UsageOutcome::Failure, Some(code.into()), vec![(UsageOutcome::Failure, Some(200))]));
}

#[tokio::test]
async fn an_answer_that_fails_under_way_is_a_failure() {
    // A fault of the backend's would be asked of another account; this one is the request's.
    let failed = || ending("response.failed", r#","error":{"code":"invalid_prompt","message":"Sorry."}"#);
    let upstream = Upstream::answering(move |_| failed()).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    expect_failure(&one(&world).await, "invalid_prompt");

    let cut = || ending("response.incomplete", r#","incomplete_details":{"reason":"max_output_tokens"}"#);
    let upstream = Upstream::answering(move |_| cut()).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    expect_failure(&one(&world).await, "max_output_tokens");

    let upstream = Upstream::answering(|_| vec![Act::Send([stream_head(""), event("one")].concat()), Act::Close]).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    expect_failure(&one(&world).await, "stream_broke_off");

    let upstream = Upstream::answering(|_| crate::support::upstream::served()).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    expect_failure(&one(&world).await, "stream_without_end");
}

#[tokio::test]
async fn a_client_that_leaves_has_cancelled() {
    for form in FORMS {
        // Before the answer begins, and under way.
        for begun in [Vec::new(), vec![Act::Send([stream_head(""), event("one")].concat())]] {
            let (status, script) = ((!begun.is_empty()).then_some(200), [begun, vec![Act::Hang]].concat());
            let upstream = Upstream::answering(move |_| script.clone()).await;
            let world = World::before(&upstream, Setup { form, ..Setup::default() }).await;
            let mut line = Ask::turn().open(world.port).await;
            upstream.came(1).await;
            if status.is_some() {
                line.head().await;
            }
            drop(line);
            upstream.left(1).await;
            let attempts = vec![(UsageOutcome::Cancelled, status)];
            assert_eq!(one(&world).await, (UsageOutcome::Cancelled, Some("client_left".into()), attempts), "{form:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_after_the_last_event_was_served() {
    let last = format!(r#"{{"type":"response.completed","response":{{"id":"resp_1",{USAGE}}}}}"#);
    let script = vec![Act::Send([stream_head(""), event(&last)].concat()), Act::Hang];
    let upstream = Upstream::answering(move |_| script.clone()).await;
    let world = World::before(&upstream, Setup::default()).await;
    let mut line = Ask::turn().open(world.port).await;
    line.head().await;
    line.piece().await.expect("the event");
    drop(line);
    upstream.left(1).await;
    let request = written(&world, 1).await.remove(0);
    assert_eq!((request.outcome, request.tokens), (UsageOutcome::Success, TOOK));
}

#[tokio::test]
async fn nobody_can_serve_and_that_is_written_down_too() {
    let upstream = Upstream::answering(|_| completed()).await;
    let pool = codex_auth_core::SavedPool::default();
    let world = World::before(&upstream, Setup { pool, ..Setup::default() }).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 400);
    assert_eq!(one(&world).await, (UsageOutcome::Failure, Some("needs_login".into()), Vec::new()));
    // What is no model request, and whoever may not come in, is in no ledger.
    Ask::stranger("POST", "/v1/responses").send(world.port).await;
    Ask::stranger("GET", "/health").bearer(crate::support::world::TOKEN).send(world.port).await;
    world.proxy.settle_down().await;
    written(&world, 1).await;
}

#[tokio::test]
async fn an_answer_that_is_no_stream_has_its_tokens_too() {
    let long = "x".repeat(200_000);
    let body = format!(r#"{{"id":"resp_1","model":"gpt-5.5","output":["{long}"],{USAGE}}}"#);
    let upstream = Upstream::answering(move |_| json(200, &body)).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    let request = written(&world, 1).await.remove(0);
    assert_eq!((request.outcome, request.tokens), (UsageOutcome::Success, TOOK));
    assert_eq!((request.model.as_deref(), request.response.as_deref()), (Some("gpt-5.5"), Some("resp_1")));
    let upstream = Upstream::answering(|_| whole(201, "", b"")).await;
    let world = World::before(&upstream, Setup::default()).await;
    Ask::turn().send(world.port).await;
    assert_eq!(one(&world).await, (UsageOutcome::Success, None, vec![(UsageOutcome::Success, Some(201))]));
}

#[tokio::test]
async fn what_waits_is_written_before_the_end() {
    let upstream = Upstream::answering(|_| completed()).await;
    let world = World::before(&upstream, Setup::default()).await;
    for _ in 0..20 {
        Ask::turn().send(world.port).await;
    }
    world.all_settled().await;
    world.proxy.settle_down().await;
    let ids: std::collections::BTreeSet<String> = written(&world, 20).await.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 20, "every request has a name of its own");
}

#[tokio::test]
async fn a_failed_first_event_keeps_the_code_that_the_backend_gave() {
    let failed = |code: &str| {
        let event_of = format!(r#"{{"type":"response.failed","response":{{"error":{{"code":"{code}"}}}}}}"#);
        vec![Act::Send([stream_head(""), event(&event_of), LAST.to_vec()].concat())]
    };
    // The second one could be a token.
    for (told, kept) in [("server_is_overloaded", "server_is_overloaded"), ("rt_0123456789abcdef", "response_failed")] {
        let script =
            move |seen: &crate::support::upstream::Seen| if seen.account() == 1 { failed(told) } else { completed() };
        let upstream = Upstream::answering(script).await;
        let world = World::before(&upstream, Setup::default()).await;
        Ask::turn().send(world.port).await;
        let request = written(&world, 1).await.remove(0);
        assert_eq!(request.attempts[0].error_code.as_deref(), Some(kept), "{request:?}");
        assert_eq!(request.attempts.len(), upstream.asked().len());
    }
}

#[tokio::test]
async fn faults_of_every_account_are_one_request_with_an_attempt_each() {
    for status in [500, 503] {
        let upstream = Upstream::answering(move |_| json(status, r#"{"error":{"code":"server_error"}}"#)).await;
        let world = World::before(&upstream, Setup::default()).await;
        let got = Ask::turn().send(world.port).await;
        let request = written(&world, 1).await.remove(0);
        assert_eq!((request.outcome, request.status), (UsageOutcome::Failure, Some(got.status())));
        let attempts: Vec<_> = request.attempts.iter().map(|one| (one.outcome, one.status)).collect();
        assert!(attempts.len() > 1, "{attempts:?}");
        assert_eq!(attempts, vec![(UsageOutcome::Failure, Some(status)); upstream.asked().len()]);
    }
}

#[tokio::test]
async fn a_history_that_is_made_shorter_is_a_request_and_a_refused_upgrade_is_none() {
    let upstream = Upstream::answering(|_| json(200, &format!(r#"{{"id":"resp_1","output":[],{USAGE}}}"#))).await;
    let world = World::before(&upstream, Setup::default()).await;
    let upgrade = Ask::stranger("GET", "/backend-api/codex/responses").bearer(crate::support::world::TOKEN);
    let upgrade = upgrade.header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(upgrade.send(world.port).await.status(), 426);
    world.lease("lease-token", None);
    let shorter = Ask::stranger("POST", "/v1/responses/compact").bearer("lease-token");
    assert_eq!(shorter.send(world.port).await.status(), 200);
    let request = written(&world, 1).await.remove(0);
    assert_eq!((request.operation, request.outcome), (UsageOperation::Responses, UsageOutcome::Success));
    assert_eq!((request.tokens, request.attempts.len()), (TOOK, 1));
}

/// Every account's stream fails with its first event, which has this code: the status and the code of the answer,
/// which are those of the row, and how many accounts are asked.
async fn check_first_event(code: &'static str, (status, said): (u16, &str), asked: usize) {
    let first = format!(r#"{{"type":"response.failed","response":{{"error":{{"code":"{code}"}}}}}}"#);
    let script = vec![Act::Send([stream_head(""), event(&first), LAST.to_vec()].concat())];
    for form in FORMS {
        let script = script.clone();
        let upstream = Upstream::answering(move |_| script.clone()).await;
        let world = World::before(&upstream, Setup { form, ..Setup::default() }).await;
        assert_eq!(Ask::turn().send(world.port).await.status(), status, "{code} {form:?}");
        let request = written(&world, 1).await.remove(0);
        let told = (request.outcome, request.status, request.error_code.as_deref(), request.tokens);
        assert_eq!(told, (UsageOutcome::Failure, Some(status), Some(said), TokenUse::default()), "{code} {form:?}");
        let attempts = request.attempts.iter().map(|one| (one.outcome, one.status, one.error_code.as_deref()));
        let attempts: Vec<_> = attempts.collect();
        assert_eq!(attempts, vec![(UsageOutcome::Failure, Some(200), Some(code)); asked], "{code} {form:?}");
    }
}

#[tokio::test]
async fn a_request_whose_streams_fail_at_once_has_the_code_and_status_of_its_answer() {
    // The first failure is passed on where nobody does better: a failure, though its status is 200.
    check_first_event("server_is_overloaded", (200, "server_is_overloaded"), 3).await;
    // A spent quota is answered in our own words.
    check_first_event("usage_limit_reached", (429, "codex_runtime_rotation_pool_exhausted"), 3).await;
    // The request's own fault is nobody else's matter.
    check_first_event("invalid_prompt", (200, "invalid_prompt"), 1).await;
}
