//! Planted secrets: whatever is asked and however it fails, they are in no answer, no log line and no `Debug`.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};

use codex_auth_core::{
    AccessToken, IdToken, LoginState, OfficialLogins, RefreshError, RefreshToken, SavedPool, Strategy,
    testing::{ScriptedIssuer, pool},
};
use codex_auth_proxy::attach;
use http::Method;
use serde_json::json;

use crate::support::{
    agents::Place,
    client::{Ask, Got},
    upstream::{Act, Seen, Upstream, json as answer, served},
    world::{NOW, Setup, TOKEN, World},
};

/// Every planted secret holds this.
const CANARY: &str = "CANARY";

/// A pool whose tokens can be recognised.
fn planted() -> SavedPool {
    let mut pool = pool(3);
    for (index, held) in pool.accounts.iter_mut().enumerate() {
        let number = index + 1;
        held.credential.access = Some(AccessToken::new(format!("access-{number}-CANARY")));
        held.credential.refresh = RefreshToken::new(format!("refresh-{number}-CANARY"));
        held.credential.id = Some(IdToken::new(format!("id-{number}-CANARY")));
    }
    pool
}

/// Notes what is logged, at every level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

impl tracing::field::Visit for Lines {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

#[track_caller]
fn check(what: &str, text: &str) {
    let at = text.find(CANARY);
    let around = at.map(|at| text.get(at.saturating_sub(40)..at).unwrap_or_default());
    assert_eq!(around, None, "{what} holds a secret after this");
}

#[track_caller]
fn check_debug(what: &dyn Debug) {
    check("a Debug form", &format!("{what:?}"));
    check("a Debug form", &format!("{what:#?}"));
}

fn check_answer(case: &str, got: &Got) {
    check(case, &format!("{:?} {}", got.head, got.text()));
}

/// Asks for everything there is, as everybody who may.
async fn ask_everything(world: &World) {
    world.homes.sign_in("/home", 1, Some(("access-home-CANARY", "refresh-1-CANARY")));
    world.lease("lease-CANARY", Some("/home"));
    let paths = [
        ("POST", "/backend-api/codex/responses?key=query-CANARY"),
        ("POST", "/v1/responses"),
        ("GET", "/v1/models"),
        ("GET", "/backend-api/codex/responses"),
        ("GET", "/backend-api/wham/accounts/check"),
        ("GET", "/backend-api/wham/usage"),
        ("GET", "/backend-api/wham/settings/user"),
        ("POST", "/backend-api/ps/mcp"),
        ("POST", "/oauth/revoke"),
        ("GET", "/health"),
        ("GET", "/nowhere"),
    ];
    for (method, path) in paths {
        for token in [TOKEN, "lease-CANARY", "access-home-CANARY", "wrong-CANARY"] {
            let got = Ask::stranger(method, path).bearer(token).body(b"{\"id\":1}").send(world.port).await;
            check_answer(path, &got);
        }
    }
    let stranger = Ask::stranger("POST", "/oauth/token").body(br#"{"refresh_token":"refresh-9-CANARY"}"#);
    check_answer("a stranger's token", &stranger.send(world.port).await);
}

/// An upstream that goes through every way of refusing, a request at a time, and shows no secret itself.
async fn moody() -> Upstream {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let script = move |_: &Seen| -> Vec<Act> {
        match turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 8 {
            0 => answer(401, "{}"),
            1 => answer(429, r#"{"error":{"type":"usage_limit_reached"}}"#),
            2 => answer(503, "{}"),
            3 => vec![Act::Close],
            4 => answer(403, r#"{"error":{"code":"workspace_expired"}}"#),
            5 => vec![Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ncut".to_vec()), Act::Close],
            6 => answer(401, r#"{"error":{"code":"token_invalidated"}}"#),
            _ => served(),
        }
    };
    Upstream::answering(script).await
}

#[tokio::test]
async fn no_answer_no_log_line_and_no_debug_form_holds_a_secret() {
    let lines = Lines::default();
    // Threads of the server log too, so this holds for the whole test program; others are only looked at more closely.
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    for strategy in [Strategy::Sequential, Strategy::Hybrid] {
        let upstream = moody().await;
        let issuer = ScriptedIssuer::answering([
            Err(RefreshError::Unsent { why: "connection refused".into() }),
            Err(RefreshError::Refused { code: "refresh_token_reused".into() }),
        ]);
        let setup = Setup { pool: planted(), strategy, issuer: Arc::new(issuer), ..Setup::default() };
        let world = World::before(&upstream, setup).await;
        ask_everything(&world).await;
        check_debug(&world.proxy);
        check_debug(&world.proxy.leases().list());
        check_debug(&world.proxy.rotation().pool());
        check_debug(&world.homes.login("/home"));
        check_debug(&world.store);
        let login = world.homes.login("/home").unwrap();
        assert!(matches!(login, LoginState::Usable(_)), "the planted login was there to leak");
        world.end().await;
    }
    let lines = lines.0.lock().unwrap().clone();
    assert!(lines.contains("record:1"), "the log was heard");
    check("the log", &lines);
}

#[tokio::test]
async fn the_token_door_gives_tokens_to_their_owner_only() {
    let upstream = Upstream::answering(|_| served()).await;
    let refused = Err(RefreshError::Refused { code: "refresh_token_reused".into() });
    let issuer = Arc::new(ScriptedIssuer::answering([refused]));
    let world = World::before(&upstream, Setup { pool: planted(), issuer, ..Setup::default() }).await;
    let asked = Ask::stranger("POST", "/oauth/token").body(br#"{"refresh_token":"refresh-1-CANARY"}"#);
    let refused = asked.send(world.port).await;
    assert_eq!(refused.status(), 400);
    check_answer("a refused renewal", &refused);
}

#[tokio::test]
async fn the_control_socket_tells_no_secret_but_the_leases_own() {
    let upstream = Upstream::answering(|_| served()).await;
    let place = Place::holding(&upstream, planted());
    let agent = place.start(1, None).await.unwrap();
    let attached = attach(&place.client(), &Place::request(), &|| Ok(())).await.unwrap();
    let refresh = json!({ "recordId": "record:1" });
    for (method, path) in [
        (Method::GET, "/v1/hello"),
        (Method::GET, "/v1/status"),
        (Method::POST, "/v1/decide"),
        (Method::POST, "/v1/refresh"),
        (Method::POST, "/v1/reload"),
        (Method::GET, "/v1/nothing"),
    ] {
        let told = place.client().ask(method, path, &refresh).await;
        check(path, &format!("{told:?}"));
        let own = [attached.token.expose(), &agent.ready().record.client_token];
        assert!(!own.iter().any(|own| format!("{told:?}").contains(own)), "{path} tells a token of ours");
    }
    check_debug(&attached);
    let debug = format!("{attached:?} {:?} {:?}", agent.ready(), place.setup(2, None));
    for own in [attached.token.expose(), &agent.ready().record.client_token] {
        assert!(!debug.contains(own), "a Debug form tells a token of ours");
    }
    check("the agent's Debug forms", &debug);
    agent.stop().await.unwrap();
}

/// The values a library user may print.
#[test]
fn values_hide_what_they_hold() {
    let held = planted().accounts.remove(0);
    check_debug(&held);
    check_debug(&codex_auth_core::Granted {
        access: held.credential.access.clone(),
        refresh: Some(held.credential.refresh.clone()),
        id: held.credential.id.clone(),
        expires_at: Some(NOW),
        ..codex_auth_core::Granted::default()
    });
    check_debug(&held.credential.succeeded_by(codex_auth_core::Granted::default(), NOW));
    let leases = codex_auth_proxy::Leases::new(Arc::new(Quiet), codex_auth_core::ClientToken::new(CANARY));
    check_debug(&leases);
    check_debug(&codex_auth_proxy::mint(&codex_auth_core::testing::SeededEntropy::new(1)));
}

/// No homes.
#[derive(Debug)]
struct Quiet;

impl OfficialLogins for Quiet {
    fn login(&self, _: &str) -> Result<LoginState, codex_auth_core::StoreError> {
        Ok(LoginState::Absent)
    }
}
