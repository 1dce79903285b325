//! The backend: turns, quotas, refusals, account endpoints.

use std::io::Read as _;
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::time::Duration;

use codex_auth_testkit::{ClockKind, LoginKind, LoginKnobs, PeopleSetup, Script, Setup, Who};
use serde_json::{Value, json};

use crate::client::{Answer, End, TURN, access, event_types, events, get, post, start, turn};

const ONE: Who = Who::Account(1);
const TWO: Who = Who::Account(2);
const START_MS: i64 = 1_790_000_000_000;

#[track_caller]
fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code));
}

fn manual() -> Setup {
    Setup { clock: ClockKind::Manual { start_ms: START_MS }, ..Setup::default() }
}

#[test]
fn a_turn_is_a_whole_stream_with_quota_headers() {
    let fake = start(&Setup::default());
    let answer = turn().bearer(&access(&fake, ONE)).send(&fake);
    assert_eq!((answer.status, answer.end), (200, End::Complete));
    let types = event_types(&answer);
    assert_eq!(types.first().map(String::as_str), Some("response.created"));
    assert_eq!(types.last().map(String::as_str), Some("response.completed"));
    let said: String = events(&answer).iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(said, "Hello from the fake.");
    let completed = events(&answer).pop().unwrap();
    let usage = &completed["response"]["usage"];
    assert_eq!(usage["total_tokens"].as_u64(), Some(usage["input_tokens"].as_u64().unwrap() + 5));
    assert_eq!(answer.header("x-codex-primary-used-percent"), Some("10"));
    assert_eq!(answer.header("x-codex-secondary-window-minutes"), Some("10080"));
}

#[test]
fn both_loopback_addresses_serve_the_same_fake() {
    let fake = start(&Setup::default());
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if TcpStream::connect((six, fake.port())).is_err() {
        assert!(std::net::TcpListener::bind((six, 0)).is_err(), "IPv6 exists here, but the fake is not on it");
        return;
    }
    assert_eq!(turn().bearer(&access(&fake, ONE)).at(six).send(&fake).status, 200);
}

#[test]
fn a_used_up_account_gets_the_refusal_clients_know() {
    let fake = start(&Setup { exhausted: vec![1], ..manual() });
    let answer = turn().bearer(&access(&fake, ONE)).send(&fake);
    is(&answer, 429, "usage_limit_reached");
    let error = &answer.json()["error"];
    assert_eq!(error["resets_at"], START_MS / 1000 + 3600);
    assert_eq!((&error["resets_in_seconds"], &error["plan_type"]), (&json!(3600), &json!("plus")));
    assert_eq!(answer.header("x-codex-primary-used-percent"), Some("100"));
    assert_eq!(turn().bearer(&access(&fake, TWO)).send(&fake).status, 200);
}

#[test]
fn a_rest_ends_by_the_clock_or_by_word() {
    let fake = start(&manual());
    let status = || turn().bearer(&access(&fake, ONE)).send(&fake).status;
    fake.exhaust(ONE, Some(Duration::from_mins(1)));
    assert_eq!(status(), 429);
    assert!(fake.advance(Duration::from_mins(1)));
    assert_eq!(status(), 200);
    fake.exhaust(ONE, None);
    assert_eq!(status(), 429);
    fake.restore(Some(ONE));
    assert_eq!(status(), 200);
}

#[test]
fn the_first_account_that_is_asked_can_turn_out_used_up() {
    let fake = start(&Setup { first_asked_is_exhausted: true, ..Setup::default() });
    let status = |who| turn().bearer(&access(&fake, who)).send(&fake).status;
    assert_eq!([status(Who::Outsider), status(TWO), status(ONE), status(TWO)], [200, 429, 200, 429]);
}

#[test]
fn turns_fill_the_window_until_the_account_is_used_up() {
    let people = PeopleSetup { percent_per_turn: 45.0, ..PeopleSetup::default() };
    let fake = start(&Setup { people, ..Setup::default() });
    let used =
        || turn().bearer(&access(&fake, ONE)).send(&fake).header("x-codex-primary-used-percent").map(str::to_owned);
    assert_eq!([used(), used(), used()].map(Option::unwrap), ["55", "100", "100"]);
    is(&turn().bearer(&access(&fake, ONE)).send(&fake), 429, "usage_limit_reached");
}

#[test]
fn bearers_are_refused_by_kind() {
    let fake = start(&Setup::default());
    is(&turn().send(&fake), 401, "Unauthorized");
    is(&turn().bearer("nobody").send(&fake), 401, "Unauthorized");
    is(&post("/v1/responses", TURN).bearer("sk-nobody").send(&fake), 401, "invalid_api_key");
    let token = access(&fake, ONE);
    fake.expire_access(ONE);
    is(&turn().bearer(&token).send(&fake), 401, "token_expired");
    fake.revoke(ONE);
    is(&turn().bearer(&token).send(&fake), 401, "token_invalidated");
    let expired = LoginKnobs { kind: LoginKind::ExpiredAccess, ..LoginKnobs::default() };
    let document = fake.login_document(TWO, &expired);
    is(&turn().bearer(document["tokens"]["access_token"].as_str().unwrap()).send(&fake), 401, "token_expired");
    assert_eq!(turn().bearer(&access(&fake, TWO)).send(&fake).status, 200);
}

