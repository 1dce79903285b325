//! The control API: every lever over HTTP, for tests in another process.

use codex_auth_testkit::{Setup, Who};
use serde_json::{Value, json};

use crate::client::{access, form, get, post, refresh, refresh_of, start, turn};

const ONE: Who = Who::Account(1);

#[test]
fn every_lever_works_over_http() {
    let fake = start(&Setup::default());
    let token = access(&fake, ONE);
    let tell = |verb: &str, body: Value| {
        let answer = post(format!("/__control/{verb}"), body.to_string()).send(&fake);
        assert_eq!(answer.status, 200, "{verb}: {}", answer.text());
        answer.json()
    };
    let status = || turn().bearer(&token).send(&fake).status;
    tell("exhaust", json!({ "account": 1, "resets_in_secs": 60 }));
    assert_eq!(status(), 429);
    tell("restore", json!({}));
    assert_eq!(status(), 200);
    tell("fault", json!({ "route": "responses", "account": 1, "act": { "answer": { "status": 503 } } }));
    assert_eq!([status(), status()], [503, 200]);
    tell("fault", json!({ "times": 0, "act": { "unauthorized": "token_expired" } }));
    assert_eq!(status(), 401);
    tell("clear-faults", json!({}));
    tell("script", json!({ "text": "scripted" }));
    assert!(turn().bearer(&token).send(&fake).text().contains("scripted"));
    tell("clear-scripts", json!({}));
    tell("quota", json!({ "account": 1, "used": { "primary": 42.5, "secondary": 7 }, "reset_credits": 2 }));
    assert_eq!(turn().bearer(&token).send(&fake).header("x-codex-primary-used-percent"), Some("42.5"));
    tell("models", json!({ "models": [{ "slug": "m" }] }));
    assert!(get("/v1/models").bearer(&token).send(&fake).text().contains("\"m\""));
    tell("next-login", json!({ "account": 2 }));
    tell("next-login", json!({ "error": "access_denied" }));
    tell("approve-devices", json!({}));
    assert_eq!(tell("release", json!({})), json!({ "released": 0 }));
    assert_eq!(tell("advance", json!({ "ms": 5 })), json!({ "moved": false }));
    tell("rotate", json!({ "account": 1 }));
    assert_eq!(status(), 401);
    tell("revoke", json!({ "account": 1 }));
    assert_eq!(refresh(&fake, &refresh_of(&fake, ONE)).status, 401);
    let key = tell("api-key", json!({ "account": "outsider" }))["api_key"].as_str().unwrap().to_owned();
    assert_eq!(get("/v1/models").bearer(&key).send(&fake).status, 200);
    let login = tell("login", json!({ "account": "outsider", "knobs": { "missing": ["last_refresh"] } }));
    assert_eq!((login["auth_mode"].as_str(), login.get("last_refresh")), (Some("chatgpt"), None));
    assert_eq!(tell("pool", json!({ "only": [2] }))["accounts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_search_is_told_every_secret() {
    let fake = start(&Setup::default());
    let token = access(&fake, ONE);
    form(
        "/oauth/token",
        &[
            ("grant_type", "authorization_code"),
            ("client_id", codex_auth_testkit::CLIENT_ID),
            ("code", "unknown"),
            ("code_verifier", "a-verifier-that-was-shown"),
        ],
    )
    .send(&fake);
    let told = get("/__control/secrets").send(&fake).json();
    let holds = |what: &str, part: &str| {
        let all = told.as_array().unwrap();
        all.iter().any(|it| it["what"] == what && part.contains(it["text"].as_str().unwrap()))
    };
    assert!(
        holds("access token of account 1", &token) && holds("PKCE verifier", "a-verifier-that-was-shown"),
        "{told}"
    );
}

#[test]
fn log_and_state_are_readable_and_resettable() {
    let fake = start(&Setup::default());
    turn().bearer(&access(&fake, ONE)).with("originator", "test").with("session-id", "s-1").send(&fake);
    let log = get("/__control/log").send(&fake).json();
    let record = &log["records"][0];
    assert_eq!((&record["account"], &record["bearer"]), (&json!(1), &json!("live")));
    assert_eq!((&record["headers"]["originator"], &record["headers"]["session-id"]), (&json!("test"), &json!("s-1")));
    assert_eq!((&record["answer"]["status"], &record["body"]["turn"]["prompt_chars"]), (&json!(200), &json!(6)));
    let state = get("/__control/state").send(&fake).json();
    assert_eq!((&state["accounts"][0]["model_requests"], &state["accounts"][0]["served"]), (&json!(1), &json!(1)));
    post("/__control/reset-log", "").send(&fake);
    assert_eq!(get("/__control/log").send(&fake).json(), json!({ "records": [] }));
}

#[test]
fn nonsense_is_refused() {
    let fake = start(&Setup::default());
    let status = |verb: &str, body: &str| post(format!("/__control/{verb}"), body).send(&fake).status;
    assert_eq!(status("explode", "{}"), 404);
    assert_eq!(status("exhaust", "{}"), 400);
    assert_eq!(status("exhaust", "not json"), 400);
    assert_eq!(status("exhaust", r#"{"account":0}"#), 400);
    assert_eq!(status("fault", r#"{"act":"reset","acount":1}"#), 400);
    assert_eq!(get("/__control/nothing").send(&fake).status, 404);
}
