//! A question that is passed on (a list of models, quotas, anything else below the backend) is written down once, with
//! everybody who was asked, and fills no budget.

use codex_auth_core::{
    BudgetLimit, Policies, RequestSpent, TokenUse, UsageOperation, UsageOutcome, Window, testing::MemoryPolicies,
};

use crate::support::{
    client::Ask,
    upstream::{Act, LAST, Seen, Upstream, event, json, stream_head},
    world::{FORMS, Form, Setup, TOKEN, World},
};

const LIST: &str = r#"{"models":[{"slug":"a"}],"usage":{"input_tokens":7,"output_tokens":7}}"#;
/// Some of an answer, and less than it announced.
const PART: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";

/// An upstream, and a world with the homes of account 2 and of somebody who is not in the pool.
async fn world(form: Form, script: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> (Upstream, World) {
    let upstream = Upstream::answering(script).await;
    let world = World::before(&upstream, Setup { form, ..Setup::default() }).await;
    world.homes.sign_in("/home", 2, Some(("access-2-of-home", "r2")));
    world.homes.sign_in("/stranger", 7, Some(("access-7-of-home", "r7")));
    world.lease("lease-2", Some("/home"));
    world.lease("lease-7", Some("/stranger"));
    (upstream, world)
}

fn list() -> Ask {
    Ask::stranger("GET", "/v1/models").bearer(TOKEN)
}

fn below(path: &str, n: usize) -> Ask {
    let asked = Ask::stranger("GET", &format!("/backend-api{path}")).bearer(&format!("access-{n}-of-home"));
    asked.header("chatgpt-account-id", &format!("ws-{n}"))
}

/// The one row there is once everything has ended.
async fn written(world: &World) -> RequestSpent {
    crate::support::until("a row", || !world.book.requests().is_empty()).await;
    world.proxy.settle_down().await;
    let mut rows = world.book.requests();
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = rows.remove(0);
    assert!(row.tokens == TokenUse::default() && row.attempts.iter().all(|one| one.tokens == row.tokens), "{row:?}");
    row
}

type Told = (UsageOperation, UsageOutcome, Option<u16>, Option<String>);
type Attempts = Vec<(Option<String>, UsageOutcome, Option<u16>)>;

/// What a row tells, and its attempts by account.
fn told(row: &RequestSpent) -> (Told, Attempts) {
    let attempts = row.attempts.iter().map(|one| {
        let workspace = one.account.owner.workspace.as_ref().map(|id| id.as_str().to_owned());
        (workspace, one.outcome, one.status)
    });
    let mut attempts: Attempts = attempts.collect();
    attempts.sort_by(|a, b| a.0.cmp(&b.0));
    ((row.operation, row.outcome, row.status, row.error_code.clone()), attempts)
}

fn by(n: usize, outcome: UsageOutcome, status: Option<u16>) -> (Option<String>, UsageOutcome, Option<u16>) {
    (Some(format!("ws-{n}")), outcome, status)
}

use UsageOperation::{Diagnostic, Models, Relayed, ThreadGoal};
use UsageOutcome::{Cancelled, Failure, Success};

#[tokio::test]
async fn a_list_of_models_is_one_row_with_an_attempt_for_each_account() {
    for form in FORMS {
        let script = |seen: &Seen| match seen.account() {
            1 => json(200, LIST),
            2 => json(200, "[]"),
            _ => json(500, "{}"),
        };
        let (_upstream, world) = world(form, script).await;
        assert_eq!(list().send(world.port).await.status(), 200);
        let row = written(&world).await;
        let attempts = vec![by(1, Success, Some(200)), by(2, Failure, Some(200)), by(3, Failure, Some(500))];
        assert_eq!(told(&row), ((Models, Success, Some(200), None), attempts), "{form:?}");
        assert_eq!((row.account, row.model), (None, None), "it is everybody's, and of no model");
    }
}

#[tokio::test]
async fn a_list_that_nobody_gave_is_no_success() {
    let (_upstream, world) = world(Form::Inline, |_| json(500, "{}")).await;
    assert_eq!(list().send(world.port).await.status(), 200);
    let (said, attempts) = told(&written(&world).await);
    assert_eq!(said, (Models, Failure, Some(200), Some("no_list".into())));
    assert_eq!(attempts, [1, 2, 3].map(|n| by(n, Failure, Some(500))));
}

#[tokio::test]
async fn a_client_that_leaves_has_cancelled_its_question() {
    for form in FORMS {
        let (upstream, world) = world(form, |_| vec![Act::Hang]).await;
        let line = list().open(world.port).await;
        upstream.came(3).await;
        drop(line);
        upstream.left(3).await;
        let said = (Models, Cancelled, None, Some("client_left".into()));
        assert_eq!(
            told(&written(&world).await),
            (said, [1, 2, 3].map(|n| by(n, Cancelled, None)).to_vec()),
            "{form:?}"
        );
    }
    for form in FORMS {
        let (upstream, world) = world(form, |_| vec![Act::Send(PART.to_vec()), Act::Hang]).await;
        let mut line = below("/wham/settings/user", 2).open(world.port).await;
        line.head().await;
        drop(line);
        upstream.left(1).await;
        let said = (Relayed, Cancelled, Some(200), Some("client_left".into()));
        assert_eq!(told(&written(&world).await), (said, vec![by(2, Cancelled, Some(200))]), "{form:?}");
    }
}

/// One question below the backend, answered like this: what its row tells.
async fn check(path: &str, n: usize, acts: Vec<Act>, expect: (Told, Attempts)) {
    for form in FORMS {
        let acts = acts.clone();
        let (_upstream, world) = world(form, move |_| acts.clone()).await;
        below(path, n).send(world.port).await;
        assert_eq!(told(&written(&world).await), expect, "{path} {form:?}");
    }
}

#[tokio::test]
async fn what_is_relayed_has_its_kind_and_its_end() {
    let one = |outcome, status| vec![by(2, outcome, Some(status))];
    let settings = "/wham/settings/user";
    check(settings, 2, json(200, "{}"), ((Relayed, Success, Some(200), None), one(Success, 200))).await;
    check(settings, 2, json(418, "{}"), ((Relayed, Failure, Some(418), None), one(Failure, 418))).await;
    check("/codex/thread/goal/get", 2, json(200, "{}"), ((ThreadGoal, Success, Some(200), None), one(Success, 200)))
        .await;
    let broke_off = Some("stream_broke_off".to_owned());
    let cut = vec![Act::Send(PART.to_vec()), Act::Close];
    check(settings, 2, cut, ((Relayed, Failure, Some(200), broke_off), one(Failure, 200))).await;
    // The client hears nothing of a refused token.
    let not_found = Some("runtime_rotation_proxy_not_found".to_owned());
    check(settings, 2, json(401, "{}"), ((Relayed, Failure, Some(404), not_found), one(Failure, 401))).await;
    let stranger = vec![by(7, Success, Some(200))];
    check(settings, 7, json(200, "{}"), ((Relayed, Success, Some(200), None), stranger)).await;
}

#[tokio::test]
async fn quotas_that_the_serving_account_does_not_tell_are_asked_of_the_face() {
    let script = |seen: &Seen| if seen.account() == 1 { json(500, "{}") } else { json(200, "{}") };
    let (_upstream, world) = world(Form::Inline, script).await;
    assert_eq!(below("/wham/usage", 2).send(world.port).await.status(), 200);
    let row = written(&world).await;
    let attempts = vec![by(1, Failure, Some(500)), by(2, Success, Some(200))];
    assert_eq!(told(&row), ((Diagnostic, Success, Some(200), None), attempts));
    assert_eq!(row.account, Some(row.attempts[1].account.clone()), "who answered");
}

#[tokio::test]
async fn questions_fill_no_budget() {
    let completed = || {
        let last = r#"{"type":"response.completed","response":{"usage":{"input_tokens":70,"output_tokens":30}}}"#;
        vec![Act::Send([stream_head(""), event(last), LAST.to_vec()].concat())]
    };
    let script = move |seen: &Seen| if seen.head.line.contains("/models") { json(200, LIST) } else { completed() };
    let upstream = Upstream::answering(script).await;
    let rules = MemoryPolicies::default();
    let two =
        BudgetLimit { window: Window::Hour, max_requests: Some(2.0), max_tokens: Some(250.0), max_cost_usd: None };
    rules.set(Policies { limits: [("global".to_owned(), two)].into(), ..Policies::default() });
    let world = World::before(&upstream, Setup { rules, ..Setup::default() }).await;
    for turns in [1, 2] {
        for _ in 0..4 {
            assert_eq!(list().send(world.port).await.status(), 200);
        }
        // What a turn is expected to take is what turns took, and no list takes part in the average.
        assert_eq!(Ask::turn().send(world.port).await.status(), 200, "turn {turns}");
        crate::support::until("the rows", || world.book.requests().len() == turns * 5).await;
    }
    assert_eq!(Ask::turn().send(world.port).await.code(), "budget_blocked");
    assert_eq!(list().send(world.port).await.status(), 200, "a used-up budget hides no list");
}