#[test]
fn an_access_token_lives_as_long_as_it_says() {
    let fake = start(&manual());
    let token = access(&fake, ONE);
    fake.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(turn().bearer(&token).send(&fake).status, 200);
    fake.advance(Duration::from_secs(1));
    is(&turn().bearer(&token).send(&fake), 401, "token_expired");
}

#[test]
fn an_account_id_has_to_be_the_bearers_own() {
    let fake = start(&Setup::default());
    let with = |who| turn().bearer(&access(&fake, ONE)).with("chatgpt-account-id", fake.person(who).account_id);
    assert_eq!(with(ONE).send(&fake).status, 200);
    assert_eq!(with(TWO).send(&fake).status, 403);
}

#[test]
fn compressed_bodies_are_read_and_bounded() {
    let fake = start(&Setup::default());
    let token = access(&fake, ONE);
    let send = |body: Vec<u8>| {
        post("/backend-api/codex/responses", body).bearer(&token).with("content-encoding", "zstd").send(&fake)
    };
    assert_eq!(send(zstd::encode_all(TURN.as_bytes(), 3).unwrap()).status, 200);
    let note = fake.log().pop().unwrap().body.turn.unwrap();
    assert_eq!((note.model.as_deref(), note.prompt_chars, note.input_items), (Some("gpt-x"), 6, 1));
    assert_eq!(send(b"not zstd".to_vec()).status, 400);
    assert_eq!(send(zstd::encode_all(std::io::repeat(b' ').take(65 << 20), 1).unwrap()).status, 413);
}

#[test]
fn what_the_chatgpt_backend_does_not_take() {
    let fake = start(&Setup::default());
    let send = |key: &str, value: Value| {
        let mut body: Value = serde_json::from_str(TURN).unwrap();
        body[key] = value;
        post("/backend-api/codex/responses", body.to_string()).bearer(&access(&fake, ONE)).send(&fake)
    };
    is(&send("stream", json!(false)), 400, "Stream must be set to true");
    is(&send("store", json!(true)), 400, "Store must be set to false");
    is(&send("max_output_tokens", json!(9)), 400, "Unsupported parameter: max_output_tokens");
    assert_eq!(post("/backend-api/codex/responses", "{").bearer(&access(&fake, ONE)).send(&fake).status, 400);
}

