//! A model that no account has: by default that is the answer; where the user wants another one, the next is asked for,
//! and everybody is told.

use std::time::Duration;

use codex_auth_core::{AccountRules, Fallback, PermitTerms, Policies, ProjectRules, Strategy, testing};

use crate::support::{
    client::{Ask, Got},
    upstream::{Act, Seen, Upstream, event, json, served, stream_head},
    world::{FORMS, Setup, World},
};

const SAYS: &str = "x-codex-multi-auth-model";
const HINT: &str = "x-codex-routing-hint";

/// The backend's words for a model that an account lacks.
fn unsupported(model: &str) -> String {
    format!(r#"{{"detail":"The '{model}' model is not supported when using Codex with a ChatGPT account."}}"#)
}

/// The model a request that came in names, and in which coding its body is.
fn model_of(seen: &Seen) -> String {
    let plain = match seen.head.header("content-encoding") {
        Some("zstd") => zstd::bulk::decompress(&seen.body, 1 << 20).unwrap(),
        _ => seen.body.clone(),
    };
    let body: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    body["model"].as_str().unwrap().to_owned()
}

/// An upstream where each account has these models; others it refuses in the backend's words.
async fn having(accounts: &'static [&'static [&'static str]]) -> Upstream {
    Upstream::answering(move |seen: &Seen| {
        let model = model_of(seen);
        let has = accounts.get(seen.account() - 1).is_some_and(|models| models.contains(&model.as_str()));
        if has { served() } else { json(400, &unsupported(&model)) }
    })
    .await
}

fn chains() -> Fallback {
    Fallback::along([("a".to_owned(), vec!["b".to_owned(), "c".to_owned()])], true)
}

/// Two accounts, and another model where one is lacking.
fn two() -> Setup {
    Setup { pool: testing::pool(2), fallback: chains(), ..Setup::default() }
}

fn turn(model: &str) -> Ask {
    Ask::turn().header(HINT, &format!("model={model};tier=x")).body(format!(r#"{{"model":"{model}"}}"#).as_bytes())
}

/// Who was asked for what, in order.
fn asked(upstream: &Upstream) -> Vec<(usize, String)> {
    upstream.seen().iter().map(|seen| (seen.account(), model_of(seen))).collect()
}

#[track_caller]
fn check(upstream: &Upstream, got: &Got, expect: &[(usize, &str)], status: u16, says: Option<&str>) {
    let expect: Vec<_> = expect.iter().map(|(account, model)| (*account, (*model).to_owned())).collect();
    assert_eq!((asked(upstream), got.status(), got.header(SAYS)), (expect, status, says), "{}", got.text());
}

#[tokio::test]
async fn the_next_model_is_asked_for_once_every_account_lacks_the_first() {
    for form in FORMS {
        let upstream = having(&[&["b"], &["b"]]).await;
        let world = World::before(&upstream, Setup { form, ..two() }).await;
        let got = turn("a").send(world.port).await;
        check(&upstream, &got, &[(1, "a"), (2, "a"), (2, "b")], 200, Some("b"));
        assert_eq!(upstream.seen()[2].head.header(HINT), Some("model=b;tier=x"));
        assert_eq!(got.text(), "data: one\n\ndata: two\n\n");
        turn("a").send(world.port).await;
        let again = asked(&upstream).split_off(3);
        assert_eq!(again, [(2, "b".to_owned())], "that they lack it is remembered: {form:?}");
    }
}

#[tokio::test]
async fn another_account_comes_before_another_model() {
    let upstream = having(&[&["b"], &["a"]]).await;
    let world = World::before(&upstream, two()).await;
    let got = turn("a").send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (2, "a")], 200, None);
}

#[tokio::test]
async fn strict_is_strict_and_the_clients_answer_is_the_backends() {
    for model in ["a", "gpt-5.3-codex-spark", "gpt-5.5"] {
        let upstream = having(&[&["b"], &["gpt-5.4"]]).await;
        let world = World::before(&upstream, Setup { fallback: Fallback::strict(), ..two() }).await;
        let body = format!("{{ \"model\" :\"{model}\",\"n\":1.50}}");
        let got = turn(model).body(body.as_bytes()).send(world.port).await;
        check(&upstream, &got, &[(1, model), (2, model)], 400, None);
        assert_eq!(got.text(), unsupported(model));
        assert!(upstream.seen().iter().all(|seen| seen.body == body.as_bytes()), "byte for byte");
    }
}

#[tokio::test]
async fn every_other_byte_of_the_body_stays() {
    let upstream = having(&[&["b"]]).await;
    let world = World::before(&upstream, Setup { pool: testing::pool(1), ..two() }).await;
    let body = |model: &str| {
        format!("{{\"n\":1.50, \"input\":[{{\"model\":\"a\"}}],\"model\" : \"{model}\",\"t\":\"\\u00e4\u{e4}\"}}\n")
    };
    let got = turn("a").body(body("a").as_bytes()).send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (1, "b")], 200, Some("b"));
    let packed = zstd::bulk::compress(body("a").as_bytes(), 3).unwrap();
    let got = turn("a").header("content-encoding", "zstd").body(&packed).send(world.port).await;
    assert_eq!(got.status(), 200);
    let seen = upstream.seen();
    assert_eq!(String::from_utf8_lossy(&seen[1].body), body("b"));
    assert_eq!(seen[1].head.header("content-length"), Some(body("b").len().to_string().as_str()));
    let unpacked = zstd::bulk::decompress(&seen[2].body, 1 << 20).unwrap();
    assert_eq!((seen[2].head.header("content-encoding"), unpacked), (Some("zstd"), body("b").into_bytes()));
}

