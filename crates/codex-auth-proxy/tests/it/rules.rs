//! The user's rules at the door: who is not asked, who alone is, what is refused, and what a budget counts.

use std::collections::BTreeMap;

use codex_auth_core::{
    AccountRules, BudgetLimit, Day, Policies, Price, PriceTable, ProjectRules, RecordId, Spent, SpentAt, Timestamp,
    Window,
    testing::{MemoryPolicies, pool},
};

use crate::support::{
    client::Ask,
    upstream::{Act, Gate, LAST, Upstream, event, json, served, stream_head, whole},
    world::{NOW, Setup, World},
};

const LEASE: &str = "CANARY-lease-token";

fn record(n: usize) -> RecordId {
    pool(3).accounts[n - 1].account.record.clone()
}

fn requests(most: f64) -> BudgetLimit {
    BudgetLimit { window: Window::Hour, max_requests: Some(most), max_tokens: None, max_cost_usd: None }
}

fn limits(all: &[(&str, f64)]) -> Policies {
    let limits = all.iter().map(|(key, most)| ((*key).to_owned(), requests(*most)));
    Policies { limits: limits.collect(), ..Policies::default() }
}

fn project(rules: ProjectRules) -> Policies {
    Policies { projects: [("shop".to_owned(), rules)].into(), ..Policies::default() }
}

/// A world under these rules, with a lease of a client that works in the project `shop`.
async fn under(upstream: &Upstream, policies: Policies) -> (World, MemoryPolicies) {
    let rules = MemoryPolicies::default();
    rules.set(policies);
    rules.locate("/shop", "shop");
    let world = World::before(upstream, Setup { rules: rules.clone(), ..Setup::default() }).await;
    world.lease_in(LEASE, "/shop", None);
    (world, rules)
}

fn turn_in_shop() -> Ask {
    Ask::stranger("POST", "/v1/responses").bearer(LEASE).body(b"{\"model\":\"gpt-5.5\"}")
}

#[tokio::test]
async fn a_paused_account_is_not_used_and_a_pause_is_heard_while_we_run() {
    let upstream = Upstream::answering(|_| served()).await;
    let (world, rules) = under(&upstream, Policies::default()).await;
    Ask::turn().send(world.port).await;
    let paused = AccountRules { is_paused: true, ..AccountRules::default() };
    let all = |count| (1..=count).map(|n| (record(n), paused.clone())).collect::<BTreeMap<_, _>>();
    rules.set(Policies { accounts: all(1), ..Policies::default() });
    assert!(world.proxy.reload_if_changed().await.unwrap());
    Ask::turn().send(world.port).await;
    assert_eq!(upstream.asked(), [1, 2]);
    rules.set(Policies { accounts: all(3), ..Policies::default() });
    world.proxy.reload_if_changed().await.unwrap();
    let got = Ask::turn().send(world.port).await;
    assert_eq!(got.status(), 400);
    assert!(got.text().contains("codex-multi-auth account unpause 1"), "{}", got.text());
}

#[tokio::test]
async fn a_bound_project_is_served_by_its_account_or_by_nobody() {
    let refuses = |seen: &crate::support::upstream::Seen| match seen.account() {
        2 => json(429, r#"{"error":{"type":"usage_limit_reached","resets_in_seconds":600}}"#),
        _ => served(),
    };
    let upstream = Upstream::answering(refuses).await;
    let (world, rules) =
        under(&upstream, project(ProjectRules { bound: Some(record(2)), ..ProjectRules::default() })).await;
    let got = turn_in_shop().send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (429, "codex_pinned_account_unavailable"));
    assert_eq!(upstream.asked(), [2], "it never spills");
    assert_eq!(Ask::turn().send(world.port).await.status(), 200, "others are free");
    rules.set(project(ProjectRules { bound: RecordId::parse("record:gone"), ..ProjectRules::default() }));
    world.proxy.reload_if_changed().await.unwrap();
    let got = turn_in_shop().send(world.port).await;
    assert_eq!(got.status(), 400);
    assert!(got.text().contains("codex-multi-auth profile unbind"), "{}", got.text());
    assert_eq!(upstream.asked(), [2, 1]);
}

