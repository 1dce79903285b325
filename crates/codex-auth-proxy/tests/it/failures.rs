//! Each class of failure against an upstream that follows a script: who is asked, what the client sees, who rests.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Limit, Query, QuotaSnapshot, QuotaWindow, Remembered, RestScope, Source, testing::MemoryQuotas};

use crate::support::{
    client::Ask,
    upstream::{Act, Gate, LAST, Seen, Upstream, event, json, served, stream_head, whole},
    world::{FORMS, Form, NOW, Setup, World},
};

const HINT: &str = "x-codex-routing-hint";

/// An upstream that answers account 1 with this and all others well.
async fn first_says(answer: Vec<Act>) -> Upstream {
    Upstream::answering(move |seen: &Seen| if seen.account() == 1 { answer.clone() } else { served() }).await
}

async fn before(upstream: &Upstream, form: Form) -> World {
    World::before(upstream, Setup { form, ..Setup::default() }).await
}

/// A stream with these events.
fn stream(events: &[&str]) -> Vec<Act> {
    let events: Vec<u8> = events.iter().flat_map(|text| event(text)).collect();
    vec![Act::Send([stream_head(""), events, LAST.to_vec()].concat())]
}

fn failed(code: &str) -> String {
    format!(r#"{{"type":"response.failed","response":{{"error":{{"code":"{code}","message":"try again in 90s"}}}}}}"#)
}

/// One request to an upstream whose account 1 says this: who is asked, and the status the client sees.
async fn check(answer: Vec<Act>, asked: &[usize], status: u16) -> World {
    let upstream = first_says(answer).await;
    let world = before(&upstream, Form::Inline).await;
    let got = Ask::turn().header(HINT, "model=gpt-5.3-codex-spark").send(world.port).await;
    assert_eq!((upstream.asked().as_slice(), got.status()), (asked, status), "{}", got.text());
    world.all_settled().await;
    world
}

/// How account 1 rests.
fn rests(world: &World) -> Vec<(RestScope, u64)> {
    let pool = world.proxy.rotation().pool();
    let rests = pool.accounts[0].account.rests.iter();
    rests.map(|rest| (rest.scope.clone(), rest.until.since(NOW).as_secs())).collect()
}

fn account(secs: u64) -> Vec<(RestScope, u64)> {
    vec![(RestScope::Account, secs)]
}

#[tokio::test]
async fn the_requests_own_faults_are_relayed_and_rest_nobody() {
    for status in [400, 402, 403, 404, 409, 413, 422] {
        let world = check(json(status, r#"{"error":{"code":"whatever"}}"#), &[1], status).await;
        assert_eq!(rests(&world), []);
    }
}

#[tokio::test]
async fn limits_rest_what_they_are_about() {
    let of_model = RestScope::QuotaKey("gpt-5-codex:gpt-5.3-codex-spark".into());
    let with = |headers: &str, body: &str| whole(429, headers, body.as_bytes());
    let usage = r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":77}}"#;
    assert_eq!(rests(&check(with("", usage), &[1, 2], 200).await), account(77));
    assert_eq!(rests(&check(with("x-codex-active-limit: codex\r\n", usage), &[1, 2], 200).await), account(77));
    let of_spark = with("x-codex-active-limit: codex_spark\r\n", usage);
    assert_eq!(rests(&check(of_spark, &[1, 2], 200).await), [(of_model.clone(), 77)]);
    let tokens = with("retry-after: 20\r\n", r#"{"error":{"code":"tokens_per_minute"}}"#);
    assert_eq!(rests(&check(tokens, &[1, 2], 200).await), [(of_model, 20)]);
    assert_eq!(rests(&check(with("retry-after: 9\r\n", "slow"), &[1, 2], 200).await), account(9));
    let hidden = json(404, r#"{"error":{"code":"usage_limit_reached","resets_in_seconds":5}}"#);
    assert_eq!(rests(&check(hidden, &[1, 2], 200).await), account(5));
}

#[tokio::test]
async fn a_limit_without_an_end_takes_that_of_the_spent_window() {
    let headers = "x-codex-primary-used-percent: 100\r\nx-codex-primary-reset-after-seconds: 300\r\n\
                   x-codex-secondary-used-percent: 30\r\nx-codex-secondary-reset-after-seconds: 500000\r\n";
    let refusal = whole(429, headers, br#"{"error":{"type":"usage_limit_reached"}}"#);
    assert_eq!(rests(&check(refusal, &[1, 2], 200).await), account(300));
}

#[tokio::test]
async fn faults_of_the_backend_are_hidden_by_the_next_account() {
    for (status, body) in [(408, ""), (500, ""), (503, r#"{"error":{"code":"server_is_overloaded"}}"#), (529, "")] {
        assert_eq!(rests(&check(json(status, body), &[1, 2], 200).await), account(4), "{status}");
    }
}

#[tokio::test]
async fn a_burst_is_passed_on_as_it_came_and_nobody_else_is_asked() {
    let fault = whole(503, "x-request-id: theirs\r\n", br#"{"error":{"code":"slow_down"}}"#);
    let upstream = Upstream::answering(move |_| fault.clone()).await;
    let pool = codex_auth_core::testing::pool(5);
    let world = World::before(&upstream, Setup { pool, ..Setup::default() }).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.header("x-request-id")), (503, Some("theirs")));
    assert_eq!(upstream.asked(), [1, 2, 3]);
    assert_eq!(Ask::turn().send(world.port).await.header("retry-after"), Some("5"));
    assert_eq!(upstream.asked(), [1, 2, 3], "nobody is asked for a moment");
    world.clock.advance(Duration::from_secs(10));
    world.first_again();
    Ask::turn().send(world.port).await;
    assert_eq!(upstream.asked(), [1, 2, 3, 1], "one tries");
}

#[tokio::test]
async fn a_model_that_an_account_lacks_is_asked_of_another_and_remembered() {
    let lacks =
        r#"{"detail":"The 'gpt-5.3-codex-spark' model is not supported when using Codex with a ChatGPT account."}"#;
    let upstream = first_says(json(400, lacks)).await;
    let world = before(&upstream, Form::Inline).await;
    let turn = |model: &'static str| Ask::turn().header(HINT, model);
    assert_eq!(turn("model=gpt-5.3-codex-spark").send(world.port).await.status(), 200);
    turn("model=gpt-5.3-codex-spark").send(world.port).await;
    assert_eq!(upstream.asked(), [1, 2, 2], "it is not asked again for half an hour");
    world.first_again();
    turn("model=gpt-5.5").send(world.port).await;
    assert_eq!(upstream.asked(), [1, 2, 2, 1, 2], "another model is another question");
}

#[tokio::test]
async fn a_model_that_everybody_lacks_is_told_in_the_backends_words() {
    let body = r#"{"error":{"code":"model_not_supported_with_chatgpt_account","message":"theirs"}}"#;
    let upstream = Upstream::answering(move |_| json(400, body)).await;
    let world = before(&upstream, Form::Inline).await;
    let got = Ask::turn().header(HINT, "model=gpt-5.5").send(world.port).await;
    assert_eq!((got.status(), got.text().as_str(), upstream.asked().len()), (400, body, 3));
    let again = Ask::turn().header(HINT, "model=gpt-5.5").send(world.port).await;
    assert_eq!((again.status(), again.code().as_str(), upstream.asked().len()), (400, "model_not_supported", 3));
}

#[tokio::test]
async fn a_stream_that_fails_with_its_first_event_is_asked_of_another() {
    for form in FORMS {
        for code in ["usage_limit_reached", "rate_limit_exceeded", "server_is_overloaded", "server_error"] {
            let upstream = first_says(stream(&[&failed(code)])).await;
            let world = before(&upstream, form).await;
            let got = Ask::turn().send(world.port).await;
            assert_eq!((got.text().as_str(), upstream.asked()), ("data: one\n\ndata: two\n\n", vec![1, 2]), "{code}");
            world.all_settled().await;
            assert_eq!(rests(&world).len(), 1, "{form:?} {code}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_for_the_requests_sake_is_relayed() {
    for code in ["context_length_exceeded", "invalid_prompt", "cyber_policy"] {
        let world = check(stream(&[&failed(code)]), &[1], 200).await;
        assert_eq!(rests(&world), [], "{code}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_for_everybody_says_when_somebody_is_free() {
    let upstream = Upstream::answering(|_| stream(&[&failed("usage_limit_reached")])).await;
    let world = before(&upstream, Form::Inline).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.header("retry-after"), upstream.asked().len()), (429, Some("90"), 3));
}

#[tokio::test]
async fn a_stream_that_is_slow_to_begin_is_not_held_back() {
    for form in FORMS {
        let gate = Gate::closed();
        let (held, rest) = (gate.clone(), [event(&failed("usage_limit_reached")), LAST.to_vec()].concat());
        let script = move |_: &_| vec![Act::Send(stream_head("")), Act::Wait(held.clone()), Act::Send(rest.clone())];
        let upstream = Upstream::answering(script).await;
        let world = before(&upstream, form).await;
        let mut line = Ask::turn().open(world.port).await;
        assert_eq!(line.head().await.map(|head| head.status()), Some(200), "{form:?}: the head does not wait for ever");
        gate.open();
        assert!(line.piece().await.unwrap().is_some());
        world.all_settled().await;
        assert_eq!((upstream.asked(), rests(&world)), (vec![1], account(90)), "it counts all the same");
    }
}

#[tokio::test]
async fn quotas_are_learnt_from_headers_refusals_and_events() {
    let headers = "x-codex-primary-used-percent: 40\r\nx-codex-primary-window-minutes: 300\r\nx-codex-primary-reset-after-seconds: 600\r\n";
    let limits = r#"{"type":"codex.rate_limits","rate_limits":{"primary":{"used_percent":55,"window_minutes":300,"reset_at":1800000600}}}"#;
    let answer = [stream_head(headers), event(limits), event("one"), LAST.to_vec()].concat();
    let world = check(vec![Act::Send(answer)], &[1], 200).await;
    let record = world.proxy.rotation().pool().accounts[0].account.record.clone();
    let quota = world.proxy.rotation().quota(&record).expect("it was told");
    let told: Vec<_> = quota.windows(NOW).map(|state| (state.limit.clone(), state.reading.used_percent)).collect();
    assert_eq!(told, [(Limit::Account, 55.0)]);
    let decision = world.proxy.rotation().decide(&Query::default(), NOW);
    assert!(decision.choice.is_some());
}

#[tokio::test]
async fn a_new_agent_does_not_ask_an_account_that_is_remembered_as_spent() {
    let headers = "x-codex-primary-used-percent: 40\r\nx-codex-primary-window-minutes: 300\r\nx-codex-primary-reset-after-seconds: 600\r\n";
    let upstream = Upstream::answering(move |_| whole(200, headers, b"{}")).await;
    let world = before(&upstream, Form::Inline).await;
    let records: Vec<_> =
        world.proxy.rotation().pool().accounts.iter().map(|held| held.account.record.clone()).collect();
    let spent = QuotaWindow {
        used_percent: 100.0,
        window_minutes: Some(300),
        resets_at: Some(NOW.after(Duration::from_mins(10))),
    };
    let quota = QuotaSnapshot { primary: Some(spent), secondary: None, seen_at: NOW };
    let row = Remembered { record: records[0].clone(), quota, plan: None, source: Source::File };
    let memory = MemoryQuotas::holding(vec![row]);
    world.proxy.remembering_in(Arc::new(memory.clone())).await;
    Ask::turn().send(world.port).await;
    assert_eq!(upstream.asked(), [2]);
    world.proxy.settle_down().await;
    let kept: Vec<_> = memory.rows().into_iter().skip(1).collect();
    let share = |row: &Remembered| row.quota.primary.map(|window| window.used_percent);
    assert_eq!(kept.iter().map(|row| (&row.record, share(row))).collect::<Vec<_>>(), [(&records[1], Some(40.0))]);
    Ask::turn().send(world.port).await;
    world.proxy.settle_down().await;
    assert_eq!(memory.rows().len(), 2, "what is no news is not written");
    world.clock.advance(Duration::from_mins(10));
    world.first_again();
    Ask::turn().send(world.port).await;
    assert_eq!(upstream.asked(), [2, 2, 1], "after its end it is asked again");
}