#[tokio::test]
async fn a_pinned_account_never_spills_but_may_fall_to_another_model() {
    let mut pool = testing::pool(2);
    pool.pin = Some(pool.accounts[0].account.record.clone());
    for (fallback, expect, status, says) in
        [(chains(), &[(1, "a"), (1, "b")][..], 200, Some("b")), (Fallback::strict(), &[(1, "a")][..], 400, None)]
    {
        let upstream = having(&[&["b"], &["a", "b"]]).await;
        let world = World::before(&upstream, Setup { pool: pool.clone(), fallback, ..two() }).await;
        let got = turn("a").send(world.port).await;
        check(&upstream, &got, expect, status, says);
    }
}

#[tokio::test]
async fn the_last_refusal_is_relayed_where_nobody_has_any_of_the_chain() {
    for (strategy, pinned) in [(Strategy::Sequential, false), (Strategy::Sequential, true), (Strategy::Manual, false)] {
        let mut pool = testing::pool(1);
        pool.pin = pinned.then(|| pool.accounts[0].account.record.clone());
        pool.active = Some(pool.accounts[0].account.record.clone());
        let upstream = having(&[&[]]).await;
        let world = World::before(&upstream, Setup { pool, strategy, ..two() }).await;
        let got = turn("a").send(world.port).await;
        check(&upstream, &got, &[(1, "a"), (1, "b"), (1, "c")], 400, Some("c"));
        assert_eq!(got.text(), unsupported("c"));
    }
}

#[tokio::test]
async fn no_chain_goes_round_and_four_models_are_the_most() {
    let chain = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let one = |fallback| Setup { pool: testing::pool(1), fallback, ..Setup::default() };
    let upstream = having(&[&[]]).await;
    let round = Fallback::along([("a".to_owned(), chain(&["b"])), ("b".to_owned(), chain(&["a"]))], true);
    let world = World::before(&upstream, one(round)).await;
    let got = turn("a").send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (1, "b")], 400, Some("b"));
    let upstream = having(&[&["e"]]).await;
    let long = Fallback::along([("a".to_owned(), chain(&["b", "c", "d", "e"]))], true);
    let world = World::before(&upstream, one(long)).await;
    let got = turn("a").send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (1, "b"), (1, "c"), (1, "d")], 400, Some("d"));
}

#[tokio::test]
async fn a_model_without_a_hint_and_a_failed_stream_are_no_different() {
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"model_not_found","message":"no"}}}"#;
    let upstream = Upstream::answering(move |seen: &Seen| {
        let stream = [stream_head(""), event(failed)].concat();
        if model_of(seen) == "b" { served() } else { vec![Act::Send(stream), Act::Close] }
    })
    .await;
    let world = World::before(&upstream, two()).await;
    let got = Ask::turn().body(br#"{"model":"a"}"#).send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (2, "a"), (2, "b")], 200, Some("b"));
}

#[tokio::test]
async fn a_body_that_does_not_clearly_name_a_model_is_not_changed() {
    let refuses = |_: &Seen| json(400, &unsupported("a"));
    for body in [r#"{"model":"a","model":"a"}"#, "a", "{}"] {
        let upstream = Upstream::answering(refuses).await;
        let world = World::before(&upstream, two()).await;
        let got = turn("a").body(body.as_bytes()).send(world.port).await;
        assert_eq!((got.status(), got.header(SAYS), got.text()), (400, None, unsupported("a")));
        let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies, vec![body.as_bytes().to_vec(); 2]);
    }
}

#[tokio::test]
async fn a_refusal_by_policy_or_a_fault_takes_no_other_model() {
    for (status, code) in [(400, "cyber_policy"), (500, "server_error"), (400, "invalid_prompt")] {
        let answers = move |seen: &Seen| match seen.account() {
            1 => json(400, &unsupported("a")),
            _ => json(status, &format!(r#"{{"error":{{"code":"{code}"}}}}"#)),
        };
        let upstream = Upstream::answering(answers).await;
        let world = World::before(&upstream, two()).await;
        let got = turn("a").send(world.port).await;
        check(&upstream, &got, &[(1, "a"), (2, "a")], status, None);
    }
}

#[tokio::test]
async fn an_account_that_cannot_serve_is_not_waited_for() {
    let spent = r#"{"error":{"type":"usage_limit_reached","resets_at":1800003600}}"#;
    let answers = move |seen: &Seen| match (seen.account(), model_of(seen).as_str()) {
        (1, _) => json(429, spent),
        (_, "b") => served(),
        (_, model) => json(400, &unsupported(model)),
    };
    let upstream = Upstream::answering(answers).await;
    let world = World::before(&upstream, two()).await;
    let got = turn("a").send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (2, "a"), (2, "b")], 200, Some("b"));
}