#[tokio::test]
async fn f60_a_list_of_models_refuses_answers_and_never_the_catalogue() {
    let catalogue = |seen: &crate::support::upstream::Seen| {
        let is_list = seen.head.line.starts_with("GET");
        if is_list { json(200, r#"{"models":[{"slug":"gpt-5.5"}]}"#) } else { served() }
    };
    let upstream = Upstream::answering(catalogue).await;
    let allowed = ProjectRules { allowed_models: vec!["gpt-5.6".to_owned()], ..ProjectRules::default() };
    let (world, _rules) = under(&upstream, project(allowed)).await;
    let got = turn_in_shop().send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (400, "policy_blocked"));
    let reasons = got.json().pointer("/error/reasons/0").cloned();
    assert_eq!(reasons, Some("routing profile does not allow requested model".into()));
    assert!(got.text().contains("codex-multi-auth profile show"), "{}", got.text());
    let hinted = turn_in_shop().header("x-codex-routing-hint", "model=gpt-5.6-luna");
    assert_eq!(hinted.send(world.port).await.status(), 200);
    assert_eq!(turn_in_shop().body(b"not JSON").send(world.port).await.status(), 400, "doubt is no permission");
    let list = Ask::stranger("GET", "/v1/models").bearer(LEASE).send(world.port).await;
    assert_eq!(list.status(), 200);
    assert!(list.text().contains("gpt-5.5"), "{}", list.text());
}

#[tokio::test]
async fn f60_a_budget_of_two_blocks_the_third_until_its_window_ends() {
    let upstream = Upstream::answering(|_| served()).await;
    let (world, _rules) = under(&upstream, limits(&[("global", 2.0)])).await;
    for _ in 0..2 {
        assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    }
    for _ in 0..2 {
        let got = Ask::turn().send(world.port).await;
        assert_eq!((got.status(), got.code().as_str()), (429, "budget_blocked"));
        let error = got.json()["error"].clone();
        assert_eq!(error["type"], "usage_limit_reached");
        assert_eq!(error["resets_at"], Window::Hour.ends(NOW).as_secs_ceil());
        assert_eq!(error["message"], "budget global blocked request: request limit reached (2/2)");
    }
    assert_eq!(upstream.asked().len(), 2);
    world.clock.set(Window::Hour.ends(NOW));
    assert_eq!(Ask::turn().send(world.port).await.status(), 200, "blocked requests filled nothing");
}

#[tokio::test]
async fn f60_a_project_budget_counts_that_project_only_and_no_failures() {
    let refuses = |seen: &crate::support::upstream::Seen| {
        let is_bad = seen.body.starts_with(b"{\"model\":\"bad");
        if is_bad { json(400, r#"{"error":{"code":"bad_request"}}"#) } else { served() }
    };
    let upstream = Upstream::answering(refuses).await;
    let (world, _rules) = under(&upstream, limits(&[("project:shop", 1.0)])).await;
    for _ in 0..3 {
        assert_eq!(Ask::turn().send(world.port).await.status(), 200, "it comes from nowhere in particular");
        assert_eq!(turn_in_shop().body(b"{\"model\":\"bad\"}").send(world.port).await.status(), 400);
    }
    assert_eq!(turn_in_shop().send(world.port).await.status(), 200);
    assert_eq!(turn_in_shop().send(world.port).await.code(), "budget_blocked");
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
}

#[tokio::test]
async fn f60_what_is_under_way_keeps_its_room() {
    let gate = Gate::closed();
    let script = {
        let gate = gate.clone();
        move |_: &_| [vec![Act::Send(stream_head("")), Act::Wait(gate.clone())], vec![Act::Close]].concat()
    };
    let upstream = Upstream::answering(script).await;
    let (world, _rules) = under(&upstream, limits(&[("global", 2.0)])).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut line = Ask::turn().open(world.port).await;
        assert_eq!(line.head().await.unwrap().status(), 200);
        open.push(line);
    }
    assert_eq!(Ask::turn().send(world.port).await.code(), "budget_blocked", "two are under way and none has ended");
    gate.open();
    drop(open);
    world.all_settled().await;
    assert_eq!(upstream.asked().len(), 2);
}

#[tokio::test]
async fn f60_tokens_are_counted_from_the_last_event_each_once() {
    let usage = r#"{"input_tokens":60,"input_tokens_details":{"cached_tokens":40},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30}}"#;
    let last = format!("data: {{\"type\":\"response.completed\",\"response\":{{\"usage\":{usage}}}}}\n\n");
    let script =
        move |_: &crate::support::upstream::Seen| whole(200, "content-type: text/event-stream\r\n", last.as_bytes());
    let upstream = Upstream::answering(script).await;
    let mut budget = limits(&[("global", 1.0)]);
    for limit in budget.limits.values_mut() {
        (limit.max_requests, limit.max_tokens) = (None, Some(200.0));
    }
    let (world, _rules) = under(&upstream, budget).await;
    for _ in 0..2 {
        assert_eq!(Ask::turn().send(world.port).await.status(), 200);
        world.all_settled().await;
    }
    let got = Ask::turn().send(world.port).await;
    let told = got.json()["error"]["message"].clone();
    assert_eq!(told, "budget global blocked request: token limit reached (200/200)");
}

#[tokio::test]
async fn what_was_spent_before_counts_from_the_start() {
    let upstream = Upstream::answering(|_| served()).await;
    let rules = MemoryPolicies::default();
    rules.set(limits(&[("global", 2.0)]));
    let spent = Spent { requests: 1, ..Spent::default() };
    rules.spent_before(SpentAt { at: NOW, project: None, spent });
    let an_hour_ago = Timestamp::from_millis(NOW.as_millis() - 3_600_000);
    rules.spent_before(SpentAt { at: an_hour_ago, project: None, spent });
    let world = World::before(&upstream, Setup { rules, ..Setup::default() }).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(Ask::turn().send(world.port).await.code(), "budget_blocked");
}

#[tokio::test]
async fn what_others_spend_counts_while_we_run() {
    let upstream = Upstream::answering(|_| served()).await;
    let (world, _rules) = under(&upstream, limits(&[("global", 2.0)])).await;
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    world.all_settled().await;
    let spent = Spent { requests: 1, ..Spent::default() };
    world.book.others_spend(SpentAt { at: NOW, project: None, spent });
    world.proxy.reload_if_changed().await.unwrap();
    assert_eq!(Ask::turn().send(world.port).await.code(), "budget_blocked");
}

#[tokio::test]
async fn a_change_of_the_prices_counts_from_the_next_row_on() {
    let took = r#"{"type":"response.completed","response":{"id":"r","usage":{"input_tokens":1000,"output_tokens":0}}}"#;
    let answer = [stream_head(""), event(took), LAST.to_vec()].concat();
    let upstream = Upstream::answering(move |_| vec![Act::Send(answer.clone())]).await;
    let limit = BudgetLimit { max_requests: None, max_cost_usd: Some(0.05), ..requests(0.0) };
    let policies = Policies { limits: [("global".to_owned(), limit)].into(), ..Policies::default() };
    let (world, rules) = under(&upstream, policies).await;
    let mut turns = 0;
    let mut turn = async || {
        let got = turn_in_shop().header("x-codex-routing-hint", "model=gpt-5.5").send(world.port).await;
        turns += 1;
        crate::support::until("the row", || world.book.requests().len() == turns).await;
        got.status()
    };
    assert_eq!((turn().await, turn().await, turn().await), (200, 200, 200), "0.002 each");
    let mut prices = PriceTable::default();
    let dear = Price { input: 100_000, cached_input: 100_000, output: 0 };
    prices.set("gpt-5.5", Day::default(), dear);
    rules.price(Some(prices));
    world.proxy.reload_if_changed().await.unwrap();
    // A table that cannot be read leaves the last good one.
    rules.price(None);
    world.proxy.reload_if_changed().await.unwrap();
    assert_eq!((turn().await, turn().await), (200, 429), "0.1 each");
}

#[tokio::test]
async fn f60_broken_rules_leave_the_last_good_ones_or_refuse() {
    let upstream = Upstream::answering(|_| served()).await;
    let (world, rules) = under(&upstream, limits(&[("global", 1.0)])).await;
    rules.break_off();
    world.proxy.reload_if_changed().await.unwrap();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
    assert_eq!(Ask::turn().send(world.port).await.code(), "budget_blocked", "the last good ones hold");
    let broken = MemoryPolicies::default();
    broken.break_off();
    let world = World::before(&upstream, Setup { rules: broken.clone(), ..Setup::default() }).await;
    let got = Ask::turn().send(world.port).await;
    assert_eq!((got.status(), got.code().as_str()), (503, "runtime_policy_unavailable"));
    assert!(got.text().contains("it ends in the middle"), "{}", got.text());
    broken.set(Policies::default());
    world.proxy.reload_if_changed().await.unwrap();
    assert_eq!(Ask::turn().send(world.port).await.status(), 200);
}

#[tokio::test]
async fn f60_sessions_of_one_home_are_told_apart_by_what_they_say_or_not_served() {
    let upstream = Upstream::answering(|_| served()).await;
    let (world, rules) =
        under(&upstream, project(ProjectRules { bound: Some(record(2)), ..ProjectRules::default() })).await;
    rules.locate("/blog", "blog");
    world.homes.sign_in("/home", 3, None);
    for cwd in ["/shop", "/blog"] {
        world.lease_in(cwd, cwd, Some("/home"));
    }
    let turn = Ask::stranger("POST", "/backend-api/codex/responses").bearer("access-3").body(b"{}");
    let told =
        |root: &str| turn.clone().header("x-codex-turn-metadata", &format!(r#"{{"workspaces":{{"{root}":{{}}}}}}"#));
    assert_eq!(told("/shop").send(world.port).await.status(), 200);
    assert_eq!(told("/blog").send(world.port).await.status(), 200);
    assert_eq!(upstream.asked(), [2, 1]);
    assert_eq!(turn.send(world.port).await.code(), "policy_blocked", "nobody can tell whether it is bound");
}