#[test]
fn the_platform_answers_whole_when_not_asked_to_stream() {
    let fake = start(&Setup::default());
    let answer = post("/v1/responses", r#"{"model":"gpt-x","input":[]}"#).bearer(&fake.api_key(ONE)).send(&fake);
    assert_eq!(answer.json()["output"][0]["content"][0]["text"], "Hello from the fake.");
}

#[test]
fn a_websocket_upgrade_is_answered_426() {
    let fake = start(&Setup::default());
    for path in ["/backend-api/codex/responses", "/v1/responses"] {
        let upgrade = get(path).with("connection", "Upgrade").with("upgrade", "websocket");
        assert_eq!(upgrade.send(&fake).status, 426, "{path}");
    }
}

#[test]
fn ciphertext_is_good_for_the_account_that_minted_it() {
    let fake = start(&Setup::default());
    fake.script(Script { reasoning: true, ..Script::default() });
    let first = turn().bearer(&access(&fake, ONE)).send(&fake);
    let done = events(&first).into_iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    let body = json!({ "model": "gpt-x", "stream": true, "input": [done["item"]] }).to_string();
    let send = |who| post("/backend-api/codex/responses", body.clone()).bearer(&access(&fake, who)).send(&fake);
    assert_eq!(send(ONE).status, 200);
    is(&send(TWO), 400, "invalid_encrypted_content");
}

#[test]
fn the_prompt_cache_belongs_to_account_and_key() {
    let fake = start(&Setup::default());
    let cached = |who| {
        let answer = turn().bearer(&access(&fake, who)).send(&fake);
        let usage = events(&answer).pop().unwrap()["response"]["usage"].clone();
        usage["input_tokens_details"]["cached_tokens"] == usage["input_tokens"]
    };
    assert_eq!([cached(ONE), cached(ONE), cached(TWO), cached(TWO)], [false, true, false, true]);
}

#[test]
fn a_compaction_turn_is_answered_with_one_compaction_item() {
    let fake = start(&Setup::default());
    let body = json!({ "model": "gpt-x", "stream": true, "input": [{ "type": "compaction_trigger" }] }).to_string();
    let answer = post("/backend-api/codex/responses", body).bearer(&access(&fake, ONE)).send(&fake);
    let events = events(&answer);
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
    assert_eq!((done.len(), &done[0]["item"]["type"]), (1, &json!("compaction")));
}

#[test]
fn scripts_are_used_in_order_and_by_account() {
    let fake = start(&Setup::default());
    fake.script(Script::text("standing"));
    fake.script(Script { account: Some(TWO), ..Script::text("for two") });
    fake.script(Script { times: Some(1), ..Script::text("once") });
    let said = |who| {
        let answer = turn().bearer(&access(&fake, who)).send(&fake);
        events(&answer).iter().filter_map(|event| event["delta"].as_str()).collect::<String>()
    };
    assert_eq!([said(ONE), said(ONE), said(TWO)], ["once", "standing", "for two"]);
    let verbatim = json!({ "type": "response.incomplete" });
    fake.script(Script::events(vec![verbatim.clone()]));
    assert_eq!(events(&turn().bearer(&access(&fake, ONE)).send(&fake)), [verbatim]);
}

#[test]
fn models_carry_a_tag_once_there_is_a_list() {
    let fake = start(&Setup::default());
    let models = |who| get("/backend-api/codex/models?client_version=0.169.0").bearer(&access(&fake, who)).send(&fake);
    assert_eq!((models(ONE).json(), models(ONE).header("etag")), (json!({ "models": [] }), None));
    fake.set_models(Some(ONE), json!({ "models": [{ "slug": "a" }] }));
    assert_eq!(models(ONE).json()["models"][0]["slug"], "a");
    let etag = models(ONE).header("etag").map(str::to_owned);
    assert!(etag.is_some());
    assert_eq!(turn().bearer(&access(&fake, ONE)).send(&fake).header("x-models-etag").map(str::to_owned), etag);
    assert_eq!(models(TWO).json(), json!({ "models": [] }));
}

#[test]
fn accounts_check_names_the_workspaces_of_one_person() {
    let people = PeopleSetup { same_person: vec![(1, 3)], ..PeopleSetup::default() };
    let fake = start(&Setup { people, ..Setup::default() });
    let check = |who| get("/backend-api/wham/accounts/check").bearer(&access(&fake, who)).send(&fake).json();
    let ids = |who| check(who)["account_ordering"].as_array().unwrap().len();
    assert_eq!([ids(ONE), ids(TWO), ids(Who::Account(3)), ids(Who::Outsider)], [2, 1, 2, 1]);
    let two = check(TWO);
    assert_eq!(two["accounts"][0]["id"], fake.person(TWO).account_id);
    assert_eq!(two["accounts"][0]["workspace_backend_origin"], "https://chatgpt.com");
    assert_eq!(two["accounts"][0]["account_routing_override"], "NO_CONSTRAINT");
}

#[test]
fn usage_says_what_the_headers_say() {
    let fake = start(&manual());
    let usage = || get("/backend-api/wham/usage").bearer(&access(&fake, TWO)).send(&fake).json();
    let headers = turn().bearer(&access(&fake, TWO)).send(&fake);
    let window = &usage()["rate_limit"]["primary_window"];
    assert_eq!(window["used_percent"].to_string(), headers.header("x-codex-primary-used-percent").unwrap());
    assert_eq!(window["reset_at"].to_string(), headers.header("x-codex-primary-reset-at").unwrap());
    assert_eq!(usage()["rate_limit"]["allowed"], true);
    fake.exhaust(TWO, Some(Duration::from_secs(90)));
    assert_eq!(usage()["rate_limit"]["limit_reached"], true);
    assert_eq!(usage()["rate_limit"]["primary_window"]["reset_after_seconds"], 90);
}

#[test]
fn a_reset_credit_gives_the_quota_back_once() {
    let fake = start(&Setup { exhausted: vec![1], ..Setup::default() });
    fake.set_reset_credits(ONE, 1);
    let token = access(&fake, ONE);
    let path = "/backend-api/wham/rate-limit-reset-credits";
    assert_eq!(get(path).bearer(&token).send(&fake).json()["available_count"], 1);
    let consume = || post(format!("{path}/consume"), "{}").bearer(&token).send(&fake).json()["code"].clone();
    assert_eq!((consume(), consume()), (json!("reset"), json!("no_credit")));
    assert_eq!(turn().bearer(&token).send(&fake).status, 200);
}

#[test]
fn small_endpoints_answer_as_clients_expect() {
    let fake = start(&Setup::default());
    let status = |path: &str| get(path).bearer(&access(&fake, ONE)).send(&fake).status;
    assert_eq!(status("/backend-api/wham/settings/user"), 404);
    assert_eq!(status("/backend-api/wham/config/bundle"), 200);
    assert_eq!(status("/api/codex/accounts/check"), 200);
    assert_eq!(status("/backend-api/ps/plugins/installed"), 404);
    assert_eq!(status("/anything"), 404);
    assert_eq!(post("/backend-api/codex/analytics-events/events", "{}").send(&fake).status, 204);
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"initialize"}"#;
    let mcp = post("/backend-api/ps/mcp", call).send(&fake).json();
    assert_eq!((&mcp["id"], mcp["error"]["code"].as_i64()), (&json!(7), Some(-32601)));
    assert_eq!(get("/backend-api/wham/usage").send(&fake).status, 401);
}