#[tokio::test]
async fn no_chain_is_a_way_round_a_projects_models_or_a_capabilitys() {
    let upstream = having(&[&["b", "c"], &["b", "c"]]).await;
    let setup = two();
    let rules = ProjectRules { denied_models: vec!["b".into()], ..ProjectRules::default() };
    let ordinary = AccountRules::default();
    let accounts = setup.pool.accounts.iter().map(|held| (held.account.record.clone(), ordinary.clone()));
    let projects = [("shop".to_owned(), rules)].into();
    setup.rules.set(Policies { accounts: accounts.collect(), projects, ..Policies::default() });
    setup.rules.locate("/shop", "shop");
    let world = World::before(&upstream, setup).await;
    world.lease_in("lease-token", "/shop", None);
    let in_shop = Ask::stranger("POST", "/v1/responses").bearer("lease-token").body(br#"{"model":"a"}"#);
    let got = in_shop.send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (2, "a"), (2, "c")], 200, Some("c"));

    let terms = PermitTerms { lasts: Duration::from_hours(1), models: vec!["a".into()], ..PermitTerms::default() };
    let entropy = testing::SeededEntropy::new(1);
    let issued = world.proxy.leases().permits().issue(terms, false, &entropy, crate::support::world::NOW).await;
    let (_, secret) = issued.unwrap();
    let limited = Ask::stranger("POST", "/v1/responses").bearer(secret.expose()).body(br#"{"model":"a"}"#);
    let got = limited.send(world.port).await;
    assert_eq!((got.status(), got.text(), got.header(SAYS)), (400, unsupported("a"), None));
    assert!(asked(&upstream).split_off(3).iter().all(|(_, model)| model == "a"), "{:?}", asked(&upstream));
}

#[tokio::test]
async fn ciphertext_is_left_out_of_the_changed_request_too() {
    let answers = |seen: &Seen| match (model_of(seen).as_str(), String::from_utf8_lossy(&seen.body).contains("x1")) {
        ("b", true) => json(400, r#"{"error":{"code":"invalid_encrypted_content"}}"#),
        ("b", false) => served(),
        (model, _) => json(400, &unsupported(model)),
    };
    let upstream = Upstream::answering(answers).await;
    let world = World::before(&upstream, Setup { pool: testing::pool(1), ..two() }).await;
    let body = r#"{"model":"a","input":[{"encrypted_content":"x1"}]}"#;
    let got = turn("a").body(body.as_bytes()).send(world.port).await;
    check(&upstream, &got, &[(1, "a"), (1, "b"), (1, "b")], 200, Some("b"));
    assert_eq!(upstream.seen()[2].body, br#"{"model":"b","input":[{}]}"#);
}

#[tokio::test]
async fn the_backends_word_for_the_model_is_not_passed_off_as_a_reroute() {
    let answers = |seen: &Seen| match model_of(seen).as_str() {
        "a" => json(400, &unsupported("a")),
        model => crate::support::upstream::whole(200, &format!("openai-model: {model}\r\n"), b"{}"),
    };
    let upstream = Upstream::answering(answers).await;
    let world = World::before(&upstream, Setup { pool: testing::pool(1), ..two() }).await;
    let got = turn("a").send(world.port).await;
    assert_eq!((got.header(SAYS), got.header("openai-model")), (Some("b"), None));
    let got = turn("b").send(world.port).await;
    assert_eq!((got.header(SAYS), got.header("openai-model")), (None, Some("b")));
}

#[tokio::test]
async fn the_ledger_names_the_model_asked_for_and_the_clients() {
    let upstream = having(&[&["b"], &["b"]]).await;
    let world = World::before(&upstream, two()).await;
    turn("a").send(world.port).await;
    turn("b").send(world.port).await;
    crate::support::until("requests to be written down", || world.book.requests().len() == 2).await;
    let requests = world.book.requests();
    let models: Vec<_> =
        requests.iter().map(|request| (request.model.as_deref(), request.instead_of.as_deref())).collect();
    assert_eq!(models, [(Some("b"), Some("a")), (Some("b"), None)]);
    let attempts: Vec<_> = requests[0].attempts.iter().map(|attempt| attempt.model.as_deref()).collect();
    assert_eq!(attempts, [Some("a"), Some("a"), Some("b")]);
    assert!(requests[1].attempts.iter().all(|attempt| attempt.model.is_none()));
}
